"""Brings the stores of assigned partitions up to their changelog before they take part."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.runtime.metrics import Metrics
from processors.runtime.partition import Partition
from processors.runtime.points import Point, reached
from processors.runtime.store import is_state
from schemas.kafka import DELETIONS_KEPT_MS, client_config, consumer_config, high_watermarks
from schemas.topics import changelog

log = structlog.get_logger()

_CHUNK = 10_000
_DAY_MS = 86_400_000


@dataclass(slots=True)
class _Goal:
    partition: Partition
    end: int
    first: int
    position: int
    records: int = 0


class Restorer:
    """Reads changelogs. Used in the Kafka thread only; every step is short, so that the group is served in between."""

    def __init__(self, brokers: str, app: str, metrics: Metrics) -> None:
        self._brokers = brokers
        self._app = app
        self._topic = changelog(app)
        self._metrics = metrics
        ahead = {"queued.min.messages": 100_000, "fetch.queue.backoff.ms": 10, "fetch.wait.max.ms": 50}
        self._consumer = Consumer(consumer_config(brokers, f"{app}-restore") | ahead | {"enable.partition.eof": True})
        self._goals: dict[int, _Goal] = {}

    @property
    def busy(self) -> bool:
        """Whether any partition is still being restored."""
        return bool(self._goals)

    def topic_id(self) -> str:
        """Identity of the changelog; a topic of the same name in another broker has another. Raises KafkaException."""
        admin = AdminClient(client_config(self._brokers))
        return str(admin.describe_topics(TopicCollection([self._topic]))[self._topic].result(timeout=10).topic_id)

    def start(self, partitions: list[Partition]) -> None:
        """Let these partitions catch up from their checkpoints. Raises KafkaException."""
        # 2. Every assigned store catches up at every assignment, also one that was open all along: another worker may
        #    have owned the partition in between.
        # 3. Up to the high watermark seen now, open transactions included: those of a former owner may still commit.
        ends = high_watermarks(self._brokers, [(self._topic, partition.number) for partition in partitions])
        for partition in partitions:
            end = ends[self._topic, partition.number]
            self._discard_if_useless(partition, end)
            checkpoint = partition.store.checkpoint
            position = checkpoint.offset if checkpoint else 0
            if position >= end:
                self._finish(partition)
            else:
                self._goals[partition.number] = _Goal(partition, end, position, position)
                self._metrics.restore_at(partition.number, position, position, end)
        self._assign()

    def stop(self) -> None:
        """Give up what is not finished: the partitions are no longer ours."""
        self._goals.clear()
        self._consumer.unassign()

    def step(self, timeout: float) -> list[Partition]:
        """Restore some more, waiting up to `timeout` seconds for records; the partitions that are done now.

        Raises KafkaException.
        """
        messages = self._consumer.consume(1, timeout)
        if messages:
            messages += self._consumer.consume(_CHUNK, 0)
        changes: dict[int, list[tuple[bytes, bytes | None]]] = {}
        for message in messages:
            goal, error = self._goals.get(message.partition() or 0), message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if goal is None:
                continue
            if error is not None:
                # the end of what is committed, behind the markers of transactions
                goal.position = max(goal.position, message.offset() or 0)
            else:
                goal.position = (message.offset() or 0) + 1
                key = message.key()
                if key is not None and is_state(key):
                    changes.setdefault(goal.partition.number, []).append((key, message.value()))
                else:
                    log.warning("foreign record in the changelog", app=self._app, offset=message.offset(), key=key)
        done = []
        for goal in list(self._goals.values()):
            partition = goal.partition
            if found := changes.get(partition.number):
                goal.records += len(found)
                partition.store.apply(found, goal.position, partition.topic_id)
                reached(self._app, Point.DURING_RESTORE)
            self._metrics.restore_at(partition.number, goal.first, goal.position, goal.end)
            if goal.position >= goal.end:
                partition.store.apply((), goal.position, partition.topic_id)
                del self._goals[partition.number]
                log.info("restored", app=self._app, partition=partition.number, records=goal.records)
                self._finish(partition)
                done.append(partition)
        if done:
            self._assign()
        return done

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _assign(self) -> None:
        goals = self._goals.values()
        self._consumer.assign([TopicPartition(self._topic, goal.partition.number, goal.position) for goal in goals])

    def _finish(self, partition: Partition) -> None:
        partition.restored = True
        partition.look_ahead()
        self._metrics.restores.labels(self._app, str(partition.number)).inc()
        self._metrics.restoring.labels(self._app, str(partition.number)).set(0)

    def _discard_if_useless(self, partition: Partition, end: int) -> None:
        checkpoint = partition.store.checkpoint
        if checkpoint is None:
            return
        away = time.time_ns() // 1_000_000 - checkpoint.written_at
        if checkpoint.topic_id != partition.topic_id or checkpoint.offset > end:
            why = "it belongs to another changelog"
        elif checkpoint.offset < end and away > DELETIONS_KEPT_MS - _DAY_MS:
            why = "deletions it missed may be compacted away"
        else:
            return
        log.warning("local state is thrown away and restored whole", app=self._app, partition=partition.number, why=why)
        partition.store.clear()
