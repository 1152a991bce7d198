"""Records of a load to Kafka, some at a time, together with the position behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.inbound.files.position import Position, Positions
from schemas.headers import Headers, sendable
from schemas.kafka import cause_of, producer_config
from schemas.settings import Settings

log = structlog.get_logger()

TIMEOUT_SECONDS = 30.0
#: between the tries of a transaction, in seconds
PAUSE_SECONDS = 0.5


class Ended(Exception):
    """This load may write no more: another one of the same source has begun, or Kafka gave up on its transaction while
    it was away. Started again, it goes on where it was."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One record to produce."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()


class Transactions:
    """A transactional producer of one source. A kill leaves at most an open transaction, which the next load aborts."""

    def __init__(self, settings: Settings, positions: Positions) -> None:
        self._positions = positions
        self._producer = Producer(
            producer_config(settings.brokers)
            | {
                "transactional.id": positions.name,
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                "linger.ms": 5,
            }
        )
        # ends the transaction of a load that was killed, so that the position read afterwards is final
        self._producer.init_transactions(TIMEOUT_SECONDS)

    def commit(self, records: Sequence[Loaded], position: Position) -> None:
        """Produce records and move the position, both or neither; waits while Kafka is away.

        Raises Ended, and KafkaException for what waiting does not heal.
        """
        while True:
            try:
                self._attempt(records, position)
                return
            except KafkaException as error:
                cause = cause_of(error)
                if cause.code() in _ENDED:
                    raise Ended("another load of this source has begun, or Kafka was away for too long") from None
                if not cause.txn_requires_abort():
                    raise
                log.warning("transaction is repeated", error=str(error))
                self._retried(lambda: self._producer.abort_transaction(TIMEOUT_SECONDS))
                time.sleep(PAUSE_SECONDS)

    def _attempt(self, records: Sequence[Loaded], position: Position) -> None:
        producer, positions = self._producer, self._positions
        producer.begin_transaction()
        for record in records:
            self._produce(record)
        offsets, group = positions.offsets(position), positions.group()
        self._retried(lambda: producer.send_offsets_to_transaction(offsets, group, TIMEOUT_SECONDS))
        self._retried(lambda: producer.commit_transaction(TIMEOUT_SECONDS))

    def _produce(self, record: Loaded) -> None:
        while True:
            try:
                self._producer.produce(record.topic, record.value, record.key, headers=sendable(record.headers))
                return
            except BufferError:
                # Kafka is slower than the source: the source waits
                self._producer.poll(0.1)

    def _retried(self, step: Callable[[], None]) -> None:
        while True:
            try:
                step()
                return
            except KafkaException as error:
                if not cause_of(error).retriable():
                    raise
                log.warning("Kafka is away, waiting", error=str(error))
                time.sleep(PAUSE_SECONDS)


_ENDED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
