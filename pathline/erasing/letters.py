"""Dead letters of somebody who is forgotten.

Kafka can only take away the beginning of a partition. So the letters of others in front of the person's last one are
written once more behind it, in one transaction with marks that say so, and then the beginning is taken away. A kill in
between leaves marks, by which nothing counts twice, and the next run takes the beginning away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from confluent_kafka import Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pathline.dead_letters import HANDLED, HOW, DeadLetter, contents, read
from pathline.replay import APP
from schemas.headers import headers_of, sendable
from schemas.identifiers import split
from schemas.kafka import client_config, producer_config
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS

SECONDS = 30.0
ERASED, MOVED = "erased", "moved"
#: where messages of the Segment spec have identifiers
_FIELDS = (b"userId", b"anonymousId", b"previousId", b"id", b"email", b"phone")


def of(settings: Settings, identifiers: Iterable[str]) -> list[tuple[DeadLetter, Message]]:
    """Dead letters in which one of these identifiers stands. Raises KafkaException."""
    mentioned = mention(identifiers)
    return [
        (letter, message)
        for letter, message in contents(settings, read(settings))
        if any(mentioned.search(data) for data in (message.key(), message.value()) if data is not None)
        or any(mentioned.search(value) for _, value in headers_of(message) if value is not None)
    ]


def erase(settings: Settings, identifiers: Iterable[str]) -> int:
    """Take the dead letters of these identifiers away; their number. Raises KafkaException."""
    theirs = of(settings, identifiers)
    if not theirs:
        return 0
    ids = {letter.id for letter, _ in theirs}
    last: dict[int, int] = {}
    for letter, _ in theirs:
        last[letter.partition] = max(letter.offset, last.get(letter.partition, 0))
    others = [
        letter
        for letter in read(settings)
        if letter.id not in ids and not letter.handled and letter.offset < last.get(letter.partition, 0)
    ]
    producer = Producer(producer_config(settings.brokers) | {"transactional.id": APP})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    for letter, message in contents(settings, others):
        headers = sendable(headers_of(message))
        producer.produce(DEAD_LETTERS, message.value(), message.key(), letter.partition, headers=headers)
        _mark(producer, letter, MOVED)
    for letter, _ in theirs:
        if not letter.handled:
            _mark(producer, letter, ERASED)
    producer.commit_transaction(SECONDS)
    ends = [TopicPartition(DEAD_LETTERS, partition, offset + 1) for partition, offset in last.items()]
    # kept until the answer is there: a client that is thrown away never gives one
    admin = AdminClient(client_config(settings.brokers))
    for done in admin.delete_records(ends).values():
        done.result(SECONDS)
    return len(ids)


def _mark(producer: Producer, letter: DeadLetter, how: str) -> None:
    headers = ((HANDLED, letter.id.encode()), (HOW, how.encode()))
    producer.produce(DEAD_LETTERS, None, None, letter.partition, headers=sendable(headers))


def mention(identifiers: Iterable[str]) -> re.Pattern[bytes]:
    """Finds `type:value` as records have it, or the value where a message of the Segment spec has identifiers."""
    parts = []
    for identifier in identifiers:
        type, value = (re.escape(part.encode()) for part in split(identifier))
        parts.append(type + b":" + value + rb"(?![\w@.+-])")
        fields = b"|".join((*_FIELDS, type))
        parts.append(b'"(?:' + fields + rb')"\s*:\s*"' + value + b'"')
    return re.compile(b"|".join(parts) or b"(?!)", re.IGNORECASE)
