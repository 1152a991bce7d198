"""How far a load has come, kept in Kafka together with what was loaded.

The position is the committed offset of a consumer group of its own (`load-...`) and is committed in the transaction of
the records it covers, as Kafka Connect's source connectors do with theirs (KIP-618): after a kill it is exactly behind
the last record that counts. Its metadata is a digest of everything before it, so that a file that was changed in the
part already loaded is noticed. Kafka forgets positions some days after the last load (`offsets.retention.minutes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from confluent_kafka import Consumer, TopicPartition

from connectors.inbound.files.base import Item
from schemas.kafka import consumer_config
from schemas.topics import EVENTS


@dataclass(frozen=True, slots=True)
class Position:
    """`count` items are loaded; `digest` is that of their bytes."""

    count: int = 0
    digest: str = ""


class Digest:
    """Of the bytes of items, one after the other."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self.count = 0

    def add(self, item: Item) -> None:
        # the length keeps two lines apart from one that holds both
        self._hash.update(len(item.raw).to_bytes(8, "big") + item.raw)
        self.count += 1

    @property
    def position(self) -> Position:
        """Behind the items added so far."""
        return Position(self.count, self._hash.hexdigest())


class Positions:
    """The position of one source in one line."""

    def __init__(self, brokers: str, source_id: str) -> None:
        self.name = f"load-{blake2b(source_id.encode(), digest_size=8).hexdigest()}"
        self._consumer = Consumer(consumer_config(brokers, self.name))

    def read(self, timeout: float) -> Position:
        """The committed position. Raises KafkaException."""
        (found,) = self._consumer.committed([TopicPartition(EVENTS, 0)], timeout=timeout)
        return Position(found.offset, found.metadata or "") if found.offset >= 0 else Position()

    def offsets(self, position: Position) -> list[TopicPartition]:
        """The position as it goes into a transaction."""
        return [TopicPartition(EVENTS, 0, position.count, metadata=position.digest)]

    def group(self) -> object:
        """Under which it goes into a transaction."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        self._consumer.close()
