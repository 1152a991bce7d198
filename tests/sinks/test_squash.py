"""Squashing changes nothing that is read, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from pathline.cli import app
from schemas import topics
from schemas.definitions import load
from schemas.identifiers import person_id, slot_of
from schemas.records import Assertion, LinkEnvelope
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.erasure import Names, delete
from sinks.clickhouse.owners import reload
from sinks.clickhouse.person import story
from sinks.clickhouse.squash import last_run, squash
from tests.erasure.line import CODEC, Whole
from tests.line.project import Lab, at, identify, track
from tests.sinks.made import DAY, T0, event, fill, update
from tests.sinks.test_rows import assignment

ANNA, TABLET = "user_id:anna", "anonymous_id:tablet"
ANN, BOB, CID, DAN = "user_id:ann", "email:bob@example.com", "anonymous_id:c", "anonymous_id:d"
NOW = {"Bob 1": ANN, "Bob 2": ANN, "Cid 1": DAN, "Dan 1": DAN, "Ann 1": ANN}


def persons(warehouse: Warehouse) -> dict[str, UUID]:
    return {row["name"]: row["person_id"] for row in warehouse.rows("SELECT name, person_id FROM pathline.events")}


def expected(now: dict[str, str]) -> dict[str, UUID]:
    return {name: UUID(person_id(who)) for name, who in now.items()}


def overrides(warehouse: Warehouse) -> set[str]:
    return {row["slot"] for row in warehouse.rows("SELECT slot FROM pathline.slot_owners")}


def merged(warehouse: Warehouse) -> None:
    """Rows of two months; Bob became Ann, Cid became Bob and then Dan."""
    names = [("Bob 1", BOB, 0), ("Bob 2", BOB, 40), ("Cid 1", CID, 0), ("Dan 1", DAN, 0), ("Ann 1", ANN, 0)]
    fill(warehouse, [update(event(name, T0 + days * DAY, who=who)) for name, who, days in names])
    fill(warehouse, [assignment(BOB, person_id(ANN), 2), assignment(CID, person_id(BOB), 2)], first=10)
    fill(warehouse, [assignment(CID, person_id(DAN), 3)], first=20)


def test_rows_have_their_persons_without_overrides(warehouse: Warehouse) -> None:
    merged(warehouse)
    assert persons(warehouse) == expected(NOW)
    said = list(squash(warehouse))
    assert said[1:3] == ["month 202603 (1 of 2): 2 of 3 rows", "month 202604 (2 of 2): 3 of 3 rows"]
    assert said[-1] == "done: 2 overrides are written into the rows, 0 stay"
    assert overrides(warehouse) == set()
    assert persons(warehouse) == expected(NOW)
    # the person of the time stays: earlier ids are found by it
    assert warehouse.rows("SELECT person_at FROM pathline.events WHERE name = 'Bob 1'") == [
        {"person_at": UUID(person_id(BOB))}
    ]
    assert last_run(warehouse) > 0
    assert list(squash(warehouse)) == ["nothing to squash: every row has its current person"]


def test_what_comes_later_counts_as_before(warehouse: Warehouse) -> None:
    merged(warehouse)
    list(squash(warehouse))
    # an old row that was held up, and one that knows already
    fill(warehouse, [update(event("Bob 3", who=BOB))], first=30)
    assert persons(warehouse) == expected(NOW | {"Bob 3": ANN})
    assert overrides(warehouse) == {slot_of(BOB)}
    list(squash(warehouse))
    assert overrides(warehouse) == set()
    fill(warehouse, [update(event("Bob 4", who=BOB))], first=31)
    assert persons(warehouse) == expected(NOW | {"Bob 3": ANN, "Bob 4": ANN})
    # a split takes all of it back
    fill(warehouse, [assignment(BOB, person_id(BOB), 3)], first=40)
    back = dict.fromkeys(("Bob 1", "Bob 2", "Bob 3", "Bob 4"), BOB)
    assert persons(warehouse) == expected(NOW | back)
    list(squash(warehouse))
    fill(warehouse, [update(event("Bob 5", who=BOB))], first=50)
    assert persons(warehouse) == expected(NOW | back | {"Bob 5": BOB})


class Watched:
    """A warehouse with something that happens before each statement."""

    def __init__(self, warehouse: Warehouse, before: Callable[[int], None]) -> None:
        self._warehouse, self._before, self._count = warehouse, before, 0

    def _turn(self) -> None:
        self._before(self._count)
        self._count += 1

    def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        self._turn()
        self._warehouse.command(sql, parameters)

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        self._turn()
        return self._warehouse.rows(sql, parameters)


class Killed(BaseException):
    pass


STATEMENTS = 12


def steps(warehouse: Warehouse, before: Callable[[int], None]) -> Iterator[str]:
    return squash(Watched(warehouse, before))  # type: ignore[arg-type]


def test_a_kill_between_any_two_statements_changes_nothing(warehouse: Warehouse) -> None:
    merged(warehouse)
    count = 0
    for last in range(STATEMENTS + 2):

        def kill(number: int, last: int = last) -> None:
            if number == last:
                raise Killed

        if last % 3 == 0:
            fill(warehouse, [update(event("Bob 2", T0 + 40 * DAY, id=f"b{last}", who=BOB))], first=100 + last)
        try:
            list(steps(warehouse, kill))
            count += 1
        except Killed:
            pass
        # what the next process reads
        reload(warehouse)
        assert persons(warehouse) == expected(NOW)
    assert count > 0, "squash has more statements than are tried"
    assert overrides(warehouse) == set()


@pytest.mark.parametrize("when", range(STATEMENTS))
def test_rows_that_come_meanwhile_keep_their_person(warehouse: Warehouse, when: int) -> None:
    merged(warehouse)

    def late(number: int) -> None:
        assert persons(warehouse) == expected(NOW | ({"Late": ANN} if number > when else {}))
        if number == when:
            fill(warehouse, [update(event("Late", T0 + 3 * DAY, who=BOB))], first=60)
            assert persons(warehouse) == expected(NOW | {"Late": ANN})

    list(steps(warehouse, late))
    assert persons(warehouse) == expected(NOW | {"Late": ANN})


@pytest.mark.parametrize("when", [1, 3, 5, 7])
def test_a_merge_meanwhile_is_seen(warehouse: Warehouse, when: int) -> None:
    merged(warehouse)

    def merge(number: int) -> None:
        if number == when:
            fill(warehouse, [assignment(BOB, person_id(DAN), 3)], first=60)

    list(steps(warehouse, merge))
    after = expected(NOW | {"Bob 1": DAN, "Bob 2": DAN})
    assert persons(warehouse) == after
    list(squash(warehouse))
    assert (persons(warehouse), overrides(warehouse)) == (after, set())


@pytest.mark.parametrize("when", range(STATEMENTS))
def test_an_erasure_meanwhile_leaves_nothing(warehouse: Warehouse, when: int) -> None:
    merged(warehouse)

    def erase(number: int) -> None:
        if number == when:
            delete(warehouse, Names(T0, slots=[slot_of(BOB)]))

    list(steps(warehouse, erase))
    for table in ("events_raw", "slot_owners", "settled_owners"):
        assert warehouse.rows(f"SELECT slot FROM pathline.{table} WHERE slot = '{slot_of(BOB)}'") == []


def test_through_the_line_a_merge_and_a_split_are_seen_squashed_or_not(tmp_path: Path, warehouse: Warehouse) -> None:
    """Each answer from the line in memory and the warehouse behind it, at once after the records."""
    start = round(datetime.fromisoformat(at(days=-1)).timestamp() * 1000)
    line = Whole(load(Lab(tmp_path).folder), start, warehouse)

    def owners() -> dict[str, UUID]:
        line.sink()
        before = persons(warehouse)
        list(squash(warehouse))
        assert persons(warehouse) == before
        return before

    def tell(verb: str) -> None:
        told = Assertion(verb=verb, a=ANNA, b=TABLET, author="ann", reason="brothers", at=line.clock.now())
        line.line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=told)))
        line.line.drain()

    line.happen(track("Alone", at(), None, anonymousId="tablet"))
    assert owners() == expected({"Alone": TABLET})
    line.happen(identify(at(minutes=1), "anna", anonymousId="tablet"))
    line.happen(track("Together", at(minutes=2), None, anonymousId="tablet"))
    assert owners() == expected({"Alone": ANNA, "Identify": ANNA, "Together": ANNA})
    tell("never")
    assert owners() == expected({"Alone": TABLET, "Identify": ANNA, "Together": TABLET})
    tell("unlink")
    line.happen(identify(at(minutes=5), "anna", anonymousId="tablet"))
    assert set(owners().values()) <= {UUID(person_id(ANNA)), UUID(person_id(TABLET))}
    found = story(warehouse, ANNA)
    assert found is not None
    assert found.person_id == person_id(ANNA)


def test_the_command_squashes_through_the_line_that_runs(
    home: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged(warehouse)
    url = json.loads((home / "run" / "line.json").read_text())["warehouse"]

    def squashed() -> Result:
        return CliRunner().invoke(app, ["warehouse", "squash"])

    assert "there is no warehouse in" in squashed().output
    monkeypatch.setattr("pathline.local.current.running_line", lambda: SimpleNamespace(warehouse=url, settings={}))
    told = squashed()
    assert told.exit_code == 0
    assert told.output.splitlines()[-1] == "done: 2 overrides are written into the rows, 0 stay"
    assert persons(warehouse) == expected(NOW)
    url = url.replace("password=pw", "password=wrong")
    assert squashed().exit_code == 1


def test_a_query_that_runs_is_waited_for(warehouse: Warehouse) -> None:
    merged(warehouse)
    running = warehouse.rows

    class Busy(Watched):
        def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
            return [{"n": 1}] if "system.processes" in sql else running(sql, parameters)

    said = list(squash(Busy(warehouse, lambda number: None), patience=0.1))  # type: ignore[arg-type]
    assert "until the next time" in said[-1]
    assert overrides(warehouse) == {slot_of(BOB), slot_of(CID)}
    assert persons(warehouse) == expected(NOW)
