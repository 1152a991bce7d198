"""History loaded straight into the warehouse."""

from __future__ import annotations

import msgspec
import pytest

from schemas.erasure import mark
from schemas.identifiers import person_id, slot_of
from schemas.records import Assignment, Event, Period
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.load import History, Placed
from sinks.clickhouse.rows import event_row
from sinks.clickhouse.seen import Seen
from sinks.clickhouse.tables import Origin, arrow
from tests.sinks.made import DAY, T0, event


def placed(events: list[Event]) -> list[Placed]:
    return [
        Placed(happened, person_id(who), slot_of(who), position=position)
        for position, happened in enumerate(events)
        for who in happened.identifiers[:1]
    ]


def year(number: int) -> list[Event]:
    return [event("Page Viewed", T0 + n % 365 * DAY + n, id=f"m{n}", who=f"user_id:u{n % 7}") for n in range(number)]


def test_what_is_there_is_told_with_its_place_and_what_is_not_never(warehouse: Warehouse) -> None:
    first = History(warehouse, "a.jsonl")
    assert first.maybe(year(500)) == []
    assert first.insert(placed(year(500))) == []
    again = History(warehouse, "a.jsonl")
    events = year(600)
    maybe = again.maybe(events)
    assert {one.event_id for one in maybe} >= {one.event_id for one in events[:500]}
    there = {(one.event_id, one.identifiers[0]): position for position, one in enumerate(events[:500])}
    assert again.present(maybe) == there
    assert (first.begun, again.begun) == (False, True)


def test_columns_made_at_once_are_those_made_row_by_row(warehouse: Warehouse) -> None:
    events = [
        event("A", T0 + n, id=f"m{n}", properties=given, send_id=sent)
        for n, (given, sent) in enumerate(
            [
                ({}, None),
                ({"total": "12.5"}, "s1"),
                ({"revenue": 3, "total": 4}, None),
                ({"revenue": "x"}, "s"),
                ({"é": "\\"}, None),
            ]
        )
    ]
    events[0] = msgspec.structs.replace(events[0], identifiers=["user_id:ö", "email:a@b.co"])
    History(warehouse, "a").insert(placed(events))
    columns = "* EXCEPT (offset)"
    bulk = warehouse.rows(f"SELECT {columns} FROM pathline.events_raw ORDER BY message_id")
    warehouse.command("TRUNCATE TABLE pathline.events_raw")
    rows = [
        event_row(one.event, bytes.fromhex(one.person_id.replace("-", "")), one.slot, 1, Origin("load a", 0, 0))
        for one in placed(events)
    ]
    warehouse.insert("events_raw", arrow("events_raw", rows), "other")
    assert warehouse.rows(f"SELECT {columns} FROM pathline.events_raw ORDER BY message_id") == bulk


def test_an_event_that_no_row_can_hold_is_told_and_keeps_no_other_back(warehouse: Warehouse) -> None:
    sound, bad = event("A", id="good"), msgspec.structs.replace(event("A", id="bad"), properties=b"\xff")
    left = History(warehouse, "a").insert(placed([bad, sound]))
    assert [(one.event.message_id, reason[:10]) for one, reason in left] == [("bad", "properties")]
    assert [row["message_id"] for row in warehouse.rows("SELECT message_id FROM pathline.events")] == ["good"]


def test_events_of_the_erased_are_left_out(warehouse: Warehouse) -> None:
    row = ("slot", mark(slot_of("user_id:u1")), T0, "updates", 0, 0)
    warehouse.insert("erasures", arrow("erasures", [row]), "erased")
    left = History(warehouse, "a").insert(placed(year(7)))
    assert [(one.event.message_id, reason) for one, reason in left] == [("m1", "of somebody who was erased")]
    assert warehouse.rows("SELECT count() AS n FROM pathline.events")[0]["n"] == 6


def test_rows_of_an_earlier_load_follow_their_person(warehouse: Warehouse) -> None:
    history = History(warehouse, "one.jsonl")
    history.insert(placed(year(70)))
    merged = person_id("user_id:u0")
    period = Period(since=0, person_id=merged, slot=slot_of("user_id:u1"), version=2)
    history.insert_identity([Assignment(identifier="user_id:u1", version=2, periods=[period])], 1)
    [row] = warehouse.rows("SELECT count() AS n FROM pathline.events WHERE person_id = {id:UUID}", {"id": merged})
    assert row["n"] == 20


@pytest.mark.parametrize("bits", [8, 20])
def test_ids_that_were_added_are_always_known_again(bits: int) -> None:
    seen, ids = Seen(bits), [one.event_id for one in year(300)]
    first = seen.add(ids[:200])
    assert len(first) < 5 or bits == 8
    assert set(seen.add(ids)) >= set(range(200))
