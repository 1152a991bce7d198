"""A Kafka producer that keeps what it is given, a publisher for it, and the rules most tests work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import sleep

from connectors.inbound.collector.publisher import Outgoing, Publisher
from schemas.definitions.model import IdentifierType, IdentityRules

NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z

RULES = IdentityRules(
    types={
        name: IdentifierType(name, rank, normalize=normalize, region=region)
        for rank, (name, normalize, region) in enumerate(
            [
                ("user_id", None, None),
                ("loyalty_card", None, None),
                ("email", "email", None),
                ("phone", "phone", "UA"),
                ("push_token", None, None),
                ("anonymous_id", None, None),
            ]
        )
    },
    blocked=frozenset({"", "null", "undefined", "anonymous"}),
)


@dataclass
class Kept:
    topic: str
    key: bytes | None
    value: bytes
    headers: dict[str, str]


@dataclass
class KeepingProducer:
    """Acknowledges on poll, unless `silent`; `room` records fit into its queue."""

    silent: bool = False
    room: int = 1_000_000
    kept: list[Kept] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _waiting: list[Callable[[object, object], None]] = field(default_factory=list)

    def produce(
        self,
        topic: str,
        *,
        value: bytes,
        key: bytes | None,
        headers: list[tuple[str, str | bytes]],
        on_delivery: Callable[[object, object], None],
    ) -> None:
        with self._lock:
            if len(self._waiting) >= self.room:
                raise BufferError("queue full")
            self.kept.append(
                Kept(topic, key, value, {name: text.decode() for name, text in headers if isinstance(text, bytes)})
            )
            self._waiting.append(on_delivery)

    def poll(self, timeout: float) -> int:
        with self._lock:
            acknowledged = [] if self.silent else self._waiting
            if acknowledged:
                self._waiting = []
        for callback in acknowledged:
            callback(None, None)
        if not acknowledged:
            sleep(0.001)
        return len(acknowledged)

    def flush(self, timeout: float) -> int:
        return 0

    def of(self, topic: str) -> list[Kept]:
        return [record for record in self.kept if record.topic == topic]


class KeepingPublisher(Publisher):
    """Waits long for a Kafka that answers, as a machine may be busy, and shortly for one that is silent."""

    def __init__(self, kafka: KeepingProducer, most: int = 1_000) -> None:
        super().__init__(kafka, most)
        self._kafka = kafka

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self._timeout = 0.3 if self._kafka.silent else 120.0
        await super().publish(records)
