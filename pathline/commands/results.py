"""`pathline paths` about results: channels, retention, lifetime value, drop-off, experiments, one person."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
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
    column_of,
    duration,
    filters,
    project_of,
    touch_rules,
)

Conversion = Annotated[
    list[str] | None,
    typer.Option(help="Event that is a conversion; default: those with a revenue in events.yaml.", show_default=False),
]
Period = Annotated[str, typer.Option(help="day, week or month.")]
Periods = Annotated[int, typer.Option(help="Most periods.")]
Start = Annotated[str, typer.Option(help="Event that begins; default: a person's first of any kind.")]
Place = Annotated[str, typer.Option(help="channel, campaign, source or property:NAME: cohorts by where, not by when.")]


def channels(
    by: Annotated[str, typer.Option(help="channel, or campaign: a row for each campaign of a channel.")] = "channel",
    conversion: Conversion = None,
    lookback: Annotated[str, typer.Option(help="How long before a conversion its last touch may be.")] = "30d",
    touch: Touch = "clicked",
    session_gap: Gap = "30m",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """What each channel sent, how far it got, what it cost and brought."""
    from pathline.tables import show
    from sinks.clickhouse.paths.channels import Question
    from sinks.clickhouse.paths.channels import channels as found
    from sinks.clickhouse.paths.costs import prices_of
    from sinks.clickhouse.paths.drawings import returns
    from sinks.clickhouse.paths.orders import asked_of

    if by not in ("channel", "campaign"):
        raise typer.BadParameter(f"{by!r} is none of channel, campaign", param_hint="--by")
    loaded = project_of(project)
    question = Question(
        asked_of(loaded, conversion or ()),
        prices_of(loaded),
        touch_rules(project, touch, session_gap),
        duration(lookback, "--lookback"),
        campaigns=by == "campaign",
    )
    with answering() as warehouse:
        answer = found(warehouse, question, filters(from_, to, segment, where))
    _tell_unknown("costs", answer.unknown_costs)
    _tell_unknown("revenue", answer.unknown_revenue)
    columns = ["channel", "sent", "delivered", "opened", "clicked", "converted", "cost", "revenue", "margin", "roas"]
    if question.campaigns:
        columns.insert(1, "campaign")
    rows = [asdict(row) | {"margin": row.margin, "roas": row.roas} for row in answer.rows]
    title = f"Channels, in {question.prices.currency}"
    show(rows, columns, format, title, lambda: returns(answer.rows, question.prices.currency))


def retention(
    period: Period = "week",
    start: Start = "",
    returning: Annotated[str, typer.Option("--return", help="Event that is a return; default: any.")] = "",
    by: Place = "",
    periods: Periods = 12,
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Who of those that began together comes back, period by period."""
    from pathline.tables import show
    from sinks.clickhouse.paths.cohorts import Cohorts
    from sinks.clickhouse.paths.drawings import heat_map
    from sinks.clickhouse.paths.retention import retention as found

    cohorts = Cohorts(period, start, by, touch_rules(project, "clicked", "30m"), periods)
    with answering() as warehouse:
        rows = found(warehouse, cohorts, returning, filters(from_, to, segment, where))
    told = [asdict(row) | {"rate": row.rate} for row in rows]
    cells = [(row.cohort, row.period, row.people, row.rate, f"{row.rate:.0%}") for row in rows]
    title = f"Retention by {column_of(by) or period}"
    show(told, ("cohort", "period", "people", "returned", "rate"), format, title, lambda: heat_map(cells, period))


