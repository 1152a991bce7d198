"""`pathline paths`: how people go through the channels, asked of the warehouse."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathline.commands.asking import (
    Asking,
    Conversion,
    Lookback,
    Touching,
    Walking,
    answering,
    column_of,
    duration,
    edge_of,
    no_empty,
    not_there,
    project_of,
    question,
    without_rate,
)
from pathline.commands.results import channels, dropoff, experiment, ltv, person, retention

if TYPE_CHECKING:
    from sinks.clickhouse.engine import Warehouse

app = typer.Typer(
    help="Ask how people go through the channels.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command()
@question
def transitions(walking: Walking, touching: Touching, asking: Asking) -> None:
    """Steps from one node to the next, with how often, by how many and how long they take."""
    from pathline.tables import show
    from sinks.clickhouse.paths.pictures import sankey
    from sinks.clickhouse.paths.touches import node_names
    from sinks.clickhouse.paths.transitions import transitions as found

    nodes = walking.nodes(touching, asking.project)
    with answering(asking.segment) as warehouse:
        rows = found(warehouse, nodes, asking.filters)
        notes = not_there(walking.exclude, lambda: node_names(warehouse, nodes))
    columns = ("from", "to", "count", "people", "median_seconds")
    told = [(row.origin, row.target, row.count, row.people, row.median_seconds) for row in rows]
    drawn = [(1, row.origin, row.target, row.count) for row in rows[:40]]
    title = f"Transitions by {walking.by}"
    rows_ = [dict(zip(columns, row, strict=True)) for row in told]
    show(rows_, columns, asking.format, title, lambda: sankey(drawn), notes)


@app.command()
@question
def flows(
    walking: Walking,
    touching: Touching,
    asking: Asking,
    start: Annotated[str, typer.Option(help="Event or node that paths are told from.")] = "",
    end: Annotated[str, typer.Option(help="Event or node that paths are told up to.")] = "",
    depth: Annotated[int, typer.Option(help="Most steps.")] = 5,
    top: Annotated[int, typer.Option(help="Nodes each place keeps by name, the others are (other).")] = 10,
    max_gap: Annotated[str, typer.Option(help="A longer silence ends a path.")] = "",
    within: Annotated[str, typer.Option(help="Time from the start, or up to the end.")] = "",
    collapse: Annotated[bool, typer.Option("--collapse", help="A node that follows itself is one step.")] = False,
    every: Annotated[bool, typer.Option("--every", help="Each occurrence of the anchor counts.")] = False,
    people: Annotated[
        str, typer.Option(help="STEP:FROM->TO: the people behind this step instead.", show_default=False)
    ] = "",
) -> None:
    """Step by step: what people do after something, before something, or from the beginning."""
    from pathline.tables import show
    from schemas.definitions.expressions import iso
    from sinks.clickhouse.paths.filters import event_names
    from sinks.clickhouse.paths.flows import flows as found
    from sinks.clickhouse.paths.flows import followers
    from sinks.clickhouse.paths.pictures import sankey
    from sinks.clickhouse.paths.touches import node_names
    from sinks.clickhouse.paths.walks import Question

    anchored = Question(
        start,
        end,
        depth,
        top,
        duration(max_gap, "--max-gap") if max_gap else None,
        duration(within, "--within") if within else None,
        collapse,
        every,
    )
    nodes = walking.nodes(touching, asking.project)

    def notes_of(warehouse: Warehouse) -> list[str]:
        called = lru_cache(lambda: node_names(warehouse, nodes))
        return not_there((start, end), lambda: event_names(warehouse), called) + not_there(walking.exclude, called)

    if people:
        step, origin, target = edge_of(people)
        with answering(asking.segment) as warehouse:
            behind = followers(warehouse, nodes, anchored, asking.filters, step, origin, target)
            notes = notes_of(warehouse)
        told = [{"person_id": row.person_id, "count": row.count, "first_at": iso(row.first_at)} for row in behind]
        title = f"People from {origin} to {target}"
        show(told, ("person_id", "count", "first_at"), asking.format, title, notes=notes)
        return
    with answering(asking.segment) as warehouse:
        rows = found(warehouse, nodes, anchored, asking.filters)
        notes = notes_of(warehouse)
    columns = ("step", "from", "to", "count", "people", "median_seconds")
    told = [
        dict(zip(columns, (row.step, row.origin, row.target, row.count, row.people, row.median_seconds), strict=True))
        for row in rows
    ]
    drawn = [(row.step, row.origin, row.target, row.count) for row in rows]
    show(told, columns, asking.format, _title(start, end, walking.by), lambda: sankey(drawn), notes)


def _title(start: str, end: str, by: str) -> str:
    anchors = [text for text in (start and f"from {start}", end and f"to {end}") if text]
    return " ".join(["Flows", *anchors, f"by {by}"])


@app.command()
@question
def funnel(
    steps: Annotated[list[str], typer.Option(help="Event name; once for each step, in order.", callback=no_empty)],
    asking: Asking,
    within: Annotated[str, typer.Option(help="Time from the first step on.")] = "30d",
    order: Annotated[str, typer.Option(help="ordered, strict (nothing in between) or any.")] = "ordered",
    exclude: Annotated[
        list[str] | None, typer.Option(help="Event that ends an attempt.", show_default=False, callback=no_empty)
    ] = None,
    optional: Annotated[list[str] | None, typer.Option(help="Step that may be left out.", show_default=False)] = None,
    by: Annotated[str, typer.Option(help="channel, campaign, source or property:NAME: a funnel for each.")] = "",
    breakdown: Annotated[str, typer.Option(help="With --by, of which step: first, last or step:N.")] = "first",
    show_: Annotated[
        str, typer.Option("--show", help="steps; times: how long it took; drops: where the others went instead.")
    ] = "steps",
) -> None:
    """How far people get through a list of events, and how long each step takes."""
    from pathline.tables import show
    from sinks.clickhouse.paths.attempts import Question
    from sinks.clickhouse.paths.filters import event_names
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
    wanted = Question(
        tuple(steps), duration(within, "--within"), order, frozenset(exclude or ()), frozenset(optional or ())
    )
    told_apart = Breakdown(by, breakdown, *((Touching().rules(asking.project),) if by else ()))
    with answering(asking.segment) as warehouse:
        drops = show_ == "drops" or asking.format == "html"
        answer = found(warehouse, wanted, asking.filters, told_apart, drops)
        notes = not_there((*steps, *(exclude or ())), lambda: event_names(warehouse))
    told: dict[str, list[Any]] = {"steps": answer.steps, "times": answer.took, "drops": answer.drops}
    rows = [asdict(row) for row in told[show_]]
    chosen = columns[show_]
    if by and show_ == "steps":
        chosen, rows = [column_of(by), *chosen], [row | {column_of(by): row["value"]} for row in rows]
    show(rows, chosen, asking.format, f"Funnel, {order}, within {within}", lambda: funnel_bars(answer), notes)


@app.command()
@question
def attribution(
    walking: Walking,
    touching: Touching,
    asking: Asking,
    conversion: Conversion = None,
    model: Annotated[
        str,
        typer.Option(
            help="first, last, last_non_direct, linear, position, time_decay, markov, shapley, or all of them."
        ),
    ] = "last",
    lookback: Lookback = "30d",
    lookback_steps: Annotated[int | None, typer.Option(help="How many touches count, the last ones.")] = None,
    half_life: Annotated[str, typer.Option(help="Of time_decay.")] = "7d",
    null_paths: Annotated[
        bool, typer.Option("--null-paths/--no-null-paths", help="In markov, count those who did not convert.")
    ] = True,
) -> None:
    """Which channels, campaigns or other touches conversions and revenue are owed to."""
    from pathline.tables import show
    from sinks.clickhouse.paths.attribution import Question
    from sinks.clickhouse.paths.attribution import attribution as found
    from sinks.clickhouse.paths.costs import prices_of, spent
    from sinks.clickhouse.paths.filters import event_names
    from sinks.clickhouse.paths.models import MODELS
    from sinks.clickhouse.paths.orders import asked_of, unknown
    from sinks.clickhouse.paths.pictures import models_side_by_side
    from sinks.clickhouse.paths.touches import node_names

    reach = Question(duration(lookback, "--lookback"), lookback_steps, null_paths, duration(half_life, "--half-life"))
    nodes, loaded = walking.nodes(touching, asking.project), project_of(asking.project)
    orders, prices = asked_of(loaded, conversion or ()), prices_of(loaded)
    told = MODELS if model == "all" else (model,)
    drawn = MODELS if asking.format == "html" else told
    with answering(asking.segment) as warehouse:
        credits_ = found(
            warehouse,
            tuple(dict.fromkeys((*drawn, *told))),
            nodes,
            orders,
            reach,
            asking.filters,
            prices,
        )
        notes = without_rate(
            spent(warehouse, prices, asking.filters).unknown, unknown(warehouse, orders, asking.filters)
        )
        notes += not_there(conversion, lambda: event_names(warehouse))
        notes += not_there(walking.exclude, lambda: node_names(warehouse, nodes))
    name = column_of(walking.by)
    rows = [{"model": of, name: credit.node} | asdict(credit) for of in told for credit in credits_[of]]
    columns = [*(("model",) if model == "all" else ()), name, "conversions", "revenue", "cost", "roas"]
    shares = {of: {credit.node: credit.conversions for credit in some} for of, some in credits_.items()}
    title = f"Attribution by {walking.by}, {model}, in {orders.currency}"
    show(rows, columns, asking.format, title, lambda: models_side_by_side(shares), notes)


for result in (channels, retention, ltv, dropoff, experiment, person):
    app.command()(result)
