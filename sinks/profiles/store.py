"""What the read side keeps on its disk: what it answers with, and how far it has read.

Keys, by their first byte:

p <person id>            profile JSON behind a byte that says where it is from (`UPDATED`, `STATE`)
j <person id>            the person as the journeys stage has it, in that stage's own encoding
a <identifier>           framed Assignment
i <identifier>           slot of the newest event that named the identifier and was filed under another one
h <slot>                 when each of the events kept of a slot occurred
e <slot> NUL <place>     one of them, a framed Event
r <person id>            the person who got what this one was
x <mark>                 an identifier or a person that was erased
q <identifier> NUL <when> <send id>   when a message leaves the inbox of an identifier, and its framed SendCommand
z <when> <the key of a message without q>   that it has left then
f <send id> NUL <what>   when it was sent, seen, clicked, dismissed, withdrawn
m <topic> NUL <partition>   how far that partition was read
w                        when something was written last
c                        that the end was reached once

All of it follows from topics. It is one store for all partitions: whoever has it can answer for everybody.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from rocksdict import Rdict, WriteBatch

from processors.runtime.rocks import options
from schemas.limits import Tally

PROFILE, JOURNEYS, ASSIGNMENT, NAMED, HEAD, EVENT, MOVED, ERASED = b"p", b"j", b"a", b"i", b"h", b"e", b"r", b"x"
MESSAGE, LEAVES, DONE = b"q", b"z", b"f"
UPDATED, STATE = b"u", b"s"
_POSITION, _WRITTEN, _COMPLETE = b"m", b"w", b"c"

#: (topic, partition)
Place = tuple[str, int]


class Position(msgspec.Struct, frozen=True):
    """How far a partition was read: `offset` is the next one, `topic_id` tells topics apart, `tally` is what could not
    be used (`schemas.limits`)."""

    offset: int
    topic_id: str
    tally: str = ""

    @property
    def counted(self) -> Tally:
        return Tally.read(self.tally)


class Store:
    """The store on disk. One thread writes what topics say; any may read."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises Exception of rocksdict when another process has it open."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._db = Rdict(str(path), options=options())

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All pairs with `first <= key < end`, in the order of keys."""
        entries = self._db.iter()
        entries.seek(first)
        while entries.valid() and (key := entries.key()) < end:
            yield key, entries.value()
            entries.next()

    def write(self, changes: Mapping[bytes, bytes | None], positions: Mapping[Place, Position] | None = None) -> None:
        """Write changes (None deletes) and how far was read to make them, at once."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        for place, position in (positions or {}).items():
            batch.put(_place_key(place), msgspec.msgpack.encode(position))
        batch.put(_WRITTEN, str(time.time_ns() // 1_000_000).encode())
        self._db.write(batch)

    def positions(self) -> dict[Place, Position]:
        """How far each partition was read."""
        found = {}
        for key, value in self.scan(_POSITION, b"n"):
            topic, _, partition = key[1:].decode().rpartition("\0")
            found[topic, int(partition)] = msgspec.msgpack.decode(value, type=Position)
        return found

    @property
    def written_at(self) -> int | None:
        """Wall milliseconds since 1970 UTC of the last write; None in a new store."""
        value = self._db.get(_WRITTEN)
        return None if value is None else int(value)

    @property
    def complete(self) -> bool:
        """Whether all there was had been read once: since then it lacks at most what is newest."""
        return self._db.get(_COMPLETE) is not None

    def completed(self) -> None:
        """All there was has been read."""
        self._db.put(_COMPLETE, b"")

    def clear(self) -> None:
        """Throw everything away."""
        self.close()
        shutil.rmtree(self._path)
        self._db = Rdict(str(self._path), options=options())

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


def _place_key(place: Place) -> bytes:
    topic, partition = place
    return _POSITION + f"{topic}\0{partition}".encode()
