"""Gives a line its events: most straight into Kafka, some through the collector, and poison among them."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Message, Producer

from connectors.inbound.segment import event_id, to_event
from pathline.local.home import Line
from schemas.codec import Codec
from schemas.definitions.model import IdentityRules
from schemas.kafka import producer_config
from schemas.topics import EVENTS
from tests.faults.line import poison
from tests.faults.line.crowd import Said

Headers = dict[str, str | bytes]

SOURCE = "campaign"
BATCH = 100
_TRY_AGAIN_SECONDS = 0.3
_PATIENCE = 300.0


class Feeder:
    """Publishes waves of a crowd, and one record that nobody can use after `poison_every` events.

    `given` are the ids of the events that the line has taken responsibility for.
    """

    def __init__(self, line: Line, rules: IdentityRules, seed: int, poison_every: int) -> None:
        self.given: set[str] = set()
        self._poison_every = poison_every
        self._line = line
        self._rules = rules
        self._codec = Codec()
        self._chance = random.Random(seed)
        self._failed: list[str] = []
        # the broker is away for a while now and then, and nothing may be given up meanwhile
        self._producer = Producer(producer_config(line.broker) | {"linger.ms": 20, "delivery.timeout.ms": 600_000})

    def give(self, wave: Iterable[Said]) -> int:
        """Publish a wave; returns how many messages it was, when the collector has taken its part."""
        said = list(wave)
        for each in said:
            _date(each)
        with ThreadPoolExecutor(1) as client:
            posted = client.submit(self._post_all, [each.message for each in said if each.web])
            for each in said:
                if not each.web:
                    self._produce(each.message)
            posted.result()
        return len(said)

    def close(self) -> None:
        """Wait until Kafka has everything. Raises AssertionError when it has not."""
        left = self._producer.flush(_PATIENCE)
        assert not left, f"{left} records were not taken by Kafka"
        assert not self._failed, self._failed[:3]

    def _produce(self, message: dict[str, Any]) -> None:
        now = time.time_ns() // 1_000_000
        event = to_event(message, self._rules, received_at=now, source=SOURCE, use_sent_at=False)
        encoded = self._codec.encode(event)
        self._put(EVENTS, event.identifiers[0], encoded)
        self.given.add(event.event_id)
        if len(self.given) % self._poison_every == 0:
            bad = poison.draw(self._chance, self._codec, encoded)
            self._put(bad.topic, bad.key, bad.value, {poison.MARK: b""})

    def _put(self, topic: str, key: str, value: bytes | None, headers: Headers | None = None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers or {}, on_delivery=self._delivered)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: Any, message: Message) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}: {error}")

    def _post_all(self, messages: list[dict[str, Any]]) -> None:
        for first in range(0, len(messages), BATCH):
            self._post(messages[first : first + BATCH])

    def _post(self, batch: list[dict[str, Any]]) -> None:
        """As a client library does: the same batch again until the collector has accepted it."""
        key = self._line.write_key
        authorization = b64encode(f"{key}:".encode()).decode()
        headers = {"Authorization": f"Basic {authorization}", "Content-Type": "application/json"}
        body = json.dumps({"batch": batch}).encode()
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                request = urllib.request.Request(f"{self._line.collector}/v1/batch", body, headers)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert json.load(answer)["accepted"] == len(batch)
                    break
            except OSError:  # not there, not acknowledged, or told to come back
                assert time.monotonic() < deadline, "the collector takes nothing any more"
                time.sleep(_TRY_AGAIN_SECONDS)
        self.given |= {event_id(f"collector:{key}", message["messageId"]) for message in batch}


def _date(said: Said) -> None:
    if said.late:
        at = datetime.fromtimestamp(time.time() - said.late / 1000, UTC)
        said.message["timestamp"] = at.isoformat(timespec="milliseconds")
