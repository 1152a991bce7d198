"""Publishes the messages of a generator while faults happen, now slowly, now as fast as it can."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import confluent_kafka
from confluent_kafka import KafkaError, Producer

from schemas.kafka import producer_config
from tests.faults.runtime.generator import Message

#: messages a second, one of them at a time for `WAVE_SECONDS`
PACES = (200, 1_000, 5_000, 20_000)
WAVE_SECONDS = 2.0
#: the fastest wave publishes no larger share of all messages
LARGEST_WAVE = 0.1
_STEP_SECONDS = 0.05
_FLUSH_SECONDS = 300.0


class Feeder(threading.Thread):
    """Publishes at least `least` messages in waves of different pace, and goes on until it is told to finish.

    `poison` holds (key, value) of the records that can't be used, `published` counts all.
    """

    def __init__(self, brokers: str, topics: tuple[str, str], source: Iterator[Message], seed: int, least: int) -> None:
        super().__init__(daemon=True)
        self.poison: Counter[tuple[bytes, bytes | None]] = Counter()
        self.published = 0
        self._topics, self._source, self._least = topics, source, least
        self._chance = random.Random(seed)
        self._finishing = threading.Event()
        self._error: Exception | None = None
        self._producer = Producer(producer_config(brokers) | {"linger.ms": 5, "message.timeout.ms": 0, "log_level": 0})

    def run(self) -> None:
        try:
            while not self._finishing.is_set():
                # more than asked for only as a trickle: faults may take longer than planned
                pace = float(self._chance.choice(PACES) if self.published < self._least else PACES[0])
                pace = min(pace, LARGEST_WAVE * self._least / WAVE_SECONDS)
                until = time.monotonic() + WAVE_SECONDS
                while time.monotonic() < until and not self._finishing.is_set():
                    self._publish(int(pace * _STEP_SECONDS))
                    self._producer.poll(0)
                    time.sleep(_STEP_SECONDS)
            self._publish(max(0, self._least - self.published))
        except Exception as error:
            self._error = error

    def finish(self) -> None:
        """Publish what is missing, and wait until the broker has everything. Raises KafkaException, TimeoutError."""
        self._finishing.set()
        self.join()
        if self._error is not None:
            raise self._error
        if self._producer.flush(_FLUSH_SECONDS):
            raise TimeoutError(f"the broker did not take all records within {_FLUSH_SECONDS:.0f} s")

    def _publish(self, count: int) -> None:
        for _ in range(count):
            message = next(self._source)
            while True:
                try:
                    self._producer.produce(
                        self._topics[message.topic], message.value, message.key, on_delivery=self._delivered
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self.published += 1
            if message.poison:
                self.poison[message.key, message.value] += 1

    def _delivered(self, error: KafkaError | None, message: confluent_kafka.Message) -> None:
        if error is not None:
            self._error = RuntimeError(f"a record of the campaign was not taken: {error}")
