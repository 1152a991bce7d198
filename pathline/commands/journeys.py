"""`pathline journeys`: how far people are in journeys, and what a journey looks like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.commands.asking import From, To, answering, instant
from pathline.commands.in_force import Folder, Format, Journey, in_force, journey_states, of_folder
from pathline.commands.journey_test import try_on
from pathline.commands.refitting import Every, Output, refit
from pathline.commands.refitting import Folder as ProjectFolder
from schemas.journey_states import DRAINING, PAUSED, RUNNING

if TYPE_CHECKING:
    from pathline.journeys.drawing import Counts
    from schemas.definitions.model import Project, Step
    from sinks.clickhouse.engine import Warehouse
    from sinks.clickhouse.journeys import StepFigures

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.command("test")(try_on)

#: columns of figures by step
FIGURES = ("came", "left", "here", "ended", "sent", "delivered", "opened", "clicked", "converted")


@app.callback()
def journeys() -> None:
    """See how far people are in journeys, and what a journey looks like."""


@app.command("list")
def list_(from_: From = None, to: To = None, project: Folder = None, format: Format = "table") -> None:
    """List the journeys with how many people entered, are inside, came to the end or ended before, and were sent.

    With --from and --to those who entered in that time.
    """
    from pathline.tables import show
    from sinks.clickhouse.journeys import JourneyFigures
    from sinks.clickhouse.journeys import journeys as figures

    states = journey_states()
    with answering() as warehouse:
        loaded, _ = in_force(warehouse, project)
        found = figures(warehouse, instant(from_, "--from"), instant(to, "--to"))
    names = [*sorted(loaded.journeys), *sorted(found.keys() - loaded.journeys.keys())]
    rows = [
        {"state": states.get(name) or ("in force" if name in loaded.journeys else "removed")}
        | asdict(found.get(name) or JourneyFigures(name))
        for name in names
    ]
    columns = ("journey", "state", "entered", "inside", "finished", "exited", "merged", "sent", "goals", "refused")
    show(rows, columns, format, "Journeys")


@app.command()
def winners(output: Output = None, every: Every = "", project: ProjectFolder = None) -> None:
    """Find which arms of splits with `winner` have won, in the warehouse, and put them into force.

    All workers change over at the same marker: who has an arm keeps it, who comes since gets the winner's. `pathline
    apply` keeps the winners unless the project has a winners.yaml of its own.
    """
    from schemas.definitions.loading import WINNERS

    refit(WINNERS, _winners, output, every, project)


def _winners(warehouse: Warehouse, project: Project, now: int) -> str | None:
    from pathline.journeys import winning

    found = winning.winners(warehouse, project, now)
    if not found:
        asked = any(winning.splits(project))
        typer.echo("no arm has won yet" if asked else "no split of the project is to have a winner", err=True)
        return None
    return winning.written(found)


@app.command()
def pause(name: Journey) -> None:
    """Pause a journey: nobody is sent anything or taken a step further until it is resumed; nothing is lost.

    People still enter and wait, and what ends an instance, reaches a goal or is waited for still counts.
    """
    _steer(name, PAUSED, "is paused; go on with `pathline journeys resume`")


@app.command()
def resume(name: Journey) -> None:
    """Let a journey that was paused or drained run again.

    What fell due meanwhile is done at the rate of late timers.
    """
    _steer(name, RUNNING, "runs")


@app.command()
def drain(name: Journey) -> None:
    """Let nobody into a journey any more; those inside go on to its end."""
    _steer(name, DRAINING, "lets nobody in any more, those inside go on")


@app.command()
def show(name: Journey, project: Folder = None, format: Format = "table") -> None:
    """Show a journey in words: what starts and ends it, its steps and how many people are where."""
    import json

    from pathline.journeys.words import entries, exits, goal
    from pathline.tables import show as print_rows
    from sinks.clickhouse.journeys import steps

    with answering() as warehouse:
        loaded, journey = in_force(warehouse, project, name)
        figures = steps(warehouse, name)
    facts = {
        "enter": entries(journey),
        "exit": exits(journey),
        "goal": goal(journey),
        "priority": journey.priority,
        "category": journey.category,
        "purpose": journey.purpose,
        "intent": journey.intent,
    }
    rows = [
        {"step": step.id, "does": "  " * depth + text + _won(loaded, name, step)} | _figures(figures.get(step.id))
        for depth, text, step in _outline(loaded, journey.steps, 0)
    ]
    if format == "json":
        told = [
            {name: value.strip() if isinstance(value, str) else value for name, value in row.items()} for row in rows
        ]
        typer.echo(json.dumps({"name": name} | facts | {"steps": told}, indent=2, ensure_ascii=False))
        return
    if format == "table":
        for fact, value in facts.items():
            text = "; ".join(value) if isinstance(value, list) else str(value)
            if text:
                typer.echo(f"{fact:<9} {text}")
        typer.echo()
    print_rows(rows, ("step", "does", "came", "here", "sent", "opened", "converted"), format, name)


@app.command()
def stats(name: Journey, from_: From = None, to: To = None, project: Folder = None, format: Format = "table") -> None:
    """Figures of each step: who came, went on, is here now, ended here; what was sent, read, skipped and why; goals.

    With --from and --to of those who entered in that time.
    """
    from pathline.tables import show as print_rows
    from sinks.clickhouse.journeys import steps

    with answering() as warehouse:
        loaded, journey = in_force(warehouse, project, name)
        figures = steps(warehouse, name, instant(from_, "--from"), instant(to, "--to"))
    known = [step.id for _, _, step in _outline(loaded, journey.steps, 0)]
    # steps of earlier versions of the journey are shown too
    rows: list[dict[str, Any]] = [
        {"step": step} | _figures(figures.get(step)) for step in [*known, *sorted(figures.keys() - set(known))]
    ]
    if format != "json":
        for row in rows:
            row["skipped"] = ", ".join(f"{reason} {count}" for reason, count in row["skipped"].items())
    print_rows(rows, ("step", *FIGURES, "skipped"), format, name)


@app.command()
def draw(
    name: Journey,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; by its ending .svg or .html.", show_default=False),
    ] = None,
    from_: From = None,
    to: To = None,
    project: Folder = None,
    format: Annotated[Literal["svg", "html"], typer.Option(help="svg or html, where no file says it.")] = "svg",
) -> None:
    """Draw a journey as a picture, with how many people went each way if it has been running.

    With --from and --to of those who entered in that time.
    """
    from pathline.errors import UserError
    from pathline.journeys.drawing import draw as drawn
    from sinks.clickhouse.paths.page import page

    counts = None
    try:
        with answering() as warehouse:
            loaded, journey = in_force(warehouse, project, name)
            counts = _counts(warehouse, name, instant(from_, "--from"), instant(to, "--to"))
    except UserError:
        if project is None:
            raise
        # a project can be drawn without any line or warehouse
        loaded, journey = of_folder(project, name)
    picture = drawn(loaded, journey, counts)
    if output is not None and output.suffix not in (".svg", ".html"):
        raise typer.BadParameter(f"{output.name} ends in neither .svg nor .html", param_hint="--output")
    if (output.suffix if output is not None else f".{format}") == ".html":
        picture = page(f"Journey {name}", f"<figure>{picture}</figure>")
    if output is None:
        typer.echo(picture, nl=False)
        return
    try:
        output.write_text(picture, "utf-8")
    except OSError as error:
        raise UserError(f"{output} can't be written: {error.strerror}") from error
    typer.echo(f"{output.absolute()}: open it in a browser, it needs no network")


def _steer(name: str, state: str, told: str) -> None:
    """Publish a journey's state, if it is a journey."""
    from pathline.commands.apply import user
    from pathline.errors import UserError
    from pathline.journeys.standing import standings, steer
    from pathline.local import current
    from processors.runtime.published import PublishedDefinitions
    from schemas.definitions.problems import nearest
    from schemas.registry import codec_for

    settings = current.kafka_settings()
    codec = codec_for(settings)
    project = PublishedDefinitions(settings.brokers, codec).latest()
    known = {*(project.journeys if project is not None else ()), *standings(settings, codec)}
    if name not in known:
        raise UserError(f"there is no journey {name!r}: {nearest(name, known) or 'none was published yet'}")
    changed = steer(settings, codec, name, state, user())
    typer.echo(f"{name} {told}" if changed else f"{name} {told} (as before)")


def _outline(project: Project, steps: tuple[Step, ...], depth: int) -> Iterator[tuple[int, str, Step]]:
    """Depth, words and step of all steps in order; the first step of an arm tells which arm it is in."""
    from pathline.journeys.words import arms, told

    for step in steps:
        yield depth, " ".join(told(step)).strip(), step
        for label, _, inner in arms(step, project.segments):
            for place, (below, text, found) in enumerate(_outline(project, inner, depth + 1)):
                yield below, f"{label}: {text}" if place == 0 else text, found


def _won(project: Project, journey: str, step: Step) -> str:
    """Which arm of a split has won, if one has."""
    arm = project.winners.get(f"{journey}/{step.id}")
    return "" if arm is None else f": {arm} has won"


def _figures(found: StepFigures | None) -> dict[str, Any]:
    from sinks.clickhouse.journeys import StepFigures

    figures = found or StepFigures("")
    return {name: getattr(figures, name) for name in FIGURES} | {"skipped": dict(figures.skipped)}


def _counts(warehouse: Warehouse, name: str, since: int | None, until: int | None) -> Counts | None:
    from pathline.journeys.drawing import Counts
    from sinks.clickhouse.journeys import journeys as figures
    from sinks.clickhouse.journeys import steps, taken, ways

    whole = figures(warehouse, since, until).get(name)
    if whole is None:
        return None
    asked = (warehouse, name, since, until)
    return Counts(whole, steps(*asked), ways(*asked), taken(*asked))
