"""What is told to Kafka after the fact: who read what, and records that could not be used.

A record is on disk before anything goes on, and leaves it when Kafka has acknowledged it: neither a kill nor a broker
that is away loses one. After a kill some are told twice.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import structlog
from confluent_kafka import KafkaError, Producer
from rocksdict import Rdict

from processors.runtime.rocks import options
from schemas.headers import Headers, sendable
from sinks.profiles.metrics import UNTOLD

log = structlog.get_logger("profiles")

_IDLE_SECONDS = 0.05
#: so many are under way at a time
_MOST = 5_000


class Told(msgspec.Struct, frozen=True, array_like=True):
    """A record to be produced; without `partition` the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


class Outbox:
    """Keeps records until Kafka has them, and sends them in a thread of its own. `tell` is safe for threads."""

    def __init__(self, path: Path, producer: Producer) -> None:
        """Open or create; `producer` must be one whose records are neither lost nor repeated on their way."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = Rdict(str(path), options=options())
        self._producer = producer
        self._lock = threading.Lock()
        self._new = threading.Event()
        self._stopping = threading.Event()
        waiting = [key for key, _ in self._db.items()]
        self._next = int.from_bytes(waiting[-1]) + 1 if waiting else 0
        self._failed = waiting
        self._queue: list[bytes] = []
        self._under_way = 0
        self._thread = threading.Thread(target=self._ship, name="outbox", daemon=True)
        self._thread.start()

    def tell(self, record: Told) -> None:
        """Keep a record; it is on disk when this returns. Raises Exception of rocksdict when the disk is full."""
        with self._lock:
            key = self._next.to_bytes(8)
            self._next += 1
            self._db.put(key, msgspec.msgpack.encode(record))
            self._queue.append(key)
        self._new.set()

    @property
    def untold(self) -> int:
        """Records that Kafka has not acknowledged."""
        return len(self._failed) + len(self._queue) + self._under_way

    def close(self, seconds: float = 5.0) -> None:
        """Send what can be sent in this time; the rest waits on disk."""
        self._stopping.set()
        self._new.set()
        self._thread.join(seconds)
        self._producer.flush(seconds)
        self._db.close()

    def _ship(self) -> None:
        while True:
            ended = self._stopping.is_set()
            with self._lock:
                room = max(0, _MOST - self._under_way)
                failed, self._failed = self._failed[:room], self._failed[room:]
                fresh, self._queue = self._queue[: room - len(failed)], self._queue[room - len(failed) :]
            for key in (*failed, *fresh):
                self._send(key)
            self._producer.poll(_IDLE_SECONDS if self._under_way else 0)
            UNTOLD.set(self.untold)
            if ended:
                return
            if not self._under_way and not self._failed:
                self._new.wait()
                self._new.clear()

    def _send(self, key: bytes) -> None:
        data = self._db.get(key)
        record = msgspec.msgpack.decode(data, type=Told)
        self._under_way += 1
        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                # -1 leaves it to the key
                partition=-1 if record.partition is None else record.partition,
                headers=sendable(record.headers),
                on_delivery=lambda error, _: self._delivered(key, error),
            )
        except BufferError as error:
            self._delivered(key, error)
            time.sleep(_IDLE_SECONDS)

    def _delivered(self, key: bytes, error: KafkaError | BufferError | None) -> None:
        self._under_way -= 1
        if error is None:
            self._db.delete(key)
        else:
            log.warning("what could not be told is told again", error=str(error))
            with self._lock:
                self._failed.append(key)
