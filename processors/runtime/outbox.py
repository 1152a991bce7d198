"""The producing side of a worker: one Kafka transaction at a time, and nothing outside of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from processors.runtime.exits import Exit, Stop, leave
from processors.runtime.points import Point, reached
from processors.runtime.turns import Sent
from schemas.headers import Headers, sendable
from schemas.kafka import cause_of, producer_config
from schemas.settings import Settings
from schemas.topics import changelog
from schemas.watchdog import Watchdog

log = structlog.get_logger()

T = TypeVar("T")

_CONNECT_SECONDS = 5.0
_BY_KEY = -1

_TAKEN_OVER = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
_LEFT_GROUP = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
}


def _passing_none(app: str, point: Point, first: Callable[[], object] = lambda: None) -> None:
    """A transaction of offsets alone passes no point: nothing of it could be lost or left open."""


class Outbox:
    """A transactional producer. Used in the Kafka thread only."""

    def __init__(self, settings: Settings, app: str) -> None:
        self._app = app
        self._changelog = changelog(app)
        self._seconds = settings.transaction_timeout_ms / 1000
        self._watchdog = Watchdog(lambda why: leave(Exit.LOST, f"{app}: {why}"))
        self._last: dict[int, int] = {}
        self._producer = Producer(
            producer_config(settings.brokers)
            | {
                # 10. A stable name per worker: the next start aborts an open transaction of this one at once, instead
                #     of everything behind it staying hidden until the timeout.
                "transactional.id": f"{app}-{settings.worker}",
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                # as little as lets records of a large transaction gather (with 0 a tenth of the rate is lost); a small
                # one does not wait for it, as its offsets take longer
                "linger.ms": 1,
                # the broker may still be finishing the last transaction when the next one begins and asks to be asked
                # again; with the default of 100 ms every twentieth transaction took that long
                "retry.backoff.ms": 3,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 512 * 1024,
                "error_cb": self._on_error,
            }
        )

    def connect(self) -> str | None:
        """Register the transactional id; says why not while the broker can't be reached. Blocks 5 s. Raises Stop."""
        try:
            self._producer.init_transactions(_CONNECT_SECONDS)
        except KafkaException as error:
            if not cause_of(error).retriable():
                raise self._stop(error, "transactions can't be set up") from error
            return cause_of(error).str()
        return None

    def commit(
        self,
        sent: Iterable[Sent],
        changes: dict[int, list[tuple[bytes, bytes | None]]],
        offsets: list[TopicPartition],
        group: Any,
    ) -> dict[int, int]:
        """One transaction: outputs, changed state by partition, and the offsets of the input it came from.

        Returns the checkpoint (offset after the last change) of each partition whose state changed. Raises Stop for
        anything that goes wrong: what was sent is then aborted by the next start.
        """
        self._last.clear()
        passing = reached if changes else _passing_none
        self._retried(self._producer.begin_transaction)
        passing(self._app, Point.AFTER_BEGIN)
        for record in sent:
            self._produce(record.topic, record.value, record.key, record.partition, record.headers)
        passing(self._app, Point.AFTER_OUTPUTS, self._producer.flush)
        for partition, changed in changes.items():
            for key, value in changed[:-1]:
                self._produce(self._changelog, value, key, partition)
            key, value = changed[-1]
            self._produce(self._changelog, value, key, partition, report=self._on_state)
        passing(self._app, Point.AFTER_CHANGELOG, self._producer.flush)
        # 7. Every transaction sends offsets, also one that only fires timers: otherwise one of a worker that lost its
        #    partitions would not be refused. They go out while the records do: waiting for the records first would
        #    make a small transaction twice as long.
        self._retried(self._producer.send_offsets_to_transaction, offsets, group, self._seconds)
        passing(self._app, Point.AFTER_OFFSETS, self._producer.flush)
        # waits until the broker has all records, and for their reports
        self._retried(self._producer.commit_transaction, self._seconds)
        passing(self._app, Point.AFTER_COMMIT)
        # 5. Checkpoint = last changelog offset, as the broker reported it, + 1.
        return {partition: offset + 1 for partition, offset in self._last.items()}

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int | None,
        headers: Headers = (),
        report: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:
        number = _BY_KEY if partition is None else partition
        options: dict[str, Any] = {"headers": sendable(headers)} if headers else {}
        while True:
            try:
                # without reports a failure still counts: the transaction then can't be committed
                self._producer.produce(topic, value, key, number, report, **options)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise self._stop(error, f"a record for {topic} could not be produced") from error

    def _on_state(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._last[message.partition() or 0] = message.offset() or 0

    def _on_error(self, error: KafkaError) -> None:
        log.warning("kafka", app=self._app, error=error.str())

    def _retried(self, act: Callable[..., T], *arguments: Any) -> T:
        """Retry what Kafka says can be retried, until the transaction's time is over."""
        deadline = time.monotonic() + self._seconds
        while True:
            try:
                with self._watchdog.watching(act.__name__, 2 * self._seconds):
                    return act(*arguments)
            except SystemError as error:
                # the client raises a fatal error before it calls for delivery reports, which then can't return
                if not isinstance(error.__cause__, KafkaException):
                    raise
                raise self._stop(error.__cause__, f"{act.__name__} failed") from error
            except KafkaException as error:
                if not cause_of(error).retriable() or time.monotonic() > deadline:
                    raise self._stop(error, f"{act.__name__} failed") from error
                log.warning("retrying", app=self._app, what=act.__name__, error=cause_of(error).str())

    def _stop(self, error: KafkaException, what: str) -> Stop:
        # 6. Any error of a transaction other than a retriable one ends the process.
        code, text = cause_of(error).code(), cause_of(error).str()
        if code in _TAKEN_OVER:
            return Stop(Exit.LOST, f"{what}: another worker has the number of this one ({text})")
        if code in _LEFT_GROUP:
            return Stop(Exit.LOST, f"{what}: the partitions were given to another worker meanwhile ({text})")
        return Stop(Exit.LOST, f"{what}: {text}")
