"""`pathline report`: the page, its figures, and the commands it names."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest

from schemas.records import Change
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.weekly import WEEK_MS, Span, journeys, newest_week, people, segments, waiting
from tests.sinks.made import DAY, HOUR, T0, decision, event, fill, send, update
from tests.sinks.test_commands import asked, call
from tests.sinks.test_results import SENT, shop

__all__ = ["shop"]
#: T0 is a Sunday
MONDAY = T0 + DAY
WEEK = Span(MONDAY, MONDAY + WEEK_MS)


def page(folder: Path, *options: str) -> str:
    result = call("report", "--output", str(folder / "page.html"), *options)
    assert result.exit_code == 0, result.output
    assert str(folder / "page.html") in result.stdout
    return (folder / "page.html").read_text()


def tile(told: str, name: str) -> str:
    found = re.search(rf">{re.escape(name)}<b>([^<]*)</b>", told)
    assert found, name
    return found[1]


@pytest.mark.usefixtures("shop")
class TestPage:
    def test_its_figures_are_those_of_the_commands_it_names(self, tmp_path: Path) -> None:
        told = page(tmp_path, "--from", "2026-03-01", "--to", "2026-03-08")
        assert (tile(told, "people"), tile(told, "new people")) == ("2", "2")
        rows = asked("paths", "channels", "--from", "2026-03-01", "--to", "2026-03-08")
        assert tile(told, "orders") == str(sum(row["converted"] for row in rows)) == "2"
        assert tile(told, "revenue, EUR") == "30"
        commands = re.findall(r"<code>pathline (paths [^<]*)</code>", told)
        assert {command.split()[1] for command in commands} == {
            "channels", "retention", "flows", "funnel", "dropoff", "attribution", "experiment",
        }  # fmt: skip
        for command in commands:
            words = shlex.split(html.unescape(command).replace("JOURNEY", "promo"))
            assert isinstance(asked(*words), list)

    def test_the_arms_of_a_journey_are_compared(self, warehouse: Warehouse, tmp_path: Path) -> None:
        fill(warehouse, [decision(T0 + 2 * DAY, "promo", "entered", who="user_id:u1")], first=50)
        told = page(tmp_path, "--from", "2026-03-01")
        assert re.search(r"<td>promo</td><td[^>]*>1</td>.*<td>\+100\.0%</td><td[^>]*>0\.157</td>", told)

    def test_it_opens_without_a_network_and_is_readable_in_the_dark(self, tmp_path: Path) -> None:
        told = page(tmp_path, "--from", "2026-03-01", "--steps", "Page Viewed", "--steps", "Bought")
        assert not re.search(r"(src|href)=|url\(|@import|<script", told)
        assert "prefers-color-scheme: dark" in told
        assert "--steps &quot;Page Viewed&quot; --steps Bought" in told

    def test_a_time_that_ends_before_it_begins_is_refused(self, tmp_path: Path) -> None:
        result = call("report", "--from", "2026-03-02", "--to", "2026-03-01", "--output", str(tmp_path / "x"))
        assert result.exit_code == 2
        assert "ends before it begins" in result.output


@pytest.mark.usefixtures("home")
def test_what_is_not_there_is_said_in_plain_words(warehouse: Warehouse, tmp_path: Path) -> None:
    told = page(tmp_path)
    for words in (
        "No channel sent, cost or brought anything", "Nobody touched a channel", "Nobody has been silent",
        "There were no orders", "Nobody has been in a segment yet", "No journey has decided anything",
        "Nobody is inside a journey", "Nothing failed", "There are not two kinds of events",
    ):  # fmt: skip
        assert words in told
    assert tile(told, "people") == "0"
    # a week nobody told costs of was not free
    assert (tile(told, "orders"), tile(told, "cost, USD")) == ("0", "\N{EN DASH}")
    fill(warehouse, [update(event("Bought"))])
    assert tile(page(tmp_path, "--to", "2026-03-02"), "people") == "1"


@pytest.mark.parametrize(
    ("newest", "now", "begins"),
    [
        (MONDAY + 8 * DAY, MONDAY + 9 * DAY, MONDAY),
        # the Sunday was reached, and is over by the clock; or not yet
        (MONDAY + 6 * DAY, MONDAY + 7 * DAY, MONDAY),
        (MONDAY + 6 * DAY, MONDAY + 7 * DAY - 1, MONDAY - WEEK_MS),
        (MONDAY + 6 * DAY - 1, MONDAY + 30 * DAY, MONDAY - WEEK_MS),
        # what is ahead of the clock says nothing
        (MONDAY + 300 * DAY, MONDAY + 9 * DAY, MONDAY),
    ],
)
def test_the_newest_full_week(warehouse: Warehouse, newest: int, now: int, begins: int) -> None:
    fill(
        warehouse,
        [update(event("A", MONDAY + HOUR)), update(event("A", MONDAY + 6 * DAY - 1)), update(event("B", newest))],
    )
    if newest > now:
        fill(warehouse, [update(event("C", MONDAY + 8 * DAY))], first=9)
    assert newest_week(warehouse, now) == Span(begins, begins + WEEK_MS)


def test_people_segments_and_who_waits(warehouse: Warehouse) -> None:
    def change(what: str, at: int) -> list[Change]:
        return [Change(segment="vip", change=what, cause="event", at=at)]

    fill(
        warehouse,
        [
            update(event("A", MONDAY - DAY), change("entered", MONDAY - DAY)),
            update(event("A", MONDAY), change("left", MONDAY)),
            update(event("A", MONDAY, who="user_id:u2"), change("entered", MONDAY)),
            update(event("A", WEEK.until, who="user_id:u3"), change("entered", WEEK.until)),
            send(SENT, MONDAY),
            decision(MONDAY, "promo", "entered"),
            decision(MONDAY + HOUR, "promo", "sent"),
            decision(MONDAY - DAY, "promo", "entered", who="user_id:u2", instance="i2"),
            decision(MONDAY, "promo", "finished", who="user_id:u2", instance="i2"),
            decision(WEEK.until, "promo", "finished"),
        ],
    )
    found = people(warehouse, WEEK)
    assert (found.active, found.new) == (2, 1)
    assert segments(warehouse, WEEK) == [{"segment": "vip", "people": 1, "before": 1, "entered": 1, "left": 1}]
    assert journeys(warehouse, WEEK) == [{"journey": "promo", "entered": 1, "sent": 1, "goals": 0, "waiting": 1}]
    [row] = waiting(warehouse, WEEK)
    assert (row["last"], row["people"], row["median_seconds"]) == ("sent", 1, 7 * 86_400)
    assert json.dumps(row)
