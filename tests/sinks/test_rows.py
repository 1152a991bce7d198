"""What is in the tables after records of the line came, and which records are refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from schemas import lists
from schemas.codec import BadRecord
from schemas.identifiers import person_id, slot_of
from schemas.records import (
    Access,
    Assignment,
    Change,
    Definitions,
    JourneyState,
    LedgerEntry,
    Move,
    Period,
    Refusal,
    SlotVersion,
    Update,
    Wire,
)
from schemas.topics import UPDATES
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.erasure import Names, delete
from sinks.clickhouse.rows import revenue, rows_of
from sinks.clickhouse.squash import squash
from sinks.clickhouse.tables import Origin
from tests.sinks.made import CODEC, DAY, T0, decision, event, fill, send, update

ANN, BOB = "user_id:ann", "email:bob@example.com"


def assignment(identifier: str, person: str, version: int) -> Assignment:
    period = Period(since=0, person_id=person, slot=slot_of(identifier), version=version)
    return Assignment(identifier=identifier, version=version, periods=[period])


def test_an_event_is_a_row_with_the_columns_analysts_rely_on(warehouse: Warehouse) -> None:
    happened = event("Order Completed", who=ANN, channel="store", properties={"total": 12.5, "order_id": "o1"})
    fill(warehouse, [update(happened)])
    [row] = warehouse.rows("SELECT * FROM pathline.events")
    assert row["message_id"] == happened.message_id
    assert str(row["event_id"]) == happened.event_id
    assert row["person_id"] == UUID(person_id(ANN))
    assert (row["slot"], row["channel"], row["name"]) == (slot_of(ANN), "store", "Order Completed")
    assert row["properties"] == '{"total":12.5,"order_id":"o1"}'
    assert (row["revenue"], row["send_id"]) == (12.5, None)
    assert row["occurred_at"].timestamp() * 1000 == T0
    assert row["received_at"].timestamp() * 1000 == T0


def on_list(identifier: str, member: bool, at: int, name: str = "partners") -> Update:
    said = lists.change(name, identifier, member, at)
    slot = slot_of(identifier)
    return Update(kind="list", person_id=person_id(identifier), slot=slot, version=1, at=at, listed=CODEC.encode(said))


def test_what_lists_say_follows_the_person(warehouse: Warehouse) -> None:
    said = [on_list(BOB, True, T0), on_list(ANN, True, T0 + 1), on_list(ANN, False, T0 + 2)]
    fill(warehouse, [*said, assignment(BOB, person_id(ANN), 2)])
    asked = "SELECT identifier, member, toString(person_id) FROM pathline.listed WHERE list = 'partners' ORDER BY at"
    found = [tuple(row.values()) for row in warehouse.rows(asked)]
    assert found == [(BOB, True, person_id(ANN)), (ANN, True, person_id(ANN)), (ANN, False, person_id(ANN))]
    assert warehouse.rows("SELECT * FROM pathline.events") == [], "nothing that the person did"
    # a squash takes overrides that no event needs out of slot_owners
    for _ in squash(warehouse):
        pass
    assert [tuple(row.values()) for row in warehouse.rows(asked)] == found
    delete(warehouse, Names(at=T0 + 9, slots=[slot_of(BOB)]))
    assert [tuple(row.values()) for row in warehouse.rows(asked)] == found[1:]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"revenue": 5, "total": 7}, 5.0),
        ({"total": "7.25"}, 7.25),
        ({"revenue": None, "total": 1}, 1.0),
        ({"revenue": "n/a"}, None),
        ({"revenue": True}, None),
        ({"total": "nan"}, None),
        ({}, None),
    ],
)
def test_revenue_is_revenue_else_total(properties: dict[str, Any], expected: float | None) -> None:
    assert revenue(properties) == expected


def test_reads_see_a_merge_although_rows_keep_the_person_of_their_time(warehouse: Warehouse) -> None:
    fill(warehouse, [update(event("Page Viewed", who=BOB)), assignment(BOB, person_id(ANN), 2)])
    [row] = warehouse.rows("SELECT person_id, person_at FROM pathline.events")
    assert (row["person_id"], row["person_at"]) == (UUID(person_id(ANN)), UUID(person_id(BOB)))
    # and a split takes it back
    fill(warehouse, [assignment(BOB, person_id(BOB), 3)], first=10)
    [row] = warehouse.rows("SELECT person_id FROM pathline.events")
    assert row["person_id"] == UUID(person_id(BOB))


def test_an_event_that_is_ahead_of_its_assignment_keeps_its_person(warehouse: Warehouse) -> None:
    ahead = msgspec.structs.replace(update(event("Page Viewed", who=BOB)), person_id=person_id("user_id:x"), version=3)
    fill(warehouse, [assignment(BOB, person_id(ANN), 2), ahead])
    [row] = warehouse.rows("SELECT person_id FROM pathline.events")
    assert row["person_id"] == UUID(person_id("user_id:x"))


def test_a_send_goes_with_the_address_it_was_sent_to(warehouse: Warehouse) -> None:
    sent = send("s1", T0, who=BOB, to="bob@example.com")
    fill(warehouse, [sent])
    assert warehouse.rows("SELECT person_id FROM pathline.sends") == [{"person_id": UUID(person_id(BOB))}]
    fill(warehouse, [assignment(BOB, person_id(ANN), 2)], first=5)
    assert warehouse.rows("SELECT person_id FROM pathline.sends") == [{"person_id": UUID(person_id(ANN))}]


def test_members_are_those_whose_last_change_was_to_enter(warehouse: Warehouse) -> None:
    entered = Change(segment="vip", change="entered", cause="event", at=T0)
    left = Change(segment="vip", change="left", cause="timer", at=T0 + DAY)
    hidden = Change(segment="~welcome/1/a", change="entered", cause="event", at=T0)
    fill(
        warehouse,
        [
            update(event("A", who=ANN), [entered, hidden]),
            update(event("A", who=BOB), [entered]),
            Update(kind="timer", person_id=person_id(ANN), at=T0 + DAY, changes=[left]),
        ],
    )
    assert warehouse.rows("SELECT segment, person_id FROM pathline.members") == [
        {"segment": "vip", "person_id": UUID(person_id(BOB))}
    ]
    assert len(warehouse.rows("SELECT * FROM pathline.memberships")) == 4


def test_the_newest_profile_counts_and_an_absorbed_person_is_gone(warehouse: Warehouse) -> None:
    old: dict[str, Any] = {"traits": {"city": "Kyiv"}, "segments": [], "addresses": {"email": ["a@x.io"]}}
    new = old | {"traits": {"city": "Lviv"}, "segments": ["vip", "~hidden"]}
    fill(warehouse, [update(event("A", who=ANN), profile=old), update(event("B", who=ANN), profile=new)])
    [row] = warehouse.rows("SELECT identifiers, segments, profile FROM pathline.people")
    assert (row["identifiers"], row["segments"]) == (["email:a@x.io"], ["vip"])
    assert "Lviv" in row["profile"]
    moved = Move(to=person_id(BOB), slots=[SlotVersion(slot=slot_of(ANN), version=2)], reason="merge", at=T0)
    gone = Update(kind="move", person_id=person_id(ANN), at=T0, move=moved, profile=b'{"addresses": {}}')
    fill(warehouse, [gone], first=10)
    assert warehouse.rows("SELECT * FROM pathline.people") == []
    assert warehouse.rows("SELECT slot, version FROM pathline.moves") == [{"slot": slot_of(ANN), "version": 2}]


def test_decisions_refusals_and_the_ledger_have_their_tables(warehouse: Warehouse) -> None:
    refusal = Refusal(a=ANN, b=BOB, reason="limit: email 5", at=T0, source="test")
    accepted = LedgerEntry(send_id="s1", person_id=person_id(ANN), channel="email", state="accepted", at=T0)
    fill(warehouse, [decision(T0, "welcome", "entered"), refusal, accepted])
    assert warehouse.rows("SELECT journey, reason FROM pathline.decisions") == [
        {"journey": "welcome", "reason": "entered"}
    ]
    assert warehouse.rows("SELECT a, b, reason FROM pathline.refusals") == [
        {"a": ANN, "b": BOB, "reason": "limit: email 5"}
    ]
    assert warehouse.rows("SELECT send_id, state FROM pathline.ledger") == [{"send_id": "s1", "state": "accepted"}]


def access(id: str, who: str, outcome: str = "read") -> Access:
    person = person_id(who) if who else ""
    return Access(access_id=id, at=T0, person_id=person, asked_by="email", key="k1", outcome=outcome, fields=["traits"])


def test_who_read_a_profile_is_told_once_and_goes_with_the_person(warehouse: Warehouse) -> None:
    moved = Move(to=person_id(ANN), slots=[SlotVersion(slot=slot_of(BOB), version=2)], reason="merge", at=T0)
    told = [access("a1", BOB), access("a1", BOB), access("a2", ANN), access("a3", "", "unknown")]
    merge = Update(kind="move", person_id=person_id(BOB), at=T0, move=moved)
    fill(warehouse, [*told, merge, assignment(BOB, person_id(ANN), 2)])
    asked = "SELECT access_id, person_id, key, outcome, fields FROM pathline.accesses ORDER BY access_id"
    found = warehouse.rows(asked)
    assert [(row["access_id"], row["person_id"]) for row in found] == [
        ("a1", UUID(person_id(ANN))), ("a2", UUID(person_id(ANN))), ("a3", None),
    ]  # fmt: skip
    assert (found[0]["key"], found[0]["outcome"], found[0]["fields"]) == ("k1", "read", ["traits"])
    delete(warehouse, Names(T0, persons=[person_id(ANN), person_id(BOB)]))
    assert [row["access_id"] for row in warehouse.rows(asked)] == ["a3"]


def test_a_repeated_batch_leaves_no_second_copy(warehouse: Warehouse) -> None:
    months = [update(event("A", T0 + day * DAY, id=f"m{day}")) for day in range(0, 400, 7)]
    for _ in range(2):
        fill(warehouse, months)
    assert warehouse.rows("SELECT count() AS n, uniqExact(event_id) AS u FROM pathline.events") == [{"n": 58, "u": 58}]


def bad_updates() -> dict[str, bytes | None]:
    fine = update(event("A"))

    def with_event(**changed: Any) -> bytes:
        return encoded(msgspec.structs.replace(fine, event=encoded(msgspec.structs.replace(event("A"), **changed))))

    def encoded(record: Wire) -> bytes:
        return CODEC.encode(record)

    return {
        "no value": None,
        "truncated": encoded(fine)[:-3],
        "foreign schema": encoded(event("A")),
        "person that is no uuid": encoded(msgspec.structs.replace(fine, person_id="ann")),
        "event that is no record": encoded(msgspec.structs.replace(fine, event=b"?")),
        "event id that is no uuid": with_event(event_id="x"),
        "time beyond what a column holds": with_event(occurred_at=99_999_999_999_999_999),
        "properties that are no object": with_event(properties=b"[]"),
        "properties that are no JSON": with_event(properties=b"{"),
        "traits that are no UTF-8": with_event(traits=b"\xff"),
    }


@pytest.mark.parametrize("what", bad_updates())
def test_a_record_that_no_row_can_hold_is_refused_by_itself(what: str) -> None:
    with pytest.raises(BadRecord):
        rows_of(CODEC, Origin(UPDATES, 0, 0), bad_updates()[what])


def test_tombstones_and_markers_leave_no_rows() -> None:
    assert rows_of(CODEC, Origin("identity.assignments", 0, 0), None) == []
    assert rows_of(CODEC, Origin("email.ledger", 0, 0), None) == []
    marker = CODEC.encode(Update(kind="marker", person_id="", at=T0))
    assert rows_of(CODEC, Origin(UPDATES, 0, 0), marker) == []
    state = JourneyState(journey="cart", state="paused", at=T0)
    told = CODEC.encode(Update(kind="journey", person_id="", at=T0, journey=state))
    assert rows_of(CODEC, Origin(UPDATES, 0, 0), told) == []
    published = CODEC.encode(Definitions(version="", published_at=T0, files={}, journey=state))
    assert rows_of(CODEC, Origin("definitions", 0, 0), published) == []
