"""`pathline paths` about results: channels, retention, lifetime value, drop-off, experiments, one person."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pathline.commands.asking import (
    Asking,
    Conversion,
    Format,
    From,
    Gathering,
    Lookback,
    ProjectFolder,
    To,
    Touching,
    Walking,
    answering,
    column_of,
    duration,
    no_empty,
    not_there,
    project_of,
    question,
    span,
    without_rate,
)

Period = Annotated[str, typer.Option(help="day, week or month.")]


@question
def channels(
    touching: Touching,
    asking: Asking,
    by: Annotated[str, typer.Option(help="channel, or campaign: a row for each campaign of a channel.")] = "channel",
    conversion: Conversion = None,
    lookback: Lookback = "30d",
) -> None:
    """What each channel sent, how far it got, what it cost and brought."""
    from pathline.tables import show
    from sinks.clickhouse.paths.channels import Question
    from sinks.clickhouse.paths.channels import channels as found
    from sinks.clickhouse.paths.costs import prices_of
    from sinks.clickhouse.paths.drawings import returns
    from sinks.clickhouse.paths.filters import event_names
    from sinks.clickhouse.paths.orders import asked_of

    if by not in ("channel", "campaign"):
        raise typer.BadParameter(f"{by!r} is none of channel, campaign", param_hint="--by")
    loaded = project_of(asking.project)
    wanted = Question(
        asked_of(loaded, conversion or ()),
        prices_of(loaded),
        touching.rules(asking.project),
        duration(lookback, "--lookback"),
        campaigns=by == "campaign",
    )
    with answering(asking.segment) as warehouse:
        answer = found(warehouse, wanted, asking.filters)
        notes = without_rate(answer.unknown_costs, answer.unknown_revenue)
        notes += not_there(conversion, lambda: event_names(warehouse))
    columns = ["channel", "sent", "delivered", "opened", "clicked", "converted", "cost", "revenue", "margin", "roas"]
    if wanted.campaigns:
        columns.insert(1, "campaign")
    rows = [asdict(row) | {"margin": row.margin, "roas": row.roas} for row in answer.rows]
    title = f"Channels, in {wanted.prices.currency}"
    show(rows, columns, asking.format, title, lambda: returns(answer.rows, wanted.prices.currency), notes)


@question
def retention(
    gathering: Gathering,
    asking: Asking,
    period: Period = "week",
    returning: Annotated[str, typer.Option("--return", help="Event that is a return; default: any.")] = "",
) -> None:
    """Who of those that began together comes back, period by period."""
    from pathline.tables import show
    from sinks.clickhouse.paths.drawings import heat_map
    from sinks.clickhouse.paths.filters import event_names
    from sinks.clickhouse.paths.retention import retention as found

    cohorts = gathering.cohorts(period, asking.project)
    with answering(asking.segment) as warehouse:
        rows = found(warehouse, cohorts, returning, asking.filters)
        notes = not_there((gathering.start, returning), lambda: event_names(warehouse))
    told = [asdict(row) | {"rate": row.rate} for row in rows]
    cells = [(row.cohort, row.period, row.people, row.rate, f"{row.rate:.0%}") for row in rows]
    columns = ("cohort", "period", "people", "returned", "rate")
    title = f"Retention by {column_of(gathering.by) or period}"
    show(told, columns, asking.format, title, lambda: heat_map(cells, period), notes)


@question
def ltv(gathering: Gathering, asking: Asking, period: Period = "month", conversion: Conversion = None) -> None:
    """What people who began together have brought so far, period by period."""
    from pathline.tables import show
    from sinks.clickhouse.paths import orders
    from sinks.clickhouse.paths.drawings import heat_map
    from sinks.clickhouse.paths.filters import event_names
    from sinks.clickhouse.paths.ltv import ltv as found

    bought = orders.asked_of(project_of(asking.project), conversion or ())
    cohorts = gathering.cohorts(period, asking.project)
    with answering(asking.segment) as warehouse:
        rows = found(warehouse, cohorts, bought, asking.filters)
        notes = without_rate({}, orders.unknown(warehouse, bought, asking.filters))
        notes += not_there((gathering.start, *(conversion or ())), lambda: event_names(warehouse))
    told = [asdict(row) | {"per_person": row.per_person} for row in rows]
    cells = [(row.cohort, row.period, row.people, row.per_person, f"{row.per_person:,.2f}") for row in rows]
    columns = ("cohort", "period", "people", "buyers", "orders", "revenue", "per_person")
    title = f"Lifetime value by {column_of(gathering.by) or period}, {bought.currency} per person"
    show(told, columns, asking.format, title, lambda: heat_map(cells, period), notes)


@question
def dropoff(
    walking: Walking,
    touching: Touching,
    asking: Asking,
    silence: Annotated[str, typer.Option(help="So long without a touch is silence.")] = "30d",
) -> None:
    """What people did last before they fell silent."""
    from pathline.tables import show
    from sinks.clickhouse.paths.dropoff import dropoff as found
    from sinks.clickhouse.paths.page import colour, note
    from sinks.clickhouse.paths.pictures import bars
    from sinks.clickhouse.paths.touches import node_names

    nodes = walking.nodes(touching, asking.project)
    with answering(asking.segment) as warehouse:
        rows = found(warehouse, nodes, duration(silence, "--silence"), asking.filters)
        notes = not_there(walking.exclude, lambda: node_names(warehouse, nodes))
    lengths = [(row.last, row.silent, f"{row.rate:.1%} of those here") for row in rows[:20] if row.silent]
    explained = note("People who fell silent here, and their share of all who ever were here.")
    drawn = bars(lengths, colour(3)) + explained if lengths else note(f"Nobody has been silent for {silence}.")
    columns = ("last", "silent", "people", "share", "rate", "median_seconds")
    title = f"Last {column_of(walking.by)} before {silence} of silence"
    show([asdict(row) for row in rows], columns, asking.format, title, lambda: drawn, notes)


@question
def experiment(
    journey: Annotated[str, typer.Argument(help="Name of the journey.")],
    asking: Asking,
    split: Annotated[str, typer.Option(help="Id of the split, where the journey has several.")] = "",
    conversion: Annotated[
        list[str] | None,
        typer.Option(help="Event that counts; default: the journey's goal.", show_default=False, callback=no_empty),
    ] = None,
    within: Annotated[str, typer.Option(help="Time from the arm on; default: that of the goal.")] = "",
) -> None:
    """Whether the arms of a journey's split differ, and from those who were held out."""
    from pathline.errors import UserError
    from pathline.tables import show
    from sinks.clickhouse.paths.drawings import intervals
    from sinks.clickhouse.paths.experiment import experiment as found
    from sinks.clickhouse.paths.experiment import question_of
    from sinks.clickhouse.paths.filters import event_names

    loaded = project_of(asking.project)
    if loaded is None:
        raise UserError("no project here that says what the journey splits (--project)")
    with answering(asking.segment) as warehouse:
        most = duration(within, "--within") if within else None
        wanted = question_of(loaded, journey, split, conversion or (), most)
        rows = found(warehouse, wanted, asking.filters)
        notes = not_there(conversion, lambda: event_names(warehouse))
    columns = ["arm", "people", "expected", "converted", "rate", "low", "high"]
    columns += ["difference", "difference_low", "difference_high", "p_value", "ratio_p_value"]
    show([asdict(row) for row in rows], columns, asking.format, f"Experiment {journey}", lambda: intervals(rows), notes)


@question
def person(
    identifier: Annotated[str, typer.Argument(help="type:value such as email:ann@example.com, or a person id.")],
    limit: Annotated[int, typer.Option(min=1, help="Most entries, the newest ones.")] = 1_000,
    from_: From = None,
    to: To = None,
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Everything that happened with one person, over all channels."""
    from pathline.commands.person import normalised
    from pathline.errors import UserError
    from pathline.tables import show
    from sinks.clickhouse.paths.drawings import timeline
    from sinks.clickhouse.person import story

    with answering() as warehouse:
        since, until = span(from_, to)
        found = story(warehouse, normalised(identifier, project_of(project)), limit, since, until)
    if found is None:
        raise UserError(f"nobody is known by {identifier}")
    columns = ("at", "kind", "channel", "what", "detail")
    show(found.timeline, columns, format, f"Person {identifier}", lambda: timeline(found.timeline))
