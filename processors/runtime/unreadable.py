"""What is said, and where it is found, when the state under a key can't be read.

A changelog belongs to its app. A foreign record under one of the app's own keys can't be told from state by the log: it
is restored, and found when the key is used. Going on without it could lose state that another version of the app wrote,
so the worker stops for a person to decide.
"""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, TopicPartition

from processors.runtime.turns import Unreadable
from schemas.kafka import consumer_config
from schemas.topics import changelog

_PATIENCE_SECONDS = 60.0
_CHUNK = 10_000


def advice(brokers: str, app: str, found: Unreadable) -> str:
    """Which record it is, and what to do."""
    topic, partition = changelog(app), found.partition
    offset = _last_offset(brokers, topic, partition, found.key)
    where = "which was not found in time" if offset is None else f"offset {offset}"
    told = f"{app} stops: the state under the key {found.key!r} can't be read ({found}): {topic}[{partition}], {where}."
    place = f"{partition}:{'OFFSET' if offset is None else offset}"
    return (
        f"{told} If another version of {app} wrote it, run that one. Otherwise find out who else writes to {topic}, "
        f"put back what stood there (`pathline state put-back {app} {place}`), then `pathline restart {app}`."
    )


def _last_offset(brokers: str, topic: str, partition: int, key: bytes) -> int | None:
    """Offset of the last committed record under a key; None when the end could not be read in time."""
    reader = Consumer(consumer_config(brokers, "unused") | {"enable.partition.eof": True})
    reader.assign([TopicPartition(topic, partition, 0)])
    deadline, last = time.monotonic() + _PATIENCE_SECONDS, None
    try:
        while time.monotonic() < deadline:
            for message in reader.consume(_CHUNK, 0.1):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return last
                if error is None and message.key() == key:
                    last = message.offset()
    finally:
        reader.close()
    return None
