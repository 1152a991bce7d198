"""A line in one process: an in-memory broker with a virtual clock, on which simulation and most tests run stages.

Deterministic: topics are one queue in the order of production, wakes fire by due time, then order of the stages, rank
and key. State and records go through bytes as they do on Kafka; effects of a turn count at its end.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, TypeVar, cast

from processors.runtime.contract import Calling, Record, Stage, Table
from processors.runtime.deadletters import cause_record, dead_letter
from processors.runtime.partitioner import partition_of
from processors.runtime.store import WAKE_PREFIX, WAKES, MemoryStore, wake_of
from processors.runtime.turns import Sent, Work
from schemas.clock import VirtualClock
from schemas.dead_letters import meant_for
from schemas.topics import catalogue

S = TypeVar("S")

_SINGLE = frozenset(topic.name for topic in catalogue([]) if topic.partitions == 1)


@dataclass(slots=True)
class _Place:
    """One stage on one partition."""

    stage: Stage
    order: int
    partition: int
    store: MemoryStore


class MemoryLine:
    """Stages on a broker in memory.

    `outputs` holds every record by topic, those published from outside too. With `performing` False, calls are lost as
    if the process had died before them.
    """

    def __init__(self, stages: Sequence[Stage], clock: VirtualClock, partitions: int = 1) -> None:
        self.clock = clock
        self.outputs: dict[str, list[Record]] = defaultdict(list)
        self.performing = True
        self._partitions = partitions
        self._offsets: dict[tuple[str, int], int] = defaultdict(int)
        self._published: deque[Record] = deque()
        self._underway: deque[Record] = deque()
        self._wakes: list[tuple[int, int, bytes, int]] = []
        self._runner = asyncio.Runner()
        self._places: dict[tuple[str, int], _Place] = {}
        self._readers: dict[str, list[Stage]] = {}
        self._stages: list[Stage] = []
        self.restart(stages)

    def restart(self, stages: Sequence[Stage]) -> None:
        """Run these stages instead, on the state that the ones of the same app left."""
        self._stages, self._wakes = list(stages), []
        self._readers = defaultdict(list)
        for order, stage in enumerate(stages):
            for topic in stage.inputs:
                self._readers[topic].append(stage)
            for partition in range(self._count(stage.inputs[0])):
                known = self._places.get((stage.app, partition))
                store = known.store if known else MemoryStore()
                place = self._places[stage.app, partition] = _Place(stage, order, partition, store)
                self._ask(place, list(store.scan(*WAKES)))
                cause = cause_record(stage.app, "assigned", partition, "", self.clock.now())
                self._turn(place, cause, stage.on_assigned)

    def publish(
        self, topic: str, key: str, value: bytes | None, partition: int | None = None, raw_key: bytes | None = None
    ) -> None:
        """A record from outside the line; it is taken by the next `drain` or `advance`.

        `raw_key` is for keys that are not text.
        """
        sent = Sent(topic, key.encode() if raw_key is None else raw_key, value, partition)
        self._published.append(self._append(sent))

    def drain(self) -> None:
        """Take each published record through all stages before the next one."""
        self._settle()
        while self._published:
            self._underway.append(self._published.popleft())
            self._settle()

    def advance(self, until_ms: int) -> None:
        """Move the clock to `until_ms`, firing every wake due up to and including it, each with `now` = its due time
        (the clock's time if that is later), and draining after each."""
        self.drain()
        while self._wakes and self._wakes[0][0] <= until_ms:
            wake = heappop(self._wakes)
            while self._wakes and self._wakes[0] == wake:
                heappop(self._wakes)
            self.clock.at = max(self.clock.at, wake[0])
            self._fire(*wake)
            self._settle()
        self.clock.at = max(self.clock.at, until_ms)

    def next_wake(self) -> int | None:
        """Due time of the earliest wake asked for, None when nothing is."""
        return self._wakes[0][0] if self._wakes else None

    def state(self, app: str, table: Table[S], key: str) -> S | None:
        """State of an app under a key, whichever partition it is in."""
        places = [place for (name, _), place in self._places.items() if name == app]
        found = (Work(place.partition, place.store).get(table, key) for place in places)
        return next((value for value in found if value is not None), None)

    def states(self, app: str, table: Table[S]) -> Iterator[tuple[str, S]]:
        """All (key, state) of a table, by partition and key."""
        for (name, partition), place in self._places.items():
            if name == app:
                yield from Work(partition, place.store).scan(table)

    def close(self) -> None:
        """Close the event loop that calls ran on."""
        self._runner.close()

    def _fire(self, due: int, order: int, raw: bytes, partition: int) -> None:
        stage = self._stages[order]
        place = self._places[stage.app, partition]
        key = wake_of(raw)[0]
        cause = cause_record(stage.app, "wake", partition, key, due)
        self._turn(place, cause, stage.on_wake, key, due, fired=raw)

    def _count(self, topic: str) -> int:
        return 1 if topic in _SINGLE else self._partitions

    def _append(self, sent: Sent) -> Record:
        partition = sent.partition
        if partition is None:
            partition = partition_of(sent.key or b"", self._count(sent.topic))
        offset = self._offsets[sent.topic, partition]
        self._offsets[sent.topic, partition] = offset + 1
        record = Record(sent.topic, partition, offset, self.clock.now(), sent.key, sent.value, sent.headers)
        self.outputs[sent.topic].append(record)
        return record

    def _settle(self) -> None:
        while self._underway:
            record = self._underway.popleft()
            for stage in self._readers.get(record.topic, ()):
                if not meant_for(stage.app, record.headers):
                    continue
                place = self._places[stage.app, record.partition]
                self._turn(place, record, stage.on_record, record)

    def _turn(
        self, place: _Place, cause: Record, step: Callable[..., None], *arguments: Any, fired: bytes | None = None
    ) -> None:
        """One turn, its effects, then the calls it asked for, each with its result."""
        now, work = self.clock.now(), Work(place.partition, place.store, careful=True)
        if fired is not None:
            work.fired(fired)
        error = work.run(now, step, *arguments)
        changes = list(work.changes())
        place.store.apply(changes)
        self._ask(place, changes)
        self._underway.extend(self._append(sent) for sent in work.sent)
        if error is not None:
            letter = dead_letter(cause, place.stage.app, error, now, place.partition)
            self._underway.append(self._append(letter))
        for key, request in work.calls if self.performing else ():
            answer = self._runner.run(cast(Calling, place.stage).perform(request))
            cause = cause_record(place.stage.app, "result", place.partition, key, now)
            self._turn(place, cause, place.stage.on_result, key, answer)

    def _ask(self, place: _Place, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for raw, value in changes:
            if raw.startswith(WAKE_PREFIX) and value is not None:
                heappush(self._wakes, (wake_of(raw)[1], place.order, raw, place.partition))
