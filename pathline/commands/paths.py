"""`pathline paths`: how people go through the channels, asked of the warehouse."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from pathline.commands.asking import (
    Format,
    From,
    Gap,
    ProjectFolder,
    Segment,
    To,
    Touch,
    Where,
    answering,
    column_of,
    duration,
    edge_of,
    filters,
    nodes_of,
    project_of,
    touch_rules,
)
from pathline.commands.results import channels, dropoff, experiment, ltv, person, retention

app = typer.Typer(
    help="Ask how people go through the channels.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


By = Annotated[str, typer.Option(help="channel, campaign, source, event or property:NAME.")]
Clean = Annotated[
    list[str] | None,
    typer.Option(help="PATTERN=>NAME: what matches the regular expression is named so.", show_default=False),
]
Exclude = Annotated[list[str] | None, typer.Option(help="Node that is left out.", show_default=False)]


@app.command()
def transitions(
    by: By = "channel",
    clean: Clean = None,
    exclude: Exclude = None,
    touch: Touch = "clicked",
    session_gap: Gap = "30m",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Steps from one node to the next, with how often, by how many and how long they take."""
    from pathline.tables import show
    from sinks.clickhouse.paths.pictures import sankey
    from sinks.clickhouse.paths.transitions import transitions as found

    asked = nodes_of(by, clean, exclude, project, touch, session_gap)
    with answering() as warehouse:
        rows = found(warehouse, asked, filters(from_, to, segment, where))
    columns = ("from", "to", "count", "people", "median_seconds")
    told = [(row.origin, row.target, row.count, row.people, row.median_seconds) for row in rows]
    drawn = [(1, row.origin, row.target, row.count) for row in rows[:40]]
    title = f"Transitions by {by}"
    show([dict(zip(columns, row, strict=True)) for row in told], columns, format, title, lambda: sankey(drawn))


