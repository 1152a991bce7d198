"""Partitions as Kafka has them, and whether reading them can go on where it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.kafka import client_config, high_watermarks, watermarks
from sinks.profiles.store import Place, Position

_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """A partition: of which topic, its first offset and its end, open transactions included."""

    topic_id: str
    first: int
    end: int

    def unfit(self, position: Position) -> str:
        """Why reading can't go on at a position; empty when it can."""
        if position.topic_id != self.topic_id or position.offset > self.end:
            return "what is on disk belongs to another topic"
        return f"there are no records before {self.first} any more" if position.offset < self.first else ""


def find(brokers: str, consumer: Consumer, topics: Iterable[str]) -> dict[Place, Found]:
    """The partitions of those of these topics that are there. Raises KafkaException."""
    admin = AdminClient(client_config(brokers))
    there = admin.list_topics(timeout=_ANSWER_SECONDS).topics
    names = [topic for topic in topics if topic in there]
    answers = admin.describe_topics(TopicCollection(names)) if names else {}
    ids = {topic: str(answer.result(_ANSWER_SECONDS).topic_id) for topic, answer in answers.items()}
    places = [(topic, number) for topic in names for number in sorted(there[topic].partitions)]
    ends = high_watermarks(brokers, places)
    firsts = {place: watermarks(consumer, TopicPartition(*place))[0] for place in places}
    return {place: Found(ids[place[0]], firsts[place], ends[place]) for place in places}
