"""How every client of the line speaks to Kafka, and the topics as they must be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.settings import Settings
from schemas.topics import DAY_MS, DEAD_LETTERS, LARGEST_MESSAGE_BYTES, MESSAGE_BYTES, Topic, catalogue

#: A segment takes records for so long: what was deleted or expired leaves the disk with its segment.
SEGMENT_MS = DAY_MS
#: A value that was replaced or deleted is compacted away after so long at the latest.
COMPACTED_AFTER_MS = 7 * DAY_MS
#: How long deletions stay in a compacted topic: a store that was away for longer starts from nothing.
DELETIONS_KEPT_MS = 7 * DAY_MS

_LEADER_ON_ITS_WAY = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
_LEADER_SECONDS = 0.1
#: How long a topic that was created just now may be unknown to the broker that is asked.
TOPICS_SECONDS = 2.0

Config = dict[str, Any]


def client_config(brokers: str) -> Config:
    """What all clients share."""
    return {"bootstrap.servers": brokers, "socket.nagle.disable": True, "reconnect.backoff.max.ms": 1_000}


def producer_config(brokers: str) -> Config:
    """A producer whose keys are placed as Java places them and whose records are neither lost nor repeated."""
    return client_config(brokers) | {
        # librdkafka's default hashes differently: the same key would go to another partition than with other clients
        "partitioner": "murmur2_random",
        "acks": "all",
        "enable.idempotence": True,
        "message.max.bytes": LARGEST_MESSAGE_BYTES,
        "compression.type": "lz4",
    }


def consumer_config(brokers: str, group: str) -> Config:
    """A consumer of committed records that commits nothing by itself."""
    return client_config(brokers) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "fetch.message.max.bytes": LARGEST_MESSAGE_BYTES,
        "fetch.max.bytes": 4 * LARGEST_MESSAGE_BYTES,
        "receive.message.max.bytes": 5 * LARGEST_MESSAGE_BYTES,
    }


class WrongTopic(Exception):
    """A topic is not as the catalogue says and can't be made so without losing keys."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply_topics` did, names in the order of the catalogue."""

    created: list[str]
    adjusted: list[str]
    unchanged: list[str]


def topic_settings(topic: Topic) -> dict[str, str]:
    """Kafka's own settings of a topic."""
    most = LARGEST_MESSAGE_BYTES if topic.name == DEAD_LETTERS else MESSAGE_BYTES
    common = {"max.message.bytes": str(most), "segment.ms": str(SEGMENT_MS)}
    if topic.compact:
        return common | {
            "cleanup.policy": "compact",
            "delete.retention.ms": str(DELETIONS_KEPT_MS),
            "max.compaction.lag.ms": str(COMPACTED_AFTER_MS),
        }
    return common | {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)}


def apply_topics(settings: Settings, channels: Iterable[str], timeout: float = 30.0) -> Applied:
    """Create missing topics of the catalogue and bring the settings of existing ones in line.

    Raises WrongTopic when an existing topic has another partition count (nothing is changed then), KafkaException when
    the broker does not answer within `timeout` seconds.
    """
    admin = AdminClient(client_config(settings.brokers))
    wanted = catalogue(channels)
    there = {name: len(found.partitions) for name, found in admin.list_topics(timeout=timeout).topics.items()}
    wrong = [
        f"topic {topic.name} has {there[topic.name]} partitions, {topic.partitions or settings.partitions} are wanted"
        for topic in wanted
        if topic.name in there and there[topic.name] != (topic.partitions or settings.partitions)
    ]
    if wrong:
        why = "Changing a partition count would part keys from their state: set PATHLINE_PARTITIONS to what is there,"
        raise WrongTopic("\n".join([*wrong, f"{why} or start a new line in a home and broker of its own."]))
    missing = [topic for topic in wanted if topic.name not in there]
    created = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or settings.partitions,
            replication_factor=settings.replication,
            config=topic_settings(topic),
        )
        for topic in missing
    ]
    if created:
        _wait(admin.create_topics(created, operation_timeout=timeout).values(), KafkaError.TOPIC_ALREADY_EXISTS)
        partitions_of(admin, [topic.name for topic in missing], timeout)
    adjusted = _adjust(admin, [topic for topic in wanted if topic.name in there], timeout)
    done = {topic.name for topic in missing} | set(adjusted)
    return Applied(
        [topic.name for topic in missing], adjusted, [topic.name for topic in wanted if topic.name not in done]
    )


