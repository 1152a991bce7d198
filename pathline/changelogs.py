"""Putting right what somebody else wrote into the changelog of an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupState, Producer
from confluent_kafka.admin import AdminClient

from pathline.erasing.reading import records
from pathline.errors import UserError
from schemas.kafka import client_config, producer_config
from schemas.settings import Settings
from schemas.topics import changelog

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PutBack:
    """A key whose state is again what it was at `offset`; None: it has none."""

    key: bytes
    offset: int | None


def put_back(settings: Settings, app: str, partition: int, offset: int, *, delete: bool = False) -> PutBack:
    """Write what a key held before the record at `offset`, behind everything; nothing with `delete`.

    A worker that comes meanwhile does no harm: what it can't read it can't write over, and at the latest after its next
    start it has what is put back. Raises UserError when the app has workers, or the record is not there or not the last
    under its key; KafkaException.
    """
    if workers := _members(settings, app):
        raise UserError(f"{app} has {workers} workers that may change its state meanwhile: stop them first.")
    topic = changelog(app)
    there = list(records(settings.brokers, topic, [partition]))
    wrong = next((message for message in there if message.offset() == offset), None)
    if wrong is None or (key := wrong.key()) is None:
        raise UserError(f"There is no record with a key at offset {offset} of {topic}[{partition}].")
    same = [message for message in there if message.key() == key]
    if (last := same[-1].offset()) != offset:
        raise UserError(f"The state under this key is that of offset {last} by now: nothing is to be put back.")
    before = None if delete or len(same) == 1 else same[-2]
    producer = Producer(producer_config(settings.brokers))
    producer.produce(topic, before.value() if before else None, key, partition)
    if producer.flush(_SECONDS):
        raise UserError(f"Kafka did not acknowledge it within {_SECONDS:.0f} s: try again.")
    return PutBack(key, before.offset() if before else None)


def _members(settings: Settings, app: str) -> int:
    admin = AdminClient(client_config(settings.brokers))
    group: Any = admin.describe_consumer_groups([app])[app].result(_SECONDS)
    return 0 if group.state == ConsumerGroupState.EMPTY else len(group.members)
