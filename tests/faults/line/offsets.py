"""Committed offsets against what lies in the topics behind them, looked at while a line works."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.runtime.contract import Record
from processors.segments.marks import name_of
from schemas import topics
from schemas.codec import BadRecord, Codec
from schemas.kafka import consumer_config, high_watermarks
from schemas.records import Event, PersonEnvelope, Update
from tests.faults.line.invariants import Figures, Violation

#: who reads what and has to answer each event in it
READS = {"identity": topics.EVENTS, "segments": topics.PEOPLE}
_PATIENCE = 60.0
_CHUNK = 2_000
_TRIES = 10

T = TypeVar("T")
#: (topic, partition)
Part = tuple[str, int]
#: (person, slot, version)
Placement = tuple[str, str, int]


@dataclass(slots=True)
class Trail:
    """Where each event has come by, by the short name of its id: all records have to be shown to `take`.

    An event that waits for state on its way to its person is told of by its placement; those of one placement wait
    until all go on, in order, before any other.
    """

    checked: int = 0
    _codec: Codec = field(default_factory=Codec)
    _waiting: dict[Part, deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(deque))
    _people: dict[int, tuple[int, int, Placement]] = field(default_factory=dict)
    _parked: Counter[Placement] = field(default_factory=Counter)
    _updated: set[int] = field(default_factory=set)
    _before: dict[Part, int] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """A committed record of events, people or updates; what is no record of the line leaves no trail."""
        place = record.topic, record.partition
        try:
            if record.topic == topics.EVENTS:
                name = name_of(self._codec.decode(Event, record.value).event_id)
                self._waiting[place].append((record.offset, name))
            elif record.topic == topics.PEOPLE:
                filed = self._codec.decode(PersonEnvelope, record.value)
                if filed.event is not None:
                    name = name_of(self._codec.decode(Event, filed.event).event_id)
                    placement = filed.person_id, filed.slot, filed.version
                    self._people[name] = record.partition, record.offset, placement
                    self._waiting[place].append((record.offset, name))
            else:
                update = self._codec.decode(Update, record.value)
                placement = update.person_id, update.slot, update.version
                if update.kind == "awaiting":
                    self._parked[placement] += 1
                elif update.event is not None:
                    self._parked[placement] -= self._parked[placement] > 0
                    self._updated.add(name_of(self._codec.decode(Event, update.event).event_id))
        except BadRecord:
            return

    def judge(self, committed: Mapping[Part, int]) -> None:
        """3. What lies before a committed offset was answered, and offsets never go back. All that was committed with
        these offsets must have been taken. Raises Violation."""
        if back := self.back(committed):
            raise Violation(f"committed offsets of {back} went back from {self._before} to {dict(committed)}")
        self._before = dict(committed)
        parked, named = self._parked.copy(), set[int]()
        for place, offset in committed.items():
            waiting, again = self._waiting[place], list[tuple[int, int]]()
            while waiting and waiting[0][0] < offset:
                at, name = waiting.popleft()
                if self._answered(place[0], name, committed):
                    self.checked += 1
                elif place[0] == topics.PEOPLE and (name in named or parked[self._people[name][2]] > 0):
                    parked[self._people[name][2]] -= name not in named
                    named.add(name)
                    again.append((at, name))
                else:
                    raise Violation(f"{place} is committed up to {offset}, and offset {at} left no output")
            waiting.extendleft(reversed(again))

    def back(self, committed: Mapping[Part, int]) -> list[Part]:
        """Where an offset is lower than it was when it was judged before."""
        return [place for place, offset in committed.items() if offset < self._before.get(place, 0)]

    def _answered(self, topic: str, name: int, committed: Mapping[Part, int]) -> bool:
        if topic == topics.EVENTS:
            return name in self._people
        # a person who has moved has its events sent on, back into the same topic
        partition, offset, _ = self._people[name]
        return name in self._updated or offset >= committed[topics.PEOPLE, partition]


class Watch:
    """Follows a line from its beginning. Used in one thread."""

    def __init__(self, brokers: str, partitions: int) -> None:
        self._brokers = brokers
        self._trail = Trail()
        followed = (topics.EVENTS, topics.PEOPLE, topics.UPDATES)
        self._positions = {(topic, number): 0 for topic in followed for number in range(partitions)}
        self._reader = Consumer(consumer_config(brokers, "watch") | {"enable.partition.eof": True, "log_level": 0})
        self._reader.assign([TopicPartition(*place, 0) for place in self._positions])
        self._askers = {app: Consumer(consumer_config(brokers, app) | {"log_level": 0}) for app in READS}
        self._looks = 0

    def look(self) -> None:
        """Compare what is committed now with what is there. Raises Violation."""
        committed = _insist(self._committed)
        again = time.monotonic() + _PATIENCE
        while self._trail.back(committed) and time.monotonic() < again:
            # a broker that was killed tells offsets of long ago while it reads its log of them
            time.sleep(0.5)
            committed = _insist(self._committed)
        # whatever belongs to these offsets lies before these ends: it can be read once its transaction is over
        ends = _insist(lambda: high_watermarks(self._brokers, self._positions))
        deadline = time.monotonic() + _PATIENCE
        while any(self._positions[place] < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                behind = [place for place, end in ends.items() if self._positions[place] < end]
                raise Violation(f"something hides the ends of {behind} from readers")
            for message in self._reader.consume(_CHUNK, 0.1):
                self._take(message)
        self._trail.judge(committed)
        self._looks += 1

    def figures(self) -> Figures:
        """3. How often it was looked, and at how many records."""
        return {"looks": self._looks, "records before committed offsets": self._trail.checked}

    def close(self) -> None:
        """Leave the broker."""
        for client in (self._reader, *self._askers.values()):
            client.close()

    def _committed(self) -> dict[Part, int]:
        found = {}
        for app, topic in READS.items():
            places = [TopicPartition(topic, number) for name, number in self._positions if name == topic]
            for tp in self._askers[app].committed(places, timeout=10):
                if tp.error is not None:
                    raise KafkaException(tp.error)
                found[tp.topic, tp.partition] = max(0, tp.offset)
        return found

    def _take(self, message: Message) -> None:
        error, place = message.error(), (message.topic() or "", message.partition() or 0)
        if error is None:
            self._positions[place] = (message.offset() or 0) + 1
            self._trail.take(Record(*place, message.offset() or 0, 0, message.key(), message.value()))
        elif error.code() == KafkaError._PARTITION_EOF:
            # behind the marker of the last transaction
            self._positions[place] = max(self._positions[place], message.offset() or 0)


def _insist(ask: Callable[[], T]) -> T:
    """What the broker answers, which may just have come back."""
    for _ in range(_TRIES):
        with suppress(KafkaException):
            return ask()
        time.sleep(1)
    return ask()