def partitions_of(
    client: AdminClient | Producer, topics: Iterable[str], patience: float = TOPICS_SECONDS, timeout: float = 30.0
) -> dict[str, list[int]]:
    """Partitions of each topic by name; without those that are not there after `patience` seconds.

    A topic is created when the controller has written it down; brokers tell of it only when they have read that, and
    a command that follows at once would find it missing. Raises KafkaException after `timeout` seconds of silence.
    """
    wanted = list(topics)
    deadline = time.monotonic() + patience
    while True:
        told = client.list_topics(timeout=timeout).topics
        found = {name: sorted(told[name].partitions) for name in wanted if name in told and told[name].partitions}
        if len(found) == len(wanted) or time.monotonic() > deadline:
            return found
        time.sleep(_LEADER_SECONDS)


def _adjust(admin: AdminClient, present: list[Topic], timeout: float) -> list[str]:
    """Set what differs from the catalogue; the names of the topics touched."""
    wanted = {topic.name: topic_settings(topic) for topic in present}
    if not wanted:
        return []
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
    changes = []
    for resource, answer in admin.describe_configs(resources).items():
        found = answer.result(timeout)
        differing = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in wanted[resource.name].items()
            if name not in found or found[name].value != value
        ]
        if differing:
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=differing))
    if changes:
        _wait(admin.incremental_alter_configs(changes).values())
    return [change.name for change in changes]


def cause_of(error: KafkaException) -> KafkaError:
    """The client's or broker's error behind an exception."""
    return cast(KafkaError, error.args[0])


def _wait(answers: Iterable[Any], accepted: int | None = None) -> None:
    for answer in answers:
        try:
            answer.result()
        except KafkaException as error:
            if cause_of(error).code() != accepted:
                raise


def watermarks(consumer: Consumer, partition: TopicPartition, timeout: float = 10.0) -> tuple[int, int]:
    """First offset and end of a partition as this consumer may see it. Raises KafkaException.

    Until `timeout` seconds have passed, a topic that was created just now and has no leader yet is waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=timeout)
        except KafkaException as error:
            if cause_of(error).code() not in _LEADER_ON_ITS_WAY or time.monotonic() > deadline:
                raise
            time.sleep(_LEADER_SECONDS)


def high_watermarks(
    brokers: str, partitions: Iterable[tuple[str, int]], timeout: float = 10.0
) -> dict[tuple[str, int], int]:
    """End of each partition, open transactions included. Raises KafkaException."""
    # a read_committed client would be told the last stable offset, which lies before transactions that are still open
    asking = Consumer(client_config(brokers) | {"group.id": "unused", "isolation.level": "read_uncommitted"})
    try:
        return {
            (topic, partition): watermarks(asking, TopicPartition(topic, partition), timeout)[1]
            for topic, partition in partitions
        }
    finally:
        asking.close()


class Whole:
    """A topic with one partition, read whole and then followed. Not safe for threads."""

    def __init__(self, brokers: str, topic: str) -> None:
        self._topic = topic
        self._brokers = brokers
        self._consumer = Consumer(consumer_config(brokers, "unused") | {"enable.partition.eof": True})
        self._position = 0
        self._consumer.assign([TopicPartition(topic, 0, 0)])

    def to_end(self, timeout: float) -> Iterator[Message]:
        """All committed records up to the end seen when called. Raises KafkaException, TimeoutError."""
        end = high_watermarks(self._brokers, [(self._topic, 0)])[self._topic, 0]
        deadline = time.monotonic() + timeout
        while self._position < end:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._topic} could not be read to offset {end} within {timeout:.0f} s")
            yield from self.new(0.1)

    def new(self, timeout: float) -> Iterator[Message]:
        """Records that came since, waiting up to `timeout` seconds for the first. Raises KafkaException."""
        message = self._consumer.poll(timeout)
        while message is not None:
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                self._position = message.offset() or 0
            elif error is not None:
                raise KafkaException(error)
            else:
                self._position = (message.offset() or 0) + 1
                yield message
            message = self._consumer.poll(0)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def read_whole(brokers: str, topic: str, use: Callable[[Message], None], timeout: float = 30.0) -> None:
    """Hand every committed record of a topic with one partition to `use`. Raises KafkaException, TimeoutError."""
    whole = Whole(brokers, topic)
    try:
        for message in whole.to_end(timeout):
            use(message)
    finally:
        whole.close()
