"""What came out of the demo, told to a newcomer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pathline.demo.run import caught
from pathline.local.stack import Stack
from pathline.report import Report, draw
from schemas.definitions import Project, load
from schemas.receipts import SENT
from sinks.clickhouse.engine import Warehouse, open_server
from sinks.clickhouse.paths.attempts import Question
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.funnel import funnel
from sinks.clickhouse.paths.sources import source_of
from sinks.clickhouse.paths.touches import Nodes, TouchRules
from sinks.clickhouse.paths.transitions import transitions
from sinks.clickhouse.paths.weekly import newest_week

FUNNEL = Question(("Campaign Mailed", "Coupon Redeemed", "Order Completed"), within=60 * 86_400_000)
TOP = 10


def tell(console: Console, stack: Stack, home: Path, project: Path) -> None:
    """Counts, segments, journeys, paths, and where to look next."""
    warehouse = open_server(stack.line.warehouse, prepare=False)
    totals(console, warehouse, caught(home))
    rows(console, "Segments", warehouse, SEGMENTS)
    rows(console, "Journeys", warehouse, JOURNEYS)
    loaded = load(project)
    rules = rules_of(loaded)
    paths(console, warehouse, rules)
    picture = home / "report.html"
    span = newest_week(warehouse, stack.settings.make_clock().now())
    picture.write_text(draw(warehouse, Report(span, rules, loaded)), "utf-8")
    next_steps(console, stack, warehouse)
    console.print("\nThe last full week as a picture, to open in a browser:", style="bold")
    console.print(f"  {picture}", highlight=False, soft_wrap=True)


TOTALS = """
SELECT count() AS events, uniqExact(event_id) AS unique_events, uniqExact(person_id) AS persons,
       round(sum(revenue)) AS revenue
FROM pathline.events
"""
SEGMENTS = """
SELECT segment, countIf(change = 'entered') AS entered, countIf(change = 'left') AS left,
       countIf(change = 'entered') - countIf(change = 'left') AS in_it_now
FROM pathline.memberships WHERE segment NOT LIKE '~%' GROUP BY segment ORDER BY segment
"""
JOURNEYS = """
SELECT journey, reason, count() AS decisions, uniqExact(person_id) AS people
FROM pathline.decisions GROUP BY journey, reason ORDER BY journey, decisions DESC, reason
"""


def totals(console: Console, warehouse: Warehouse, mails: int) -> None:
    [row] = warehouse.rows(TOTALS)
    console.print(
        f"\n{row['events']:,} events of {row['persons']:,} persons are in the warehouse "
        f"({row['unique_events']:,} of them different), revenue {row['revenue']:,.0f}; {mails:,} e-mails were caught.",
        highlight=False,
    )


def rows(console: Console, title: str, warehouse: Warehouse, sql: str) -> None:
    show(console, title, warehouse.rows(sql))


def rules_of(project: Project) -> TouchRules:
    """What a touch is here: nobody clicks in these e-mails, so one that was sent counts."""
    sessions = frozenset(channel.name for channel in project.channels.values() if channel.kind == "session")
    return TouchRules(sessions, depth=SENT, source=source_of(project.sources))


def paths(console: Console, warehouse: Warehouse, rules: TouchRules) -> None:
    steps = transitions(warehouse, Nodes(rules=rules), Filters())[:TOP]
    show(
        console,
        f"Top {TOP} transitions between channels (pathline paths transitions --by channel --touch sent)",
        [
            {
                "from": step.origin,
                "to": step.target,
                "count": f"{step.count:,}",
                "people": f"{step.people:,}",
                "median": days(step.median_seconds),
            }
            for step in steps
        ],
    )
    show(
        console,
        "From the mailed campaign to the till, within 60 days (pathline paths funnel)",
        [
            {
                "step": step.name,
                "people": f"{step.people:,}",
                "of the first": share(step.from_first),
                "of the one before": share(step.from_previous),
                "median": days(step.median_seconds),
                "": "#" * round(20 * (step.from_first or 0)),
            }
            for step in funnel(warehouse, FUNNEL, Filters()).steps
        ],
    )


def next_steps(console: Console, stack: Stack, warehouse: Warehouse) -> None:
    home = Path(stack.line.home)
    shown = home.relative_to(Path.cwd()) if home.is_relative_to(Path.cwd()) else home
    console.print("\nWhere to look next:", style="bold")
    for what, command in (
        (
            "one household's story",
            f"PATHLINE_HOME={shown} .venv/bin/pathline person loyalty_card:{household(warehouse)}",
        ),
        ("other paths", f"PATHLINE_HOME={shown} .venv/bin/pathline paths funnel --help"),
        ("the e-mails", f"{shown}/mailbox/"),
        ("segments and journeys", "definitions/"),
        ("a line of your own", ".venv/bin/pathline up"),
    ):
        console.print(f"  {what:<22} {command}", highlight=False, soft_wrap=True)


def household(warehouse: Warehouse) -> str:
    """A household that got an e-mail and bought afterwards, else any."""
    found = warehouse.rows(
        "SELECT identifiers[1] AS card FROM pathline.events WHERE startsWith(identifiers[1], 'loyalty_card:') "
        "GROUP BY card ORDER BY countIf(name = 'Coupon Redeemed') DESC, card LIMIT 1"
    )
    return str(found[0]["card"]).partition(":")[2] if found else "1"


def show(console: Console, title: str, found: list[dict[str, Any]]) -> None:
    console.print(f"\n{title}", style="bold", highlight=False)
    if not found:
        console.print("  nothing", highlight=False)
        return
    table = Table(*found[0], box=None, padding=(0, 2, 0, 0))
    for row in found:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table, highlight=False)


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def days(seconds: float | None) -> str:
    """A span of time in the unit that fits."""
    if seconds is None:
        return ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
