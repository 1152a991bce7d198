"""A line in memory on which records overtake each other as they may on Kafka, and events for it."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from connectors.inbound.segment import to_event
from processors.runtime.contract import Record, Stage
from processors.runtime.memory import MemoryLine
from schemas.clock import VirtualClock
from schemas.definitions.model import Project
from schemas.records import Event

_END = 253_402_300_799_000


class Shuffled(MemoryLine):
    """Per reader, topic and partition records keep their order; nothing else does."""

    def __init__(self, stages: Sequence[Stage], clock: VirtualClock, seed: int) -> None:
        self.random = random.Random(seed)
        self.waiting: dict[tuple[str, str, int], deque[Record]] = defaultdict(deque)
        super().__init__(stages, clock, partitions=3)

    def steps(self, count: int | None = None) -> None:
        """So many turns, or all there are."""
        while count is None or count > 0:
            for record in (*self._published, *self._underway):
                for stage in self._readers.get(record.topic, ()):
                    self.waiting[stage.app, record.topic, record.partition].append(record)
            self._published.clear()
            self._underway.clear()
            ready = [channel for channel, records in self.waiting.items() if records]
            if not ready:
                return
            app, _, partition = channel = self.random.choice(ready)
            record = self.waiting[channel].popleft()
            place = self._places[app, partition]
            self._turn(place, record, place.stage.on_record, record)
            count = None if count is None else count - 1


def happened(project: Project, messages: Iterable[dict[str, Any]]) -> list[Event]:
    """Events of messages, each received when it happened."""
    made = (to_event(m, project.identity, received_at=_END, source="t", use_sent_at=False) for m in messages)
    return [msgspec.structs.replace(event, received_at=event.occurred_at) for event in made]
