"""Lists on a running line: the compacted topic `lists` says who is in them, and the same transaction tells people.

Only what a command changes is written, some at a time; a command that is interrupted has done a part, and done again it
does the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeVar

from confluent_kafka import Message, Producer

from pathline.errors import UserError
from schemas import lists
from schemas.codec import Codec
from schemas.kafka import partitions_of, producer_config, read_whole
from schemas.records import Event
from schemas.settings import Settings
from schemas.topics import EVENTS, LISTS

T = TypeVar("T")

TIMEOUT = 60.0
#: changes in one transaction: what comes behind an open one waits for it
CHUNK = 5_000

#: since when (milliseconds since 1970 UTC) each identifier is in a list, by list
Members = Mapping[str, Mapping[str, int]]


def members(settings: Settings, codec: Codec) -> Members:
    """All lists of the line. Raises KafkaException, TimeoutError."""
    found = defaultdict[str, dict[str, int]](dict)

    def take(message: Message) -> None:
        name, _, identifier = (message.key() or b"").decode().partition("/")
        if message.value() is None:
            found[name].pop(identifier, None)
        else:
            found[name][identifier] = codec.decode(Event, message.value()).occurred_at

    read_whole(settings.brokers, LISTS, take, TIMEOUT)
    return {name: listed for name, listed in sorted(found.items()) if listed}


class Keeper:
    """The one who changes lists; another one that begins ends this one's work."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._producer = Producer(
            producer_config(settings.brokers)
            | {
                "transactional.id": "pathline.lists",
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                "log_level": 3,
            }
        )
        known = partitions_of(self._producer, (LISTS, EVENTS), timeout=TIMEOUT)
        for topic in (LISTS, EVENTS):
            if topic not in known:
                raise UserError(f"The line has no topic {topic}: create its topics with `pathline topics apply`.")
        # ends what an interrupted one left open, so that the lists read afterwards are final
        self._producer.init_transactions(TIMEOUT)
        self.members = members(settings, codec)

    def change(
        self, name: str, joining: Iterable[str], leaving: Iterable[str], tell: Callable[[int], None] = lambda done: None
    ) -> tuple[int, int]:
        """Let identifiers join and leave a list; how many of them really do. `tell` hears how many are done."""
        inside = self.members.get(name, {})
        wanted = dict.fromkeys(one for one in joining if one not in inside)
        unwanted = dict.fromkeys(one for one in leaving if one in inside and one not in wanted)
        # later than anything said before, so that the newest counts whatever the clock does
        at = max([self._settings.make_clock().now(), *(since + 1 for since in inside.values())])
        changes = [(one, True) for one in wanted] + [(one, False) for one in unwanted]
        for done, chunk in _chunks(changes, CHUNK):
            self._producer.begin_transaction()
            for identifier, member in chunk:
                event = self._codec.encode(lists.change(name, identifier, member, at))
                self._produce(LISTS, f"{name}/{identifier}", event if member else None)
                self._produce(EVENTS, identifier, event)
            self._producer.commit_transaction(TIMEOUT)
            tell(done)
        return len(wanted), len(unwanted)

    def forget(self, identifiers: Iterable[str]) -> None:
        """Take identifiers out of all lists without telling people: nobody of them is left."""
        gone = set(identifiers)
        theirs = [f"{name}/{one}" for name, listed in self.members.items() for one in gone & listed.keys()]
        for _, chunk in _chunks(theirs, CHUNK):
            self._producer.begin_transaction()
            for key in chunk:
                self._produce(LISTS, key, None)
            self._producer.commit_transaction(TIMEOUT)

    def _produce(self, topic: str, key: str, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, key=key.encode(), value=value)
                return
            except BufferError:
                self._producer.poll(0.1)


def _chunks(items: list[T], size: int) -> Iterable[tuple[int, list[T]]]:
    """(how many are in it and those before it, some of the items)."""
    rest, done = iter(items), 0
    while chunk := list(islice(rest, size)):
        done += len(chunk)
        yield done, chunk
