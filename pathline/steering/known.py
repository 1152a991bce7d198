"""What the graph knows, as its changelog has it: committed, and the same whether the graph runs or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from processors.graph.model import NODES, Node
from processors.runtime.contract import Table
from processors.runtime.published import PublishedDefinitions
from processors.runtime.store import state_key
from schemas.definitions.model import IdentityRules
from schemas.kafka import consumer_config, high_watermarks, read_whole
from schemas.registry import codec_for
from schemas.settings import Settings
from schemas.topics import changelog

S = TypeVar("S")

#: A million identifiers take about half a minute.
WHOLE_SECONDS = 600.0
_TOPIC = changelog("graph")


def nodes_of(settings: Settings) -> dict[str, Node]:
    """Every identifier that was ever linked or spoken of, with its links. Raises KafkaException, TimeoutError."""
    found: dict[str, bytes | None] = {}

    def take(message: Message) -> None:
        identifier = _key_of(NODES, message)
        if identifier is not None:
            found[identifier] = message.value()

    read_whole(settings.brokers, _TOPIC, take, WHOLE_SECONDS)
    return {identifier: NODES.decode(value) for identifier, value in found.items() if value is not None}


def rules_in_force(settings: Settings) -> IdentityRules | None:
    """The rules that were published last, None when none were. Raises KafkaException, TimeoutError."""
    project = PublishedDefinitions(settings.brokers, codec_for(settings)).latest()
    return None if project is None else project.identity


class Following:
    """State of the graph as it changes from now on. Raises KafkaException."""

    def __init__(self, settings: Settings) -> None:
        end = high_watermarks(settings.brokers, [(_TOPIC, 0)])[_TOPIC, 0]
        self._consumer = Consumer(consumer_config(settings.brokers, "unused"))
        self._consumer.assign([TopicPartition(_TOPIC, 0, end)])

    def until(self, table: Table[S], seen: Callable[[Mapping[str, S]], bool], timeout: float) -> dict[str, S]:
        """What changed in a table until `seen` is content with it or `timeout` seconds have passed."""
        found: dict[str, S] = {}
        for key, value in self._changes(table, time.monotonic() + timeout):
            found[key] = value
            if seen(found):
                break
        return found

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _changes(self, table: Table[S], deadline: float) -> Iterator[tuple[str, S]]:
        while (left := deadline - time.monotonic()) > 0:
            message = self._consumer.poll(left)
            if message is None:
                continue
            if message.error() is not None:
                raise KafkaException(message.error())
            key, value = _key_of(table, message), message.value()
            if key is not None and value is not None:
                yield key, table.decode(value)


def _key_of(table: Table[S], message: Message) -> str | None:
    """The key of a state of this table; None for everything else."""
    raw, prefix = message.key(), state_key(table, "")
    return raw[len(prefix) :].decode() if raw is not None and raw.startswith(prefix) else None