def ltv(
    period: Period = "month",
    start: Start = "",
    conversion: Conversion = None,
    by: Place = "",
    periods: Periods = 12,
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """What people who began together have brought so far, period by period."""
    from pathline.tables import show
    from sinks.clickhouse.paths import orders
    from sinks.clickhouse.paths.cohorts import Cohorts
    from sinks.clickhouse.paths.drawings import heat_map
    from sinks.clickhouse.paths.ltv import ltv as found

    asked = orders.asked_of(project_of(project), conversion or ())
    cohorts = Cohorts(period, start, by, touch_rules(project, "clicked", "30m"), periods)
    chosen = filters(from_, to, segment, where)
    with answering() as warehouse:
        rows = found(warehouse, cohorts, asked, chosen)
        unknown = orders.unknown(warehouse, orders.conversions(warehouse, asked, chosen))
    _tell_unknown("revenue", unknown)
    told = [asdict(row) | {"per_person": row.per_person} for row in rows]
    cells = [(row.cohort, row.period, row.people, row.per_person, f"{row.per_person:,.2f}") for row in rows]
    columns = ("cohort", "period", "people", "buyers", "orders", "revenue", "per_person")
    title = f"Lifetime value by {column_of(by) or period}, {asked.currency} per person"
    show(told, columns, format, title, lambda: heat_map(cells, period))


def dropoff(
    silence: Annotated[str, typer.Option(help="So long without a touch is silence.")] = "30d",
    by: Annotated[str, typer.Option(help="channel, campaign, source, event or property:NAME.")] = "channel",
    touch: Touch = "clicked",
    session_gap: Gap = "30m",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    where: Where = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """What people did last before they fell silent."""
    from pathline.tables import show
    from sinks.clickhouse.paths.dropoff import dropoff as found
    from sinks.clickhouse.paths.page import colour
    from sinks.clickhouse.paths.pictures import bars
    from sinks.clickhouse.paths.touches import Nodes

    asked = Nodes(by, touch_rules(project, touch, session_gap))
    with answering() as warehouse:
        rows = found(warehouse, asked, duration(silence, "--silence"), filters(from_, to, segment, where))
    lengths = [(row.last, row.silent, f"{row.rate:.1%} of those here") for row in rows[:20]]
    columns = ("last", "silent", "people", "share", "rate", "median_seconds")
    title = f"Last {column_of(by)} before {silence} of silence"
    show([asdict(row) for row in rows], columns, format, title, lambda: bars(lengths, colour(3)))


def experiment(
    journey: Annotated[str, typer.Argument(help="Name of the journey.")],
    split: Annotated[str, typer.Option(help="Id of the split, where the journey has several.")] = "",
    conversion: Annotated[
        list[str] | None, typer.Option(help="Event that counts; default: the journey's goal.", show_default=False)
    ] = None,
    within: Annotated[str, typer.Option(help="Time from the arm on; default: that of the goal.")] = "",
    from_: From = None,
    to: To = None,
    segment: Segment = "",
    project: ProjectFolder = None,
    format: Format = "table",
) -> None:
    """Whether the arms of a journey's split differ, and from those who were held out."""
    from pathline.errors import UserError
    from pathline.tables import show
    from sinks.clickhouse.paths.drawings import intervals
    from sinks.clickhouse.paths.experiment import experiment as found
    from sinks.clickhouse.paths.experiment import question_of

    loaded = project_of(project)
    if loaded is None:
        raise UserError("no project here that says what the journey splits (--project)")
    with answering() as warehouse:
        most = duration(within, "--within") if within else None
        question = question_of(loaded, journey, split, conversion or (), most)
        rows = found(warehouse, question, filters(from_, to, segment, ""))
    columns = ["arm", "people", "expected", "converted", "rate", "low", "high"]
    columns += ["difference", "difference_low", "difference_high", "p_value", "ratio_p_value"]
    show([asdict(row) for row in rows], columns, format, f"Experiment {journey}", lambda: intervals(rows))


def person(
    identifier: Annotated[str, typer.Argument(help="type:value such as email:ann@example.com, or a person id.")],
    limit: Annotated[int, typer.Option(min=1, help="Most entries, the newest ones.")] = 1_000,
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
        found = story(warehouse, normalised(identifier, project_of(project)), limit)
    if found is None:
        raise UserError(f"nobody is known by {identifier}")
    columns = ("at", "kind", "channel", "what", "detail")
    show(found.timeline, columns, format, f"Person {identifier}", lambda: timeline(found.timeline))


def _tell_unknown(what: str, amounts: Counter[str]) -> None:
    """Beside the answer, so that programs read the rows alone."""
    for currency, amount in sorted(amounts.items()):
        typer.echo(f"{what} without {amount:,.2f} {currency}: no rate is known (pathline load RATES.csv)", err=True)
