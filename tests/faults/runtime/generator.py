"""Events of a seed: visitors who log in, duplicates, late ones, disorder over two topics, and poison."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tests.faults.runtime.job import Event, encode

#: events a visitor has on average
EVENTS_EACH = 20
POISON_SHARE = 0.001
DUPLICATE_SHARE = 0.03
LATE_SHARE = 0.02
HELD_BACK_SHARE = 0.05
LOGIN_SHARE = 0.05
#: a message that is held back comes at most this many messages later, a duplicate within three times as many
DISORDER = 2_000
START_MS = 1_760_000_000_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Message:
    """A record to publish in one of the job's two input topics (0 or 1)."""

    topic: int
    key: bytes
    value: bytes | None
    poison: bool = False


def messages(seed: int, visitors: int) -> Iterator[Message]:
    """Messages without end. Visitors are met in an order of chance, two and two of them log in as the same user."""
    chance = random.Random(seed)
    held: list[Message] = []
    sent: deque[Message] = deque(maxlen=3 * DISORDER)
    number = 0
    while True:
        number += 1
        if chance.random() < POISON_SHARE:
            yield _poison(chance, number)
            continue
        if sent and chance.random() < DUPLICATE_SHARE:
            again = chance.choice(sent)
            # the same message id by the other topic too
            yield Message(chance.randrange(2), again.key, again.value)
            continue
        message = _event(chance, number, visitors)
        if chance.random() < HELD_BACK_SHARE:
            held.append(message)
            continue
        if len(held) > DISORDER * HELD_BACK_SHARE:
            yield (late := held.pop(chance.randrange(len(held))))
            sent.append(late)
        yield message
        sent.append(message)


def _event(chance: random.Random, number: int, visitors: int) -> Message:
    visitor = chance.randrange(visitors)
    user = f"user-{visitor // 2}"
    event = Event(number, START_MS + number, chance.randrange(1, 1_000))
    if chance.random() < LATE_SHARE:
        event = msgspec.structs.replace(event, occurred=event.occurred - DAY_MS)
    who = chance.random()
    key = user if who < 0.2 else f"visitor-{visitor}"
    # of two visitors in three it is never known who they are
    if 0.2 <= who < 0.2 + LOGIN_SHARE and visitor % 3 != 0:
        event = msgspec.structs.replace(event, login=user)
    return Message(chance.randrange(2), key.encode(), encode(event))


def _poison(chance: random.Random, number: int) -> Message:
    """One of the ways in which a record can't be used; no two are the same."""
    refused = encode(Event(number, START_MS, 1, refused=True))
    key, value = chance.choice(
        [
            (b"visitor-1", b'{"id":%d,"occ' % number),
            (b"visitor-2", b"\xff\x00 foreign %d" % number),
            (b"poison-%d" % number, None),
            (b"\xff\xfe%d" % number, encode(Event(number, START_MS, 1))),
            (b"visitor-%d" % chance.randrange(9), refused),
        ]
    )
    return Message(chance.randrange(2), key, value, poison=True)
