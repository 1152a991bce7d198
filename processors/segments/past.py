"""The history that Kafka still has in `people`."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.runtime.contract import Record
from processors.segments.history import Stretch
from schemas.headers import headers_of
from schemas.kafka import client_config, consumer_config
from schemas.topics import PEOPLE

#: Live records wait while what a stretch says is joined: some hundredths of a second.
MOST = 500
#: A stretch ends after so many seconds, whatever it has.
SECONDS = 0.5
_ANSWER_SECONDS = 10.0


class KafkaPast:
    """Reads `people` again, beside the worker that follows it. One call at a time."""

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers
        self._count = 0
        self._readers: dict[int, tuple[Consumer, int]] = {}

    def partitions(self) -> int:
        """Raises KafkaException."""
        if not self._count:
            topic = AdminClient(client_config(self._brokers)).list_topics(PEOPLE, _ANSWER_SECONDS).topics[PEOPLE]
            self._count = len(topic.partitions)
        return self._count

    def read(self, partition: int, start: int, upto: int) -> Stretch:
        """Committed records; what Kafka has deleted is passed over. Raises KafkaException."""
        reader, records, position = self._at(partition, start), list[Record](), start
        deadline = time.monotonic() + SECONDS
        while position < upto and len(records) < MOST and time.monotonic() < deadline:
            for message in reader.consume(MOST - len(records), 0.1):
                error, offset = message.error(), message.offset() or 0
                if error is None:
                    position = offset + 1
                    if offset < upto:
                        records.append(_record(message, partition, offset))
                elif error.code() == KafkaError._PARTITION_EOF:
                    position = upto  # not even the marker is there any more
                elif error.fatal():
                    raise KafkaException(error)
        if position >= upto:
            self._readers.pop(partition)[0].close()
        else:
            self._readers[partition] = reader, position
        return Stretch(records, min(position, upto))

    def _at(self, partition: int, start: int) -> Consumer:
        known = self._readers.get(partition)
        if known is not None and known[1] == start:
            return known[0]
        if known is not None:
            known[0].close()
        reader = Consumer(
            consumer_config(self._brokers, "unused")
            | {"enable.partition.eof": True, "queued.min.messages": 4 * MOST, "queued.max.messages.kbytes": 16_384}
        )
        reader.assign([TopicPartition(PEOPLE, partition, start)])
        self._readers[partition] = reader, start
        return reader


def _record(message: Message, partition: int, offset: int) -> Record:
    timestamp = message.timestamp()[1]
    return Record(PEOPLE, partition, offset, timestamp, message.key(), message.value(), headers_of(message))
