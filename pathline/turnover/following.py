"""How far a line is in going over to the definitions applied last, as its partitions tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pathline.erasing.reading import topics_of
from schemas.codec import BadRecord, Codec
from schemas.kafka import consumer_config, high_watermarks
from schemas.records import Backfill
from schemas.settings import Settings
from schemas.topics import SEGMENTS_BACKFILL


@dataclass(slots=True)
class Partition:
    """One partition of `people`: records of history read and to be read, persons that have followed."""

    read: int = 0
    upto: int = 0
    persons: int = 0
    done: bool = False


@dataclass(slots=True)
class Progress:
    """The turnover to a version. `waiting` are segments and computed traits that do not answer until the history is
    there."""

    definitions: str = ""
    marked_at: int = 0
    waiting: set[str] = field(default_factory=set)
    partitions: dict[int, Partition] = field(default_factory=dict)

    def take(self, told: Backfill) -> None:
        """What a partition tells."""
        if (told.marked_at, told.definitions) != (self.marked_at, self.definitions):
            if told.marked_at < self.marked_at or told.kind == "state":
                return
            self.definitions, self.marked_at = told.definitions, told.marked_at
            self.waiting, self.partitions = set(), {}
        if told.kind == "state":
            return
        one = self.partitions.setdefault(told.partition, Partition())
        if told.kind == "round":
            self.waiting.update(told.segments)
            one.upto = max(one.upto, told.upto)
        elif told.kind == "read":
            one.read, one.upto = told.next, told.upto
        one.persons += told.persons
        one.done |= told.kind == "done"

    def done(self, count: int) -> bool:
        """Whether all partitions have gone over."""
        return sum(one.done for one in self.partitions.values()) >= count

    def spoken(self) -> str:
        """In words."""
        read, upto = (sum(getattr(one, name) for one in self.partitions.values()) for name in ("read", "upto"))
        persons = sum(one.persons for one in self.partitions.values())
        if not self.waiting:
            return f"{persons:,} persons have followed"
        return f"history: {read:,} of {upto:,} records read; {persons:,} persons have followed"


class Turnover:
    """Follows the newest turnover. Raises KafkaException."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._codec = codec
        numbers = topics_of(settings.brokers)[SEGMENTS_BACKFILL]
        self.count = len(numbers)
        self.progress = Progress()
        self._ends = high_watermarks(settings.brokers, [(SEGMENTS_BACKFILL, number) for number in numbers])
        self._consumer = Consumer(consumer_config(settings.brokers, "unused") | {"enable.partition.eof": True})
        self._consumer.assign([TopicPartition(SEGMENTS_BACKFILL, number, 0) for number in numbers])
        self._unread = set(numbers)

    def to_now(self) -> Progress:
        """All that was told so far."""
        while self._unread:
            self.more(0.1)
        return self.progress

    def more(self, timeout: float) -> Progress:
        """What is told within `timeout` seconds."""
        for message in self._consumer.consume(10_000, timeout):
            error, number = message.error(), message.partition() or 0
            if error is None:
                try:
                    self.progress.take(self._codec.decode(Backfill, message.value()))
                except BadRecord:
                    continue
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            elif (message.offset() or 0) >= self._ends[SEGMENTS_BACKFILL, number]:
                self._unread.discard(number)
        return self.progress

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
