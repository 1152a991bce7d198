"""Records to Kafka with an answer: awaited until every one is acknowledged, bounded in what is under way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError
from confluent_kafka import Producer as KafkaProducer

from schemas.headers import Headers, sendable
from schemas.kafka import producer_config

log = structlog.get_logger()

#: the client library gives up after 15 s: it must hear from us before
DELIVERY_MS = 10_000
LINGER_MS = 2


class Busy(Exception):
    """Too much is under way already; try again later."""


class NotAcknowledged(Exception):
    """Kafka did not acknowledge in time; whether the records are there is unknown."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to produce; without a key any partition."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()


class Producer(Protocol):
    """What is used of confluent_kafka.Producer."""

    def produce(
        self,
        topic: str,
        *,
        value: bytes,
        key: bytes | None,
        headers: list[tuple[str, str | bytes]],
        on_delivery: Callable[[Any, Any], None],
    ) -> None:
        """Queue a record. Raises BufferError when the queue is full, KafkaException otherwise."""

    def poll(self, timeout: float) -> int:
        """Serve delivery callbacks for up to `timeout` seconds."""

    def flush(self, timeout: float) -> int:
        """Wait until all is delivered."""


@dataclass(slots=True)
class _Waiting:
    """The records of one request that are not acknowledged yet."""

    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[str]
    left: int
    problem: str = ""

    def finish(self) -> None:
        if not self.answer.done():
            self.answer.set_result(self.problem)


class Publisher:
    """Serves one producer's callbacks in a thread of its own.

    `most` bounds the records under way, `timeout` is in seconds and above the producer's own delivery timeout, so that
    a record is either acknowledged or given up by the time the sender hears `NotAcknowledged`.
    """

    def __init__(self, producer: Producer, most: int = 50_000, timeout: float = DELIVERY_MS / 1000 + 2) -> None:
        self._producer = producer
        self._most = most
        self._timeout = timeout
        self._lock = threading.Lock()
        self._outstanding = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="publisher", daemon=True)
        self._thread.start()

    @property
    def outstanding(self) -> int:
        """Records produced and not acknowledged yet."""
        return self._outstanding

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Produce all records and wait for their acknowledgement. Raises Busy or NotAcknowledged."""
        if not records:
            return
        with self._lock:
            if self._outstanding and self._outstanding + len(records) > self._most:
                raise Busy(f"{self._outstanding} records wait for Kafka")
            self._outstanding += len(records)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(loop, loop.create_future(), len(records))
        full = False
        for index, record in enumerate(records):
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=sendable(record.headers),
                    on_delivery=lambda error, _: self._delivered(waiting, 1, error),
                )
            except BufferError as error:
                full = True
                self._delivered(waiting, len(records) - index, error)
                break
        try:
            async with asyncio.timeout(self._timeout):
                problem = await waiting.answer
        except TimeoutError:
            raise NotAcknowledged(f"no acknowledgement within {self._timeout:g} s") from None
        if full:
            raise Busy(problem)
        if problem:
            raise NotAcknowledged(problem)

    def close(self, timeout: float = 10.0) -> None:
        """Wait up to `timeout` seconds for what is under way, then stop."""
        self._producer.flush(timeout)
        self._stopping.set()
        self._thread.join(timeout)

    def _delivered(self, waiting: _Waiting, count: int, error: object) -> None:
        with self._lock:
            self._outstanding -= count
            waiting.left -= count
            if error is not None:
                waiting.problem = str(error)
            last = waiting.left == 0
        if last and not waiting.loop.is_closed():
            waiting.loop.call_soon_threadsafe(waiting.finish)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)


def edge_producer(brokers: str) -> KafkaProducer:
    """A producer for what clients wait for: it sends at once, and gives up before they do."""
    waits = {"linger.ms": LINGER_MS, "delivery.timeout.ms": DELIVERY_MS, "error_cb": _on_error}
    return KafkaProducer(producer_config(brokers) | waits)


def _on_error(error: KafkaError) -> None:
    log.warning("kafka", error=error.str())
