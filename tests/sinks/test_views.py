"""The views for analysts, against going through everything one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.records import (
    Assignment,
    Change,
    Definitions,
    Event,
    LedgerEntry,
    Move,
    Period,
    SendCommand,
    SlotVersion,
    Update,
)
from sinks.clickhouse import views
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.orders import asked_of, conversions
from sinks.clickhouse.paths.touches import TouchRules
from sinks.clickhouse.person import find
from tests.examples import few
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, MINUTE, T0, decision, event, fill, send, update
from tests.sinks.test_transitions import PEOPLE, happenings

BUY = "Order Completed"
FILES = {
    "project.yaml": "name: shop\ncurrency: EUR\n",
    "channels.yaml": "web: {kind: session}\napp: {kind: session}\nemail: {}\n",
    "events.yaml": f"{BUY}: {{same: properties.order, revenue: properties.paid, undo: [Order Refunded]}}\n",
}
QUIET = [HealthCheck.function_scoped_fixture]


def project(files: dict[str, str] = FILES, at: int = T0, version: str = "v1") -> Definitions:
    return Definitions(version=version, published_at=at, files=files)


@pytest.fixture
def shop(warehouse: Warehouse) -> Iterator[Warehouse]:
    """A warehouse whose views are made of a project."""
    fill(warehouse, [project()])
    views.define(warehouse)
    yield warehouse
    warehouse.command("TRUNCATE TABLE pathline.definitions")
    views.define(warehouse)


def ms(at: Any) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


@given(made=happenings())
@few(6, but=QUIET)
def test_touches_are_those_that_paths_are_made_of(shop: Warehouse, made: tuple[list[Event], list[SendCommand]]) -> None:
    events, sends = made
    for table in ("events_raw", "sends_raw"):
        shop.command(f"TRUNCATE TABLE pathline.{table}")
    fill(shop, [*map(update, events), *sends])
    rules = TouchRules(frozenset({"web", "app"}))
    found = shop.rows("SELECT person_id, at, event_id, channel FROM pathline.touches")
    expected = slow.touches(events, sends, rules)
    assert {(str(row["person_id"]), ms(row["at"]), str(row["event_id"]), row["channel"]) for row in found} == {
        (person_id(who), touch.at, touch.id, touch.node) for who, some in expected.items() for touch in some
    }
    visits = shop.rows("SELECT * FROM pathline.sessions")
    assert {(str(v["person_id"]), ms(v["started_at"]), str(v["event_id"]), v["channel"]) for v in visits} == {
        (person_id(who), touch.at, touch.id, touch.node)
        for who, some in expected.items()
        for touch in some
        if touch.node in rules.sessions
    }
    hits = [e for e in events if e.channel in rules.sessions and e.name not in slow.SHOWS]
    assert sum(visit["events"] for visit in visits) == len(hits)
    for visit in visits:
        of = [
            e.occurred_at
            for e in hits
            if (person_id(e.identifiers[0]), e.channel) == (str(visit["person_id"]), visit["channel"])
            and ms(visit["started_at"]) <= e.occurred_at <= ms(visit["ended_at"])  # type: ignore[operator]
        ]
        assert len(of) == visit["events"]
        assert max(of) == ms(visit["ended_at"])
        assert all(later - earlier < 30 * MINUTE for earlier, later in pairwise(sorted(of)))


@given(made=happenings(), states=st.lists(st.sampled_from(["accepted", "withheld", "failed", "unknown"]), max_size=6))
@few(6, but=QUIET)
def test_a_send_has_what_its_receipts_show(
    engine: Warehouse, made: tuple[list[Event], list[SendCommand]], states: list[str]
) -> None:
    events, sends = made
    for table in ("events_raw", "sends_raw", "ledger"):
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    ledger = {one.send_id: state for one, state in zip(sends, states, strict=False)}
    entries = [
        LedgerEntry(send_id=id, person_id=sends[0].person_id, channel="email", state=state, at=T0)
        for id, last in ledger.items()
        for state in ("handed over", last)
    ]
    fill(engine, [*map(update, events), *sends, *entries])
    found = {
        row["send_id"]: (*(ms(row[f"{what}_at"]) for what in ("sent", "delivered", "opened", "clicked", "bounced")),
                         row["state"])
        for row in engine.rows("SELECT * FROM pathline.sends")
    }  # fmt: skip
    assert found == {one.send_id: folded(one, events, sends, ledger.get(one.send_id, "")) for one in sends}


def folded(one: SendCommand, events: list[Event], sends: list[SendCommand], ledger: str) -> tuple[Any, ...]:
    about = [e for e in events if e.name in slow.SHOWS and slow.send_of(e, sends) == one.send_id]
    first: dict[int, int | None] = {
        depth: min((e.occurred_at for e in about if shown(e) >= depth), default=None) for depth in (1, 2, 3)
    }
    bounced = min((e.occurred_at for e in about if e.name == "Email Bounced"), default=None)
    unsent = ledger in ("withheld", "failed")
    if unsent:
        state = ledger
    elif first[3] is not None:
        state = "clicked"
    elif first[2] is not None:
        state = "opened"
    elif bounced is not None:
        state = "bounced"
    else:
        state = "delivered" if first[1] is not None else "sent"
    return (None if unsent else one.at, first[1], first[2], first[3], bounced, state)


def shown(receipt: Event) -> int:
    return min(slow.SHOWS[receipt.name], 1) if b"machine" in receipt.properties else slow.SHOWS[receipt.name]


def test_replies_and_complaints_have_their_times(warehouse: Warehouse) -> None:
    fill(warehouse, [send("s1", T0), send("s2", T0, who="user_id:u2", to="u2@example.com")])
    fill(warehouse, [
        update(event("Email Replied", T0 + HOUR, channel="email", send_id="s1")),
        update(event("Email Marked as Spam", T0 + HOUR, channel="email", who="user_id:u2", send_id="s2")),
        update(event("Unsubscribed", T0 + DAY, channel="email", who="user_id:u2", send_id="s2")),
    ])  # fmt: skip
    one, two = warehouse.rows("SELECT * FROM pathline.sends ORDER BY send_id")
    assert (one["state"], ms(one["replied_at"]), ms(one["clicked_at"])) == ("replied", T0 + HOUR, T0 + HOUR)
    assert (two["state"], ms(two["complained_at"]), ms(two["unsubscribed_at"])) == ("sent", T0 + HOUR, T0 + DAY)


def test_conversions_are_the_orders_of_the_project(shop: Warehouse) -> None:
    def order(hours: int, name: str = BUY, **properties: Any) -> Update:
        return update(event(name, T0 + hours * HOUR, properties=properties))

    fill(shop, [order(1, order=1, paid=10), order(2, order=1, paid=10), order(3, "Order Refunded", order=1, paid=4)])
    fill(shop, [order(4, order=2, paid=7, currency="CHF"), order(5, order=3, paid=5, currency="eur")])
    found = shop.rows("SELECT * FROM pathline.conversions ORDER BY at")
    assert [(row["name"], row["revenue"], row["currency_without_rate"], row["amount"]) for row in found] == [
        (BUY, 6, "", 6),
        (BUY, None, "CHF", 7),
        (BUY, 5, "", 5),
    ]
    source = conversions(shop, asked_of(parse(FILES)), Filters())
    asked = shop.rows(f"SELECT at FROM {source.sql} ORDER BY at", source.parameters)
    assert [ms(row["at"]) for row in found] == [row["at"] for row in asked]


def test_the_newest_usable_project_decides(shop: Warehouse) -> None:
    fill(shop, [update(event("Page Viewed", T0 + n * MINUTE)) for n in range(3)])
    assert shop.rows("SELECT count() AS n FROM pathline.touches")[0]["n"] == 1
    fill(shop, [project({"project.yaml": "name: shop\n"}, T0 + 1, "v2")], first=1)
    views.define(shop)
    assert shop.rows("SELECT count() AS n FROM pathline.touches")[0]["n"] == 3
    # published again, the first one holds again; one that nobody can read here changes nothing
    fill(shop, [project(at=T0 + 2), project({"project.yaml": "nonsense: ["}, T0 + 3, "v3")], first=2)
    views.define(shop)
    assert shop.rows("SELECT count() AS n FROM pathline.touches")[0]["n"] == 1


def entered(segment: str, at: int, cause: str = "event", change: str = "entered") -> Change:
    return Change(segment=segment, change=change, cause=cause, reason=f"why {at - T0}", at=at)


def changed(who: str, *changes: Change) -> Update:
    return Update(
        kind="timer", person_id=person_id(who), at=changes[0].at, changes=list(changes), slot=slot_of(who), version=1
    )


def merged(who: str, into: str, at: int) -> list[Any]:
    """Records of a merge: all of `who` goes to `into`."""
    move = Move(to=person_id(into), slots=[SlotVersion(slot=slot_of(who), version=2)], reason="merge", at=at)
    period = Period(since=0, person_id=person_id(into), slot=slot_of(who), version=2)
    return [
        Update(kind="move", person_id=person_id(who), at=at, move=move),
        Assignment(identifier=who, version=2, periods=[period]),
    ]


def intervals(warehouse: Warehouse) -> list[tuple[str, int, int | None, str, str]]:
    rows = warehouse.rows("SELECT * FROM pathline.membership_intervals ORDER BY segment, entered_at")
    return [
        (str(row["person_id"]), ms(row["entered_at"]), ms(row["left_at"]), row["entered_cause"], row["left_cause"])  # type: ignore[misc]
        for row in rows
    ]


def test_memberships_are_intervals(warehouse: Warehouse) -> None:
    u1, u2 = PEOPLE[:2]
    fill(warehouse, [
        changed(u1, entered("vip", T0)),
        changed(u1, entered("vip", T0 + 1, "timer", "left"), entered("vip", T0 + 1), entered("~branch", T0 + 1)),
        changed(u2, entered("vip", T0 + 2, "backfill")),
        changed(u1, entered("vip", T0 + 3, "timer", "left")),
    ])  # fmt: skip
    assert intervals(warehouse) == [
        (person_id(u1), T0, T0 + 1, "event", "timer"),
        (person_id(u1), T0 + 1, T0 + 3, "event", "timer"),
        (person_id(u2), T0 + 2, None, "backfill", ""),
    ]
    [open_] = warehouse.rows("SELECT * FROM pathline.membership_intervals WHERE left_at IS NULL")
    assert (open_["entered_reason"], open_["left_reason"]) == ("why 2", "")


def test_a_merge_goes_on_what_the_absorbed_person_began(warehouse: Warehouse) -> None:
    u1, u2 = PEOPLE[:2]
    fill(warehouse, [
        changed(u1, entered("vip", T0)),
        changed(u2, entered("vip", T0 + 5)),
        *merged(u1, u2, T0 + 7),
        changed(u1, entered("vip", T0 + 7, "merge", "left")),
        changed(u2, entered("vip", T0 + 9, "timer", "left")),
        # the survivor enters at the instant the absorbed one leaves
        changed(u1, entered("new", T0 + 1)),
        changed(u1, entered("new", T0 + 7, "merge", "left")),
        changed(u2, entered("new", T0 + 7, "merge")),
    ])  # fmt: skip
    assert intervals(warehouse) == [
        (person_id(u2), T0 + 1, None, "event", ""),
        (person_id(u2), T0, T0 + 9, "event", "timer"),
    ]


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(1, 5)), max_size=12), st.booleans())
@few(6, but=QUIET)
def test_who_was_in_a_segment_when(engine: Warehouse, steps: list[tuple[str, int]], merges: bool) -> None:
    """Each step enters or leaves by turns; with `merges` the first two people are one in the end."""
    for table in ("memberships", "moves", "assignments", "slot_owners"):
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    now, inside, records = T0, dict.fromkeys(PEOPLE, False), []
    expected: dict[int, set[str]] = {}
    for who, pause in steps:
        current = {PEOPLE[1] if merges and one == PEOPLE[0] else one for one, there in inside.items() if there}
        expected |= dict.fromkeys(range(now, now + pause), current)
        now += pause
        inside[who] = not inside[who]
        records.append(changed(who, entered("s", now, change="entered" if inside[who] else "left")))
    fill(engine, records + (merged(PEOPLE[0], PEOPLE[1], now) if merges else []))
    rows = intervals(engine)
    assert all(left is None or left > began for _, began, left, *_ in rows)
    for at, people in expected.items():
        there = [id for id, began, left, *_ in rows if began <= at and (left is None or at < left)]
        assert sorted(there) == sorted(map(person_id, people))


def test_identifiers_are_of_the_person_that_is_found_by_them(warehouse: Warehouse) -> None:
    u1, u2, u3 = PEOPLE
    shared = msgspec.structs.replace(event("Login", T0 + DAY, who=u1), identifiers=[u1, "device_id:d1"])
    refused = msgspec.structs.replace(event("Login", T0 + HOUR, who=u3), identifiers=[u3, "device_id:d1", "email:a:b"])
    alone = event("Page Viewed", T0, who="device_id:d2")
    fill(warehouse, [*map(update, [shared, refused, alone, event("Login", T0, who=u2)]), *merged(u2, u1, T0 + 1)])
    rows = {row["identifier"]: row for row in warehouse.rows("SELECT * FROM pathline.identifiers")}
    assert sorted(rows) == ["device_id:d1", "device_id:d2", "email:a:b", *PEOPLE]
    assert {one: str(row["person_id"]) for one, row in rows.items()} == {one: str(find(warehouse, one)) for one in rows}
    assert (rows["email:a:b"]["type"], rows["email:a:b"]["value"]) == ("email", "a:b")
    assert (ms(rows["device_id:d1"]["first_seen"]), ms(rows["device_id:d1"]["last_seen"])) == (T0 + HOUR, T0 + DAY)


def test_steps_of_a_journey_stand_in_order_at_the_current_person(warehouse: Warehouse) -> None:
    u1, u2 = PEOPLE[:2]
    fill(warehouse, [
        decision(T0, "welcome", "not entered", instance=""),
        decision(T0 + 1, "welcome", "entered"),
        decision(T0 + 2, "welcome", "sent"),
        *merged(u1, u2, T0 + 3),
        decision(T0 + 4, "welcome", "finished", who=u2),
    ])  # fmt: skip
    rows = warehouse.rows("SELECT * FROM pathline.journey_steps ORDER BY at")
    assert {str(row["person_id"]) for row in rows} == {person_id(u2)}
    assert [(row["number"], row["reason"], ms(row["entered_at"])) for row in rows] == [
        (0, "not entered", None),
        (1, "entered", T0 + 1),
        (2, "sent", T0 + 1),
        (3, "finished", T0 + 1),
    ]


def test_the_diagram_shows_what_is_there(warehouse: Warehouse) -> None:
    page = (Path(__file__).parents[2] / "docs" / "warehouse.md").read_text("utf-8")
    there = {(row["table"], row["name"]) for row in warehouse.rows(
        "SELECT table, name FROM system.columns WHERE database = 'pathline'"
    )}  # fmt: skip
    drawn = re.findall(r"^    (\w+) \{\n(.*?)^    \}", page, re.DOTALL | re.MULTILINE)
    shown = {(view, line.split()[1]) for view, lines in drawn for line in lines.splitlines()}
    assert len(drawn) == 10
    assert shown - there == set()
