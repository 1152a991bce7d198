"""History loaded straight into the warehouse."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from schemas.identifiers import person_id, slot_of
from schemas.records import Assignment, Event, Period
from sinks.clickhouse import load
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.load import Counts, Placed, load_events, load_identity
from tests.sinks.made import DAY, T0, event


def placed(events: list[Event]) -> Iterator[Placed]:
    for happened in events:
        who = happened.identifiers[0]
        yield Placed(happened, person_id(who), slot_of(who))


def year(number: int) -> list[Event]:
    return [event("Page Viewed", T0 + n % 365 * DAY + n, id=f"m{n}", who=f"user_id:u{n % 7}") for n in range(number)]


def rows_and_ids(warehouse: Warehouse) -> tuple[int, int]:
    [row] = warehouse.rows("SELECT count() AS n, uniqExact(event_id) AS u FROM pathline.events")
    return row["n"], row["u"]


def test_each_event_is_counted_as_accepted_duplicate_or_rejected(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "CHUNK", 400)
    bad = msgspec.structs.replace(event("A", id="bad"), occurred_at=99_999_999_999_999_999)
    events = [*year(1_000), bad, *year(100)]
    told: list[int] = []
    counts = load_events(warehouse, placed(events), "history.jsonl", lambda so_far: told.append(so_far.accepted))
    assert (counts.accepted, counts.duplicate) == (1_000, 100)
    assert [message for message, _ in counts.rejected] == ["bad"]
    assert rows_and_ids(warehouse) == (1_000, 1_000)
    assert told == [400, 800, 1_000]


def test_an_interrupted_load_is_resumed_by_doing_it_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "CHUNK", 300)

    def interrupted(counts: Counts) -> None:
        if counts.accepted == 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_events(warehouse, placed(year(1_000)), "history.jsonl", interrupted)
    counts = load_events(warehouse, placed(year(1_000)), "history.jsonl")
    assert (counts.accepted, counts.duplicate) == (400, 600)
    assert rows_and_ids(warehouse) == (1_000, 1_000)


def test_rows_of_an_earlier_load_follow_their_person(warehouse: Warehouse) -> None:
    load_events(warehouse, placed(year(70)), "one.jsonl")
    merged = person_id("user_id:u0")
    period = Period(since=0, person_id=merged, slot=slot_of("user_id:u1"), version=2)
    assert load_identity(warehouse, [Assignment(identifier="user_id:u1", version=2, periods=[period])], "two") == 1
    [row] = warehouse.rows("SELECT count() AS n FROM pathline.events WHERE person_id = {id:UUID}", {"id": merged})
    assert row["n"] == 20
