"""What a committed reader finds in a topic."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas import topics
from schemas.codec import Codec
from schemas.kafka import consumer_config
from schemas.records import Event


def records(brokers: str, topic: str) -> list[Message]:
    """All committed records, in the order of partitions."""
    consumer = Consumer(consumer_config(brokers, "reading") | {"enable.partition.eof": True})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: list[Message] = []
    ended: set[int] = set()
    while len(ended) < len(partitions):
        message = consumer.poll(10)
        assert message is not None, "Kafka does not answer"
        error = message.error()
        if error is None:
            found.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition() or 0)
    consumer.close()
    return found


def events(brokers: str, source: str) -> list[Event]:
    """Committed events of a source."""
    found = [Codec().decode(Event, message.value()) for message in records(brokers, topics.EVENTS)]
    return [event for event in found if event.source == source]
