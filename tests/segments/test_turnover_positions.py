"""What comes in while a new segment is filled from history: before any turn of the stage it counts once, no half answer
is given, and the progress that is told goes one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pathline.turnover.following import Progress
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions.model import Did, Measure
from schemas.records import Backfill, Move, PersonEnvelope, SlotVersion
from tests.segments.lab import Line, event, project

T = 1_700_000_000_000
PARTITIONS = 2
U1, COOKIE = "user_id:u1#0", "anonymous_id:c#0"
#: views that P, with a cookie that is its own by now, has in its history, and those of the cookie among them
ALL, OF_THE_COOKIE = 4, 2


class Interrupted(MemoryLine):
    """Something comes in before one turn of the stage."""

    def __init__(self, *arguments: Any) -> None:
        self.turns = 0
        self.position: int | None = None
        self.interrupt: Callable[[], PersonEnvelope] | None = None
        self.encode: Callable[[Any], bytes] = bytes
        super().__init__(*arguments)

    def _turn(self, place: Any, cause: Any, *arguments: Any, **more: Any) -> None:
        # a partition takes what comes in behind its own records
        if self.position is not None and cause.topic != topics.PEOPLE:
            self.turns += 1
            if self.turns == self.position and self.interrupt is not None:
                comes, self.interrupt = self.interrupt(), None
                self.publish(topics.PEOPLE, comes.person_id, self.encode(comes))
                record = self._published.pop()
                there = self._places["segments", record.partition]
                self._turn(there, record, there.stage.on_record, record)
        super()._turn(place, cause, *arguments, **more)


class Filling(Line):
    """A line with a history, on which segments that count it are new."""

    def __init__(self) -> None:
        counts = {n: Did(("View",), at_least=n, at_most=n) for n in range(ALL + 3)}
        new = project(
            {f"exactly {n}": condition for n, condition in counts.items()},
            version="v1",
            traits={"views": Measure("count", ("View",))},
        )
        super().__init__(project({}, version="v0"), new, partitions=PARTITIONS, history=True)
        self.line = interrupted = Interrupted([self.stage], VirtualClock(), PARTITIONS)
        interrupted.encode = self.codec.encode
        self.interrupted = interrupted
        self.apply("v0", T)
        for at in range(1, 1 + OF_THE_COOKIE):
            self.happen(self.view(at, "anonymous_id:c"), person="C", slot=COOKIE)
        for at in range(3, 3 + ALL - OF_THE_COOKIE):
            self.happen(self.view(at, "user_id:u1"))

    def view(self, at: int, who: str) -> Any:
        return event("View", T + at, identifiers=[who])

    def envelope(self, at: int, who: str, person: str, slot: str, version: int = 1) -> PersonEnvelope:
        told = self.codec.encode(self.view(at, who))
        return PersonEnvelope(kind="event", person_id=person, slot=slot, version=version, event=told)

    def fill(self, position: int, interrupt: Callable[[], PersonEnvelope]) -> bool:
        """Go over to the new version, with something coming in before that turn; False when there are not so many."""
        self.interrupted.position, self.interrupted.interrupt = position, interrupt
        self.apply("v1", T + 100)
        self.until(T + 200)
        return self.interrupted.interrupt is None

    def views(self, person: str = "P") -> Any:
        return self.profile(person)["traits"].get("views")

    def judge(self, before: int, after: int, person: str = "P") -> None:
        """A person who had so many views before and has so many now: history tells of the one and what comes then of
        the other, or history of both together. No other number of views was ever told."""
        told = [(c.at, c.segment, c.change, c.cause) for who, c in self.changes if who == person]
        first, last = f"exactly {before}", f"exactly {after}"
        cause = told[-1][-1]
        assert told == sorted(told, key=lambda one: one[0])
        assert (told[0][1:], {one[1:] for one in told[1:]}) in (
            ((last, "entered", "backfill"), set()),
            ((first, "entered", "backfill"), {(first, "left", cause), (last, "entered", cause)}),
        )
        assert len(told) in (1, 3)
        assert cause in ("backfill", "event", "merge", "split")
        assert self.views(person) == after


def moved(line: Filling, to: str, origin: str, version: int, reason: str) -> PersonEnvelope:
    there = Move(to=to, slots=[SlotVersion(slot=COOKIE, version=version)], reason=reason, at=line.line.clock.now())
    return PersonEnvelope(kind="move", person_id=origin, move=there)


def at_every_position(tell: Callable[[Filling], Callable[[], PersonEnvelope]], check: Callable[[Filling], None]) -> int:
    """How many positions there were."""
    for position in range(1, 1_000):
        line = Filling()
        if not line.fill(position, tell(line)):
            return position - 1
        try:
            check(line)
        except AssertionError as error:
            raise AssertionError(f"when it came before turn {position}: {error}") from error
    pytest.fail("it never ends")


def test_an_event_of_a_person_counts_once_whenever_it_comes() -> None:
    def join(line: Filling) -> Callable[[], PersonEnvelope]:
        line.move("C", "P", {COOKIE: 2}, at=T + 20)
        return lambda: line.envelope(150, "user_id:u1", "P", U1)

    assert at_every_position(join, lambda line: line.judge(ALL, ALL + 1)) > 20


def test_an_event_for_a_slot_that_has_moved_counts_once_at_its_person_whenever_it_comes() -> None:
    def join(line: Filling) -> Callable[[], PersonEnvelope]:
        line.move("C", "P", {COOKIE: 2}, at=T + 20)
        return lambda: line.envelope(150, "anonymous_id:c", "C", COOKIE)

    assert at_every_position(join, lambda line: line.judge(ALL, ALL + 1)) > 20


def test_a_merge_joins_the_histories_whenever_it_comes() -> None:
    def check(line: Filling) -> None:
        line.judge(ALL - OF_THE_COOKIE, ALL)

    assert at_every_position(lambda line: lambda: moved(line, "P", "C", 2, "merge"), check) > 20


def test_a_split_gives_back_the_history_of_its_slot_whenever_it_comes() -> None:
    def part(line: Filling) -> Callable[[], PersonEnvelope]:
        line.move("C", "P", {COOKIE: 2}, at=T + 20)
        return lambda: moved(line, "C", "P", 3, "split")

    def check(line: Filling) -> None:
        line.judge(ALL, ALL - OF_THE_COOKIE)
        assert line.views("C") == OF_THE_COOKIE

    assert at_every_position(part, check) > 20


def test_the_progress_told_goes_one_way_and_ends_with_all_that_was_to_be_read() -> None:
    line = Filling()
    line.move("C", "P", {COOKIE: 2}, at=T + 20)
    line.fill(10, lambda: line.envelope(150, "user_id:u1", "P", U1))
    progress, told = Progress(), []
    for record in line.line.outputs[topics.SEGMENTS_BACKFILL]:
        assert record.value is not None
        before = sum(one.read for one in progress.partitions.values())
        progress.take(line.codec.decode(Backfill, record.value))
        if progress.definitions == "v1":
            read = sum(one.read for one in progress.partitions.values())
            assert before <= read <= sum(one.upto for one in progress.partitions.values())
            told.append(read)
    assert progress.done(PARTITIONS)
    assert {"exactly 1", "trait:views"} <= progress.waiting
    offsets = {number: one.upto for number, one in progress.partitions.items()}
    assert {number: one.read for number, one in progress.partitions.items()} == offsets
    assert sum(one.persons for one in progress.partitions.values()) == len({"P", "C"})
    assert len(set(told)) > PARTITIONS, "not at once"
