"""Topics as a reader of committed records finds them once a line is at rest."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.runtime.contract import Record
from schemas.kafka import client_config, consumer_config, high_watermarks

_PATIENCE = 60.0


def partitions(brokers: str, topic: str) -> int:
    """How many partitions a topic has."""
    return len(AdminClient(client_config(brokers)).list_topics(topic, timeout=10).topics[topic].partitions)


def records(brokers: str, topic: str) -> Iterator[Record]:
    """All committed records, those of a partition in order."""
    return _read(brokers, topic, [(number, 0) for number in range(partitions(brokers, topic))])


def by_time(brokers: str, topic: str) -> Iterator[Record]:
    """All committed records in the order of their timestamps, as far as that keeps the order within partitions."""
    streams = [_read(brokers, topic, [(number, 0)]) for number in range(partitions(brokers, topic))]
    return heapq.merge(*streams, key=lambda record: record.timestamp)


def behind(brokers: str, group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Committed records of these topics that a group has not taken, by partition; those without any are left out."""
    places = [TopicPartition(topic, number) for topic in topics for number in range(partitions(brokers, topic))]
    asking = Consumer(consumer_config(brokers, group))
    try:
        committed = asking.committed(places, timeout=10)
    finally:
        asking.close()
    left = {
        (tp.topic, tp.partition): sum(1 for _ in _read(brokers, tp.topic, [(tp.partition, max(tp.offset, 0))]))
        for tp in committed
    }
    return {place: count for place, count in left.items() if count}


def _read(brokers: str, topic: str, places: list[tuple[int, int]]) -> Iterator[Record]:
    """Committed records of partitions from an offset on, to the ends seen at the beginning. Raises TimeoutError."""
    ends = high_watermarks(brokers, [(topic, number) for number, _ in places])
    waiting = {number for number, first in places if ends[topic, number] > first}
    consumer = Consumer(consumer_config(brokers, "reader") | {"enable.partition.eof": True, "fetch.wait.max.ms": 20})
    consumer.assign([TopicPartition(topic, number, first) for number, first in places if number in waiting])
    deadline = time.monotonic() + _PATIENCE
    try:
        while waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic}: partitions {sorted(waiting)} could not be read to their ends")
            for message in consumer.consume(2_000, 0.1):
                error = message.error()
                if error is None:
                    deadline = time.monotonic() + _PATIENCE
                    yield _record(message)
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                elif (message.offset() or 0) >= ends[topic, message.partition() or 0]:
                    waiting.discard(message.partition() or 0)
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    headers = tuple((name, value or b"") for name, value in message.headers() or ())
    place = message.topic() or "", message.partition() or 0, message.offset() or 0
    return Record(*place, message.timestamp()[1], message.key(), message.value(), headers)
