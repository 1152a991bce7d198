"""`pathline template`: look at messages before anybody gets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.commands.asking import answering
from pathline.commands.given import EventFile, caught_files, event_file, newest_caught, newest_for, now, profile_json
from pathline.commands.in_force import Folder, found_person, in_force, of_folder

if TYPE_CHECKING:
    from schemas.definitions.model import Project

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def template() -> None:
    """Look at messages before anybody gets them."""


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the template.")],
    as_: Annotated[
        str, typer.Option("--as", help="The person whose profile it shows: type:value or a person id.")
    ] = "",
    channel: Annotated[list[str] | None, typer.Option(help="Only this channel.", show_default=False)] = None,
    language: Annotated[str, typer.Option(help="Instead of the person's own.")] = "",
    event: EventFile = None,
    caught: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: the event under a name from as:; default: the newest.", show_default=False),
    ] = None,
    traits: Annotated[str, typer.Option(help="Traits as JSON, over those of the person.")] = "{}",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the page of an e-mail.", show_default=False)
    ] = None,
    project: Folder = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="text or json.")] = "text",
) -> None:
    """Show a message as a person would get it in each channel, or why it would not be sent.

    Without a line, with --project: for the traits and the event given.
    """
    from pathline.errors import UserError
    from pathline.journeys.previewing import Preview, previews
    from schemas.definitions.problems import nearest

    given, held = _traits(traits), {}
    if as_:
        with answering() as warehouse:
            loaded, _ = in_force(warehouse, project)
            person = found_person(warehouse, loaded, as_)
            profile = json.loads(profile_json(warehouse, person))
            shown = event_file(event, loaded) or newest_for(warehouse, loaded, name, person)
            held = newest_caught(warehouse, loaded, name, person)
    else:
        loaded = _project_of(project)
        profile, shown = {"traits": {}}, event_file(event, loaded)
    if name not in loaded.templates:
        raise UserError(f"there is no template {name!r}: {nearest(name, loaded.templates)}")
    profile["traits"] = {**profile.get("traits", {}), **given}
    held |= caught_files(caught or (), loaded, name)
    made: list[Preview] = previews(loaded, name, profile, shown, now(), language, channel or (), held)
    if format == "json":
        told = [{"channel": one.channel, "error": one.error, **one.facts, "parts": one.parts} for one in made]
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for one in made:
            typer.echo(one.told())
    pages = [one.parts["html"] for one in made if "html" in one.parts]
    if output is not None:
        if not pages:
            raise UserError("none of these channels gives a page (html)")
        output.write_text(pages[0], "utf-8")
        typer.echo(f"{output.absolute()}: open it in a browser", err=True)
    if all(one.error for one in made):
        raise typer.Exit(1)


def _traits(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--traits") from error
    if not isinstance(found, dict):
        raise typer.BadParameter('an object is expected, such as {"first_name": "Ann"}', param_hint="--traits")
    return found


def _project_of(folder: Path | None) -> Project:
    if folder is not None:
        return of_folder(folder, None)[0]
    with answering() as warehouse:
        return in_force(warehouse, None)[0]
