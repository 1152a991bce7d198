"""A broker that was killed and comes back tells offsets of long ago for a moment: the state knows better."""

from __future__ import annotations

import contextlib
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.runtime.engine import Engine
from processors.runtime.metrics import Metrics
from schemas.clock import WallClock
from schemas.kafka import client_config
from schemas.settings import Settings
from tests.runtime.counting import CountingStage
from tests.runtime.workers import Counting, until


class Nobody:
    def assigned(self, partitions: set[tuple[str, int]]) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...


def work_until(line: Counting, outputs: int) -> None:
    """Let a worker take what there is, until so many outputs are there, and stop it."""
    stage = CountingStage(f"{line.name}.in", f"{line.name}.out", line.name)
    settings = Settings(brokers=line.brokers, home=line.home, session_timeout_ms=1_000)
    engine = Engine(stage, settings, WallClock(), Metrics(line.name))
    assert engine.connect(Nobody(), None, lambda error: None)  # type: ignore[arg-type]

    def there() -> bool:
        if (batch := engine.poll()) is not None:
            engine.process(batch)
        return len(line.read("out")) >= outputs

    until(there, f"{outputs} outputs are there")
    engine.stop()
    engine.close()


def tell_offset(line: Counting, offset: int) -> None:
    """Make the broker tell another offset than the one that was committed."""
    admin = AdminClient(client_config(line.brokers))
    places = ConsumerGroupTopicPartitions(line.name, [TopicPartition(f"{line.name}.in", 0, offset)])

    def told() -> bool:
        # refused as long as the group takes the worker that stopped for one that comes back
        with contextlib.suppress(KafkaException):
            found = admin.alter_consumer_group_offsets([places])[line.name].result().topic_partitions
            return all(place.error is None for place in found)
        return False

    until(told, "the offset is set")


def forget_topic(line: Counting) -> None:
    """Make the input topic anew, empty."""
    admin = AdminClient(client_config(line.brokers))
    admin.delete_topics([f"{line.name}.in"])[f"{line.name}.in"].result()
    until(lambda: f"{line.name}.in" not in admin.list_topics(timeout=10).topics, "the topic is gone")
    admin.create_topics([NewTopic(f"{line.name}.in", 1, 1)])[f"{line.name}.in"].result()


def test_records_that_are_in_the_state_are_not_taken_again_whatever_offset_the_broker_tells(
    kafka: str, tmp_path: Path
) -> None:
    with Counting(kafka, tmp_path, "oldoffsets", partitions=1) as line:
        for _ in range(5):
            line.publish("key")
        line.flush()
        work_until(line, outputs=5)
        tell_offset(line, 2)
        line.publish("key")
        line.flush()
        work_until(line, outputs=6)
        assert [record.value for record in line.read("out")] == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_an_input_that_was_made_anew_is_read_from_its_beginning(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "anewinput", partitions=1) as line:
        for _ in range(5):
            line.publish("key")
        line.flush()
        work_until(line, outputs=5)
        forget_topic(line)
        line.publish("key")
        line.flush()
        work_until(line, outputs=6)
        assert [record.value for record in line.read("out")] == [b"1", b"2", b"3", b"4", b"5", b"6"]
