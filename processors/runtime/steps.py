"""One transaction's worth of turns of a stage, before anything of it counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from processors.runtime.calls import Result
from processors.runtime.contract import BadRecord, Record, Stage
from processors.runtime.deadletters import cause_record, dead_letter
from processors.runtime.membership import Entry
from processors.runtime.partition import Partition
from processors.runtime.store import wake_of
from processors.runtime.turns import Sent, Work
from schemas.clock import Clock
from schemas.dead_letters import meant_for

#: Seconds after which no further turn is started: a slow stage then takes smaller transactions.
BUDGET_SECONDS = 0.25
WAKE_SECONDS = 0.25
_LOOK_AT_CLOCK_EVERY = 32


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, what caused it and why."""

    cause: Record
    error: BadRecord
    sent: Sent


@dataclass(slots=True)
class Outcome:
    """What the turns of one transaction left. `taken` entries were looked at; `bad` are the places of dead letters
    among the records of a partition."""

    works: dict[int, Work] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    progress: dict[tuple[str, int], Record | None] = field(default_factory=dict)
    next: dict[tuple[str, int], int] = field(default_factory=dict)
    passed: dict[int, bytes] = field(default_factory=dict)
    welcomed: set[int] = field(default_factory=set)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    wakes: Counter[int] = field(default_factory=Counter)
    taken: int = 0
    records: int = 0
    bad: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def sent(self) -> Iterable[Sent]:
        """All records to produce, by partition in the order of turns, dead letters last."""
        for work in self.works.values():
            yield from work.sent
        yield from (letter.sent for letter in self.letters)

    def effects(self) -> bool:
        """Whether anything is to be sent or called."""
        return bool(self.letters) or any(work.sent or work.calls for work in self.works.values())


class Steps:
    """Runs turns, until `room` calls were asked for or the time is over.

    `careful` finds the turn that makes a state too large, at the price of encoding every change.
    """

    def __init__(
        self,
        stage: Stage,
        clock: Clock,
        partitions: dict[int, Partition],
        wake_limit: int,
        room: int | None,
        *,
        careful: bool = False,
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._partitions = partitions
        self._wake_limit = wake_limit
        self._room = room
        self._careful = careful
        self._deadline = time.monotonic() + BUDGET_SECONDS
        self._now = clock.now()
        self._outcome = Outcome()

    def run(self, entries: list[Entry], results: list[Result]) -> Outcome:
        """First turns on new partitions, then results, records and timers that are due.

        Raises whatever the stage raises except BadRecord.
        """
        for partition in self._partitions.values():
            if partition.restored and not partition.welcomed:
                cause = cause_record(self._stage.app, "assigned", partition.number, "", self._now)
                self._turn(cause, self._stage.on_assigned)
                self._outcome.welcomed.add(partition.number)
        for result in results:
            owner = self._partitions.get(result.partition)
            if owner is not None and owner.epoch == result.epoch:
                cause = cause_record(self._stage.app, "result", result.partition, result.key, self._now)
                self._turn(cause, self._stage.on_result, result.key, result.answer)
        self._records(entries)
        self._wakes()
        return self._outcome

    def _records(self, entries: list[Entry]) -> None:
        outcome, on_record, now = self._outcome, self._stage.on_record, self._now
        # records of one partition come in long runs: what can be done once a run is not done for each of them
        for source, run in groupby(self._while_there_is_time(entries), _source):
            work, last, before = None, None, outcome.records
            for entry in run:
                outcome.taken += 1
                last = entry
                if isinstance(entry, tuple):
                    continue
                work = work or self._work(entry.partition)
                if not entry.headers or meant_for(self._stage.app, entry.headers):
                    error = work.run(now, on_record, entry)
                    if error is not None:
                        self._reject(entry, error)
                        place = outcome.counts[source] + outcome.records - before
                        outcome.bad.setdefault(source, []).append(place)
                outcome.records += 1
                outcome.next[source] = entry.offset + 1
            outcome.progress[source] = None if isinstance(last, tuple) else last
            outcome.counts[source] += outcome.records - before

    def _while_there_is_time(self, entries: list[Entry]) -> Iterator[Entry]:
        for number, entry in enumerate(entries):
            if number and number % _LOOK_AT_CLOCK_EVERY == 0 and time.monotonic() > self._deadline:
                return
            if self._room is not None and self._full():
                return
            yield entry

    def _wakes(self) -> None:
        """Fire what is due, the partition that is latest first; in time of its own, as records would starve timers."""
        deadline = time.monotonic() + WAKE_SECONDS
        waiting = [p for p in self._partitions.values() if p.restored and p.next_due is not None]
        for partition in sorted(waiting, key=lambda p: p.next_due or 0):
            until = partition.reached(self._clock, self._now, self._outcome.progress)
            for raw in partition.due(until, self._wake_limit):
                if time.monotonic() > deadline or self._full():
                    return
                self._fire(partition.number, raw)

    def _fire(self, number: int, raw: bytes) -> None:
        key, due = wake_of(raw)
        self._work(number).fired(raw)
        self._turn(cause_record(self._stage.app, "wake", number, key, due), self._stage.on_wake, key, due)
        self._outcome.passed[number] = raw
        self._outcome.wakes[number] += 1

    def _turn(self, cause: Record, step: Callable[..., None], *arguments: Any) -> None:
        error = self._work(cause.partition).run(self._now, step, *arguments)
        if error is not None:
            self._reject(cause, error)

    def _reject(self, cause: Record, error: BadRecord) -> None:
        letter = dead_letter(cause, self._stage.app, error, self._now, cause.partition)
        self._outcome.letters.append(Letter(cause, error, letter))

    def _full(self) -> bool:
        return self._room is not None and sum(len(w.calls) for w in self._outcome.works.values()) >= self._room

    def _work(self, number: int) -> Work:
        work = self._outcome.works.get(number)
        if work is None:
            work = self._outcome.works[number] = Work(number, self._partitions[number].store, careful=self._careful)
        return work


def _source(entry: Entry) -> tuple[str, int]:
    return entry if isinstance(entry, tuple) else (entry.topic, entry.partition)
