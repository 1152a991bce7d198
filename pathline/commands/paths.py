"""`pathline paths`: how people go through the channels, asked of the warehouse."""

from __future__ import annotations

from typing import Annotated

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
    duration,
    filters,
    touch_rules,
)

app = typer.Typer(
    help="Ask how people go through the channels.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command()
def transitions(
    by: Annotated[str, typer.Option(help="channel or event.")] = "channel",
    touch: Touch = "clicked",
    session_gap: Gap = "30m",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Steps from one channel or event to the next, with how often, by how many and how long they take."""
    from pathline.tables import show
    from sinks.clickhouse.paths.touches import Nodes
    from sinks.clickhouse.paths.transitions import transitions as found

    rules = touch_rules(project, touch, session_gap)
    with answering() as warehouse:
        rows = found(warehouse, Nodes(by, rules), filters(from_, to, segment, where))
    columns = ("from", "to", "count", "people", "median_seconds")
    told = [(row.origin, row.target, row.count, row.people, row.median_seconds) for row in rows]
    show([dict(zip(columns, row, strict=True)) for row in told], columns, format, f"Transitions by {by}")


@app.command()
def funnel(
    steps: Annotated[list[str], typer.Option(help="Event name; once for each step, in order.")],
    within: Annotated[str, typer.Option(help="Time from the first step on.")] = "30d",
    order: Annotated[str, typer.Option(help="ordered, strict (nothing in between) or any.")] = "ordered",
    exclude: Annotated[list[str] | None, typer.Option(help="Event that ends an attempt.", show_default=False)] = None,
    by: Annotated[str, typer.Option(help="channel: a funnel for each channel of the first step.")] = "",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """How far people get through a list of events, and how long each step takes."""
    from pathline.tables import show
    from sinks.clickhouse.paths.funnel import Question
    from sinks.clickhouse.paths.funnel import funnel as found

    if by not in ("", "channel"):
        raise typer.BadParameter(f"{by!r}; a funnel is broken down by channel", param_hint="--by")
    question = Question(
        tuple(steps), duration(within, "--within"), order, frozenset(exclude or ()), by_channel=by == "channel"
    )
    with answering() as warehouse:
        rows = found(warehouse, question, filters(from_, to, segment, where))
    columns = ["step", "name", "people", "from_first", "from_previous", "median_seconds"]
    if question.by_channel:
        columns.insert(0, "channel")
    show([{name: getattr(row, name) for name in columns} for row in rows], columns, format, "Funnel")
