"""What a run left in Kafka and on disk, as a reader of committed records sees it, gathered while the run goes on."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.runtime.contract import Record
from processors.runtime.store import state_key
from schemas.kafka import client_config, consumer_config
from schemas.topics import DEAD_LETTERS, changelog
from tests.faults.runtime.job import PERSONS, Counted, Event, Job, Person, Woken, output

PATIENCE = 60.0
_CHUNK = 10_000
_PERSON = state_key(PERSONS, "")

Place = tuple[str, int, int]
"""(topic, partition, offset)"""


@dataclass
class Evidence:
    """Everything committed so far.

    `inputs` are those of clients by (topic, partition), without handoffs; the n-th has offset n, as no transactions
    were used for them. `ends` is the offset after the last record of each partition of an input.
    """

    inputs: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    counted: list[tuple[str, Counted]] = field(default_factory=list)
    woken: list[tuple[str, Woken, int]] = field(default_factory=list)
    letters: dict[Place, list[Record]] = field(default_factory=lambda: defaultdict(list))
    state: dict[int, dict[bytes, bytes]] = field(default_factory=lambda: defaultdict(dict))
    changes: Counter[int] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    ends: Counter[tuple[str, int]] = field(default_factory=Counter)

    def has(self, record: Record) -> bool:
        """Whether the event in this input is answered, and known to the state."""
        try:
            event, key = msgspec.json.decode(record.value or b"", type=Event), (record.key or b"").decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        data = self.state[record.partition].get(state_key(PERSONS, key))
        return event.id in self.answered and data is not None and event.id in PERSONS.decode(data).received

    def persons(self) -> dict[str, Person]:
        """State under all keys by the changelog."""
        return {
            raw[len(_PERSON) :].decode(): PERSONS.decode(data)
            for state in self.state.values()
            for raw, data in state.items()
            if raw.startswith(_PERSON)
        }

    def pending(self) -> int:
        """Timers asked for and not fired."""
        return sum(1 for state in self.state.values() for raw in state if raw.startswith(b"w"))


class Gatherer:
    """Follows the topics of a job. Used in one thread."""

    def __init__(self, brokers: str, job: Job, partitions: int) -> None:
        self.evidence = Evidence()
        self._job = job
        self._changelog = changelog(job.app)
        own = [(topic, n) for topic in (*job.inputs, job.out, self._changelog) for n in range(partitions)]
        self._positions = dict.fromkeys(own, 0)
        config = consumer_config(brokers, f"{job.app}-gatherer") | {"enable.partition.eof": True}
        self._reader = Consumer(config | {"fetch.wait.max.ms": 50, "queued.min.messages": 100_000, "log_level": 0})
        # what is behind an open transaction can be seen by one that reads uncommitted records only
        uncommitted = {"group.id": "unused", "isolation.level": "read_uncommitted", "log_level": 0}
        self._bound = Consumer(client_config(brokers) | uncommitted)
        self._asker = Consumer(consumer_config(brokers, job.app) | {"log_level": 0})
        letters = len(self._asker.list_topics(DEAD_LETTERS, timeout=30).topics[DEAD_LETTERS].partitions)
        self._positions.update({(DEAD_LETTERS, n): 0 for n in range(letters)})
        self._reader.assign([TopicPartition(*place, 0) for place in self._positions])

    def committed(self) -> dict[tuple[str, int], int]:
        """Offsets committed by the job, 0 where none are. Raises KafkaException."""
        inputs = [TopicPartition(topic, n) for topic, n in self._positions if topic in self._job.inputs]
        found = self._asker.committed(inputs, timeout=10)
        failed = next((tp.error for tp in found if tp.error is not None), None)
        if failed is not None:
            raise KafkaException(failed)
        return {(tp.topic, tp.partition): max(0, tp.offset) for tp in found}

    def gather(self) -> None:
        """Read everything that is committed now. Raises KafkaException, TimeoutError."""
        ends = {place: self._end(place) for place in self._positions}
        behind = {place for place, end in ends.items() if self._positions[place] < end}
        deadline = time.monotonic() + PATIENCE
        while behind:
            if time.monotonic() > deadline:
                raise TimeoutError(f"could not be read to their end: {sorted(behind)}")
            for message in self._reader.consume(_CHUNK, 0.05):
                self._take(message)
            behind = {place for place in behind if self._positions[place] < ends[place]}

    def written(self) -> dict[tuple[str, int], int]:
        """End of each partition with what is in open transactions. Raises KafkaException."""
        return {place: self._end(place, self._bound) for place in self._positions}

    def has_read(self, written: Mapping[tuple[str, int], int]) -> bool:
        """Whether all of this was gathered, or found to be aborted."""
        return all(self._positions[place] >= end for place, end in written.items())

    def hidden(self) -> list[tuple[str, int]]:
        """Partitions with records that an open transaction hides from readers. Raises KafkaException."""
        return [place for place, end in self.written().items() if self._end(place) < end]

    def close(self) -> None:
        """Leave the broker."""
        self._bound.close()
        self._reader.close()
        self._asker.close()

    def _end(self, place: tuple[str, int], asker: Consumer | None = None) -> int:
        return int((asker or self._asker).get_watermark_offsets(TopicPartition(*place), timeout=10)[1])

    def _take(self, message: Message) -> None:
        error, place = message.error(), (message.topic() or "", message.partition() or 0)
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                # behind the marker of the last transaction
                self._positions[place] = max(self._positions[place], message.offset() or 0)
            return
        self._positions[place] = (message.offset() or 0) + 1
        found, (topic, number) = self.evidence, place
        if topic in self._job.inputs:
            found.ends[place] = self._positions[place]
        if topic == self._changelog:
            found.changes[number] += 1
            raw, value = message.key() or b"", message.value()
            if value is None:
                found.state[number].pop(raw, None)
            else:
                found.state[number][raw] = value
        elif topic == self._job.out:
            key, said = (message.key() or b"").decode(), output(message.value())
            if isinstance(said, Counted):
                found.counted.append((key, said))
                found.answered.add(said.id)
            else:
                found.woken.append((key, said, message.timestamp()[1]))
        elif topic == DEAD_LETTERS:
            letter = _record(message)
            # others on the broker leave theirs in the same topic, some without an app
            if dict(letter.headers).get("app") == self._job.app.encode():
                found.letters[origin_of(letter)].append(letter)
        elif topic in self._job.inputs[:2]:
            found.inputs[place].append(_record(message))


def origin_of(letter: Record) -> Place:
    """Where a dead letter comes from."""
    about = {name: value or b"" for name, value in letter.headers}
    return about["topic"].decode(), int(about["partition"]), int(about["offset"])


def _record(message: Message) -> Record:
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )
