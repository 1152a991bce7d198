"""The questions of a Monday on one page: what is new, what pays, where people go and where they stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pathline.tables import as_html
from schemas.reasons import HELD_OUT
from schemas.receipts import DEPTHS
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.membership import sizes
from sinks.clickhouse.paths import orders, weekly
from sinks.clickhouse.paths.attempts import Question as Steps
from sinks.clickhouse.paths.attribution import Question as Reach
from sinks.clickhouse.paths.attribution import attribution
from sinks.clickhouse.paths.channels import Channels, channels
from sinks.clickhouse.paths.channels import Question as Returns
from sinks.clickhouse.paths.cohorts import Cohorts
from sinks.clickhouse.paths.costs import prices_of
from sinks.clickhouse.paths.drawings import heat_map, returns
from sinks.clickhouse.paths.dropoff import dropoff
from sinks.clickhouse.paths.experiment import Arm, experiment, question_of
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.flows import flows
from sinks.clickhouse.paths.funnel import funnel
from sinks.clickhouse.paths.models import MODELS
from sinks.clickhouse.paths.page import asked, colour, heading, note, page, tiles
from sinks.clickhouse.paths.pictures import bars, funnel_bars, models_side_by_side, sankey
from sinks.clickhouse.paths.retention import retention
from sinks.clickhouse.paths.sizes import lines
from sinks.clickhouse.paths.touches import Nodes, TouchRules
from sinks.clickhouse.paths.walks import Question as Anchors
from sinks.clickhouse.paths.weekly import DAY_MS, Span

if TYPE_CHECKING:
    from schemas.definitions import Project

#: what takes longer than a week is asked of so many milliseconds; touches and silences reach back as far
_MONTH = 30 * DAY_MS
#: most segments that are drawn
_SEGMENTS = 12
#: weeks of cohorts that are shown
_COHORTS = 12


@dataclass(frozen=True, slots=True)
class Report:
    """What is asked: of which time, with which touches, by which project. `steps` are those of the funnel, empty for
    the usual ones."""

    span: Span
    rules: TouchRules
    project: Project | None
    steps: tuple[str, ...] = ()

    @property
    def filters(self) -> Filters:
        return Filters(self.span.since, self.span.until)

    @property
    def month(self) -> Filters:
        """The 30 days up to the end."""
        return Filters(self.span.until - _MONTH, self.span.until)

    @property
    def monthly(self) -> str:
        """Their options."""
        return f"--from {_instant(self.span.until - _MONTH)} --to {_instant(self.span.until)}"

    @property
    def dates(self) -> str:
        """The options of the time, as on the command line."""
        return f"--from {_instant(self.span.since)} --to {_instant(self.span.until)}"

    @property
    def touch(self) -> str:
        """The option of the touches."""
        return f"--touch {next(name for name, depth in DEPTHS.items() if depth == self.rules.depth)}"

    def returns(self, campaigns: bool = False) -> Returns:
        """The question what channels brought."""
        return Returns(self.conversions, prices_of(self.project), self.rules, _MONTH, campaigns)

    @property
    def conversions(self) -> orders.Asked:
        return orders.asked_of(self.project)


def draw(warehouse: Warehouse, report: Report) -> str:
    """The page. Raises BadQuestion."""
    span = report.span
    found = channels(warehouse, report.returns(), report.filters)
    parts = [
        note(f"{_day(span.since)} to {_day(span.until - 1)} (UTC), beside the {_days(span)} days before."),
        *_new(warehouse, report, found),
        *_channels(report, found),
        *_flows(warehouse, report),
        *_funnel(warehouse, report),
        *_silent(warehouse, report),
        *_models(warehouse, report),
        *_returning(warehouse, report),
        *_segments(warehouse, report),
        *_journeys(warehouse, report),
        *_waiting(warehouse, report),
        *_failures(warehouse, report),
    ]
    return page(f"The week from {_day(span.since)}", *parts)


def _new(warehouse: Warehouse, report: Report, found: Channels) -> Iterator[str]:
    last = Filters(report.span.before.since, report.span.before.until)
    now, then = weekly.people(warehouse, report.span), weekly.people(warehouse, report.span.before)
    sums, earlier = _sums(found), _sums(channels(warehouse, report.returns(), last))
    currency = report.conversions.currency
    yield heading("What is new?")
    yield tiles(
        [
            ("people", *_compared(now.active, then.active), "people with an event of any kind in the week"),
            ("new people", *_compared(now.new, then.new), "people whose first event ever was in the week"),
            ("orders", *_compared(sums["converted"], earlier["converted"]), "each order once, without those undone"),
            (f"revenue, {currency}", *_compared(sums["revenue"], earlier["revenue"]), "of these orders, less refunds"),
            (f"cost, {currency}", *_compared(sums["cost"], earlier["cost"]), "messages, cost files and fees"),
            ("messages", *_compared(sums["sent"], earlier["sent"]), "messages that went out, in all channels"),
        ]
    )
    yield asked(
        "Each figure and, below it, how it differs from the time before. A person counts once, whatever was used; "
        "orders, refunds and currencies are told by events.yaml.",
        f"pathline paths channels {report.dates} {report.touch}",
        f"pathline paths retention --period week {report.dates}",
    )


def _sums(found: Channels) -> dict[str, float | None]:
    """Over all channels; the cost is None where nobody told any."""
    sums = {name: sum(getattr(row, name) for row in found.rows) for name in ("converted", "revenue", "sent")}
    costs = [row.cost for row in found.rows if row.cost is not None]
    return {**sums, "cost": sum(costs) if costs else None}


def _channels(report: Report, found: Channels) -> Iterator[str]:
    yield heading("Which channels pay?")
    columns = ("channel", "sent", "delivered", "opened", "clicked", "converted", "cost", "revenue", "margin", "roas")
    rows = [asdict(row) | {"margin": row.margin, "roas": row.roas} for row in found.rows]
    if rows:
        yield returns(found.rows, report.conversions.currency) + as_html(rows, columns)
    else:
        yield note("No channel sent, cost or brought anything in this time.")
    for currency in sorted({*found.unknown_costs, *found.unknown_revenue}):
        yield note(f"Amounts in {currency} are not in these sums: no rate is known (pathline load RATES.csv).")
    yield asked(
        "An order belongs to the last touch before it, at most 30 days earlier; (none) had no touch. Margin is revenue "
        "less cost, roas revenue by cost, empty without a cost.",
        f"pathline paths channels {report.dates} {report.touch}",
    )


def _flows(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("How do people go through the channels?")
    rows = flows(warehouse, Nodes(rules=report.rules), Anchors(depth=4, top=6, collapse=True), report.month)
    yield sankey([(row.step, row.origin, row.target, row.count) for row in rows]) or note(
        "Nobody touched a channel in the 30 days up to the end of this time."
    )
    yield asked(
        "The first four steps of each person in the 30 days up to the end of this time. A message counts as a touch "
        "once it got as far as --touch; a channel that follows itself is one step; (end) means that nothing followed.",
        f"pathline paths flows --depth 4 --top 6 --collapse {report.monthly} {report.touch}",
    )


def _funnel(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("How far do they get?")
    steps = report.steps or _usual(warehouse, report)
    command = f"pathline paths funnel {' '.join(f'--steps {_quoted(name)}' for name in steps)} --within 30d"
    if len(steps) < 2:
        yield note("There are not two kinds of events in this time to make a funnel of; name them by --steps.")
        return
    found = funnel(warehouse, Steps(steps, _MONTH), report.month, drops=True)
    yield funnel_bars(found) if found.steps[0].people else note(f"Nobody had the first step, {steps[0]}.")
    yield asked(
        "The 30 days up to the end of this time. A person counts for the furthest step of its best attempt; without "
        "--steps these are the two things that most people do, and the conversion.",
        f"{command} {report.monthly}",
    )


def _usual(warehouse: Warehouse, report: Report) -> tuple[str, ...]:
    names = report.conversions.names
    undone = [name for rule in report.conversions.rules.values() for name in rule.undo]
    month = Span(report.span.until - _MONTH, report.span.until)
    usual = weekly.usual_steps(warehouse, month, [*names, *undone])
    return (*usual, names[0]) if usual else ()


def _silent(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("Where do people drop off?")
    rows = dropoff(warehouse, Nodes(rules=report.rules), _MONTH, Filters(until=report.span.until))
    lengths = [(row.last, row.silent, f"{row.rate:.1%} of those here") for row in rows[:12] if row.silent]
    yield bars(lengths, colour(3)) if lengths else note("Nobody has been silent for 30 days.")
    yield asked(
        "People without a touch for 30 days, by the channel of their last one; beside it the share of all who were "
        "ever there.",
        f"pathline paths dropoff --silence 30d --to {_instant(report.span.until)} {report.touch}",
    )


def _models(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("What earned the orders?")
    found = attribution(
        warehouse, MODELS, Nodes(rules=report.rules), report.conversions, Reach(_MONTH), report.filters,
        prices_of(report.project),
    )  # fmt: skip
    shares = {model: {row.node: row.conversions for row in rows} for model, rows in found.items()}
    some = any(value for of in shares.values() for value in of.values())
    yield models_side_by_side(shares) if some else note("There were no orders in this time.")
    yield asked(
        "The same orders, shared out by eight rules among the touches of the 30 days before each. Where they agree, "
        "trust them; where they differ, an experiment tells.",
        f"pathline paths attribution --model all --lookback 30d {report.dates} {report.touch}",
    )


def _returning(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("Who comes back?")
    rows = retention(warehouse, Cohorts("week", most=_COHORTS), "", Filters(until=report.span.until))
    newest = sorted({row.cohort for row in rows})[-_COHORTS:]
    cells = [(row.cohort, row.period, row.people, row.rate, f"{row.rate:.0%}") for row in rows if row.cohort in newest]
    yield heat_map(cells, "week") if cells else note("Nobody was there before the end of this time.")
    yield asked(
        f"Of the people whose first event was in the week of the row, the share with an event so many weeks later; the "
        f"newest {_COHORTS} weeks with new people.",
        f"pathline paths retention --period week --to {_instant(report.span.until)}",
    )


def _segments(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("How large are the segments?")
    rows = weekly.segments(warehouse, report.span)
    month = Span(report.span.until - _MONTH, report.span.until)
    history = sizes(warehouse, month, DAY_MS)
    shown = {row["segment"]: history[row["segment"]] for row in rows[:_SEGMENTS]}
    yield lines({name: [(one.at, one.people) for one in of] for name, of in shown.items()}) if shown else ""
    yield _table(rows, ("segment", "people", "before", "entered", "left"), "Nobody has been in a segment yet.")
    yield asked(
        f"Drawn are the {_SEGMENTS} largest, day by day over 30 days, each on its own scale. Below, people at the end "
        "of this time and at its beginning, and how often someone entered or left within it.",
        f"pathline segments show SEGMENT {report.monthly}",
        f"pathline segments members SEGMENT --at {_instant(report.span.until)} --format csv",
    )


def _journeys(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("What did the journeys do?")
    messages: dict[str, dict[str, float]] = {}
    for row in channels(warehouse, report.returns(campaigns=True), report.filters).rows:
        into = messages.setdefault(row.campaign, {"opened": 0, "clicked": 0, "converted": 0, "revenue": 0.0})
        for name in into:
            into[name] += getattr(row, name)
    nothing = {"opened": 0, "clicked": 0, "converted": 0, "revenue": 0.0}
    rows = [
        row | messages.get(row["journey"], nothing) | _lift(warehouse, report, row["journey"])
        for row in weekly.journeys(warehouse, report.span)
    ]
    columns = ("journey", "entered", "sent", "opened", "clicked", "goals", "converted", "revenue", "waiting")
    yield _table(rows, (*columns, "lift", "p_value"), "No journey has decided anything yet.")
    yield asked(
        "Entered, sent and goals are decisions of this time; opened and clicked are of its messages; converted and "
        "revenue are orders whose last touch was one of them; waiting are those inside at the end. Lift is how much "
        "more of the people convert than of those held out, over all history, with the p-value of the difference; it "
        "is empty where nobody is held out.",
        f"pathline paths channels --by campaign {report.dates} {report.touch}",
        f"pathline paths experiment JOURNEY --to {_instant(report.span.until)}",
    )


def _lift(warehouse: Warehouse, report: Report, journey: str) -> dict[str, Any]:
    """The greatest difference of an arm to those held out."""
    arms: Sequence[Arm] = ()
    if report.project is not None:
        try:
            question = question_of(report.project, journey)
            arms = experiment(warehouse, question, Filters(until=report.span.until))
        except BadQuestion:
            # not measured: no goal, or nobody is held out
            arms = ()
    told = [arm for arm in arms if arm.difference is not None and HELD_OUT in {other.arm for other in arms}]
    best = max(told, key=lambda arm: arm.difference or 0.0, default=None)
    if best is None or best.difference is None:
        return {"lift": None, "p_value": None}
    return {"lift": f"{best.difference:+.1%}", "p_value": best.p_value}


def _waiting(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("Who waits?")
    rows = weekly.waiting(warehouse, report.span)
    yield _table(rows[:20], ("journey", "step", "last", "people", "median_seconds"), "Nobody is inside a journey.")
    yield asked(
        "People inside a journey at the end of this time, by the last that was decided for them, and half of them for "
        "longer than told.",
        "SELECT journey, step, reason, at FROM pathline.decisions WHERE person_id = ...",
    )


def _failures(warehouse: Warehouse, report: Report) -> Iterator[str]:
    yield heading("What failed?")
    rows = weekly.failures(warehouse, report.span)
    yield _table(rows[:20], ("what", "where", "why", "count", "people"), "Nothing failed in this time.")
    yield asked(
        "Messages that a provider refused or lost, those that bounced or were called spam, and what journeys could not "
        "send. Records that no stage could read are no part of it: they are dead letters.",
        "SELECT * FROM pathline.ledger WHERE state IN ('refused', 'failed', 'unknown')",
        "pathline dead-letters list",
    )


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> str:
    return as_html(rows, columns) if rows else note(empty)


def _compared(now: float | None, then: float | None) -> tuple[str, str]:
    if now is None:
        return "\N{EN DASH}", "nobody told any" if then is None else f"nobody told any ({_told(then)} before)"
    if not then:
        return _told(now), "none before" if now else "none before either"
    return _told(now), f"{now / then - 1:+.1%} ({_told(then)} before)"


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


def _days(span: Span) -> str:
    return f"{(span.until - span.since) / DAY_MS:g}"


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


def _instant(at: int) -> str:
    told = datetime.fromtimestamp(at / 1000, UTC)
    return f"{told:%Y-%m-%d}" if at % DAY_MS == 0 else f"{told:%Y-%m-%dT%H:%M:%S}"