@app.command()
def flows(
    start: Annotated[str, typer.Option(help="Event or node that paths are told from.")] = "",
    end: Annotated[str, typer.Option(help="Event or node that paths are told up to.")] = "",
    depth: Annotated[int, typer.Option(help="Most steps.")] = 5,
    by: By = "channel",
    top: Annotated[int, typer.Option(help="Nodes each place keeps by name, the others are (other).")] = 10,
    max_gap: Annotated[str, typer.Option(help="A longer silence ends a path.")] = "",
    within: Annotated[str, typer.Option(help="Time from the start, or up to the end.")] = "",
    collapse: Annotated[bool, typer.Option("--collapse", help="A node that follows itself is one step.")] = False,
    every: Annotated[bool, typer.Option("--every", help="Each occurrence of the anchor counts.")] = False,
    people: Annotated[
        str, typer.Option(help="STEP:FROM->TO: the people behind this step instead.", show_default=False)
    ] = "",
    clean: Clean = None,
    exclude: Exclude = None,
    touch: Touch = "clicked",
    session_gap: Gap = "30m",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Step by step: what people do after something, before something, or from the beginning."""
    from pathline.tables import show
    from schemas.definitions.expressions import iso
    from sinks.clickhouse.paths.flows import Question, followers
    from sinks.clickhouse.paths.flows import flows as found
    from sinks.clickhouse.paths.pictures import sankey

    question = Question(
        start,
        end,
        depth,
        top,
        duration(max_gap, "--max-gap") if max_gap else None,
        duration(within, "--within") if within else None,
        collapse,
        every,
    )
    asked, chosen = nodes_of(by, clean, exclude, project, touch, session_gap), filters(from_, to, segment, where)
    if people:
        step, origin, target = edge_of(people)
        with answering() as warehouse:
            behind = followers(warehouse, asked, question, chosen, step, origin, target)
        told = [{"person_id": row.person_id, "count": row.count, "first_at": iso(row.first_at)} for row in behind]
        show(told, ("person_id", "count", "first_at"), format, f"People from {origin} to {target}")
        return
    with answering() as warehouse:
        rows = found(warehouse, asked, question, chosen)
    columns = ("step", "from", "to", "count", "people", "median_seconds")
    told = [
        dict(zip(columns, (row.step, row.origin, row.target, row.count, row.people, row.median_seconds), strict=True))
        for row in rows
    ]
    drawn = [(row.step, row.origin, row.target, row.count) for row in rows]
    show(told, columns, format, _title(start, end, by), lambda: sankey(drawn))


def _title(start: str, end: str, by: str) -> str:
    anchors = [text for text in (start and f"from {start}", end and f"to {end}") if text]
    return " ".join(["Flows", *anchors, f"by {by}"])


@app.command()
def funnel(
    steps: Annotated[list[str], typer.Option(help="Event name; once for each step, in order.")],
    within: Annotated[str, typer.Option(help="Time from the first step on.")] = "30d",
    order: Annotated[str, typer.Option(help="ordered, strict (nothing in between) or any.")] = "ordered",
    exclude: Annotated[list[str] | None, typer.Option(help="Event that ends an attempt.", show_default=False)] = None,
    optional: Annotated[list[str] | None, typer.Option(help="Step that may be left out.", show_default=False)] = None,
    by: Annotated[str, typer.Option(help="channel, campaign, source or property:NAME: a funnel for each.")] = "",
    breakdown: Annotated[str, typer.Option(help="With --by, of which step: first, last or step:N.")] = "first",
    show_: Annotated[
        str, typer.Option("--show", help="steps; times: how long it took; drops: where the others went instead.")
    ] = "steps",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """How far people get through a list of events, and how long each step takes."""
    from pathline.tables import show
    from sinks.clickhouse.paths.attempts import Question
    from sinks.clickhouse.paths.funnel import Breakdown
    from sinks.clickhouse.paths.funnel import funnel as found
    from sinks.clickhouse.paths.pictures import funnel_bars

    columns = {
        "steps": ["step", "name", "people", "from_first", "from_previous", "median_seconds"],
        "times": ["from_seconds", "to_seconds", "people", "share"],
        "drops": ["step", "name", "instead", "people", "share"],
    }
    if show_ not in columns:
        raise typer.BadParameter(f"{show_!r} is none of {', '.join(columns)}", param_hint="--show")
    question = Question(
        tuple(steps), duration(within, "--within"), order, frozenset(exclude or ()), frozenset(optional or ())
    )
    told_apart = Breakdown(by, breakdown, *((touch_rules(project, "clicked", "30m"),) if by else ()))
    with answering() as warehouse:
        drops = show_ == "drops" or format == "html"
        answer = found(warehouse, question, filters(from_, to, segment, where), told_apart, drops)
    told: dict[str, list[Any]] = {"steps": answer.steps, "times": answer.took, "drops": answer.drops}
    rows = [asdict(row) for row in told[show_]]
    chosen = columns[show_]
    if by and show_ == "steps":
        chosen, rows = [column_of(by), *chosen], [row | {column_of(by): row["value"]} for row in rows]
    show(rows, chosen, format, f"Funnel, {order}, within {within}", lambda: funnel_bars(answer))


@app.command()
def attribution(
    conversion: Annotated[list[str] | None, typer.Option(help="Event that is one; default as in events.yaml.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="first, last, last_non_direct, linear, position, time_decay, markov, shapley, or all of them."
        ),
    ] = "last",
    lookback: Annotated[str, typer.Option(help="How long before a conversion a touch counts.")] = "30d",
    lookback_steps: Annotated[int | None, typer.Option(help="How many touches count, the last ones.")] = None,
    half_life: Annotated[str, typer.Option(help="Of time_decay.")] = "7d",
    null_paths: Annotated[
        bool, typer.Option("--null-paths/--no-null-paths", help="In markov, count those who did not convert.")
    ] = True,
    by: By = "channel",
    clean: Clean = None,
    exclude: Exclude = None,
    touch: Touch = "clicked",
    session_gap: Gap = "30m",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Which channels, campaigns or other touches conversions and revenue are owed to."""
    from pathline.tables import show
    from sinks.clickhouse.paths.attribution import Question
    from sinks.clickhouse.paths.attribution import attribution as found
    from sinks.clickhouse.paths.costs import prices_of
    from sinks.clickhouse.paths.models import MODELS
    from sinks.clickhouse.paths.orders import asked_of
    from sinks.clickhouse.paths.pictures import models_side_by_side

    question = Question(
        duration(lookback, "--lookback"), lookback_steps, null_paths, duration(half_life, "--half-life")
    )
    asked, loaded = nodes_of(by, clean, exclude, project, touch, session_gap), project_of(project)
    models = MODELS if model == "all" or format == "html" else (model,)
    with answering() as warehouse:
        credits_ = found(
            warehouse,
            tuple(dict.fromkeys((*models, *(() if model == "all" else (model,))))),
            asked,
            asked_of(loaded, conversion or ()),
            question,
            filters(from_, to, segment, where),
            prices_of(loaded),
        )
    name = column_of(by)
    rows = [
        {"model": of, name: credit.node} | asdict(credit)
        for of in (models if model == "all" else (model,))
        for credit in credits_[of]
    ]
    columns = [*(("model",) if model == "all" else ()), name, "conversions", "revenue", "cost", "roas"]
    shares = {of: {credit.node: credit.conversions for credit in some} for of, some in credits_.items()}
    show(rows, columns, format, f"Attribution by {by}, {model}", lambda: models_side_by_side(shares))


for result in (channels, retention, ltv, dropoff, experiment, person):
    app.command()(result)
