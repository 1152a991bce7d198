"""Topics read whole, as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.kafka import consumer_config, high_watermarks

_CHUNK = 10_000
Wanted = Callable[[bytes, bytes], bool]


def topics_of(brokers: str) -> dict[str, list[int]]:
    """Topics of the line with their partitions. Raises KafkaException."""
    asking = Consumer(consumer_config(brokers, "unused"))
    try:
        return {name: sorted(topic.partitions) for name, topic in asking.list_topics(timeout=10).topics.items()}
    finally:
        asking.close()


def records(brokers: str, topic: str, partitions: list[int]) -> Iterator[Message]:
    """All committed records up to the ends seen now. Raises KafkaException."""
    ends = high_watermarks(brokers, [(topic, partition) for partition in partitions])
    reader = Consumer(consumer_config(brokers, "unused") | {"enable.partition.eof": True})
    reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    unread = set(partitions)
    try:
        while unread:
            for message in reader.consume(_CHUNK, 0.1):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                elif (message.offset() or 0) >= ends[topic, message.partition() or 0]:
                    unread.discard(message.partition() or 0)
    finally:
        reader.close()


def newest(brokers: str, topic: str, partitions: list[int], wanted: Wanted) -> dict[bytes, bytes]:
    """What a compacted topic holds now, by key: only what is `wanted`. Raises KafkaException."""
    found: dict[tuple[int, bytes], bytes] = {}
    for message in records(brokers, topic, partitions):
        key, value, place = message.key(), message.value(), message.partition() or 0
        if key is None:
            continue
        if value is not None and wanted(key, value):
            found[place, key] = value
        else:
            found.pop((place, key), None)
    return {key: value for (_, key), value in found.items()}


class Following:
    """Records of some topics that come from now on."""

    def __init__(self, brokers: str, topics: dict[str, list[int]]) -> None:
        ends = high_watermarks(brokers, [(topic, number) for topic, numbers in topics.items() for number in numbers])
        self._consumer = Consumer(consumer_config(brokers, "unused"))
        self._consumer.assign([TopicPartition(topic, number, end) for (topic, number), end in ends.items()])

    def next(self, timeout: float) -> Message | None:
        """The next record, None when none comes within `timeout` seconds. Raises KafkaException."""
        message = self._consumer.poll(timeout)
        if message is not None and message.error() is not None:
            raise KafkaException(message.error())
        return message

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
