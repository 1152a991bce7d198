"""State of one partition as bytes: how its keys are laid out, and the twin in memory of the store on disk.

s <table prefix> NUL <key>          state of a table
w <due, 8 bytes><rank, 2 bytes><key>   a wake; big endian, so that keys in order are wakes in firing order
o                                   how far the inputs are that the state was made of
m <name>                            of the store itself (checkpoint); the only keys that are not in the changelog
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from processors.runtime.contract import Table

_DUE = struct.Struct(">cqH")
WAKE_PREFIX = b"w"
WAKES = (b"w", b"x")
"""First key and end of all wakes."""
WAKE = b"\x01"
"""What a wake's key holds; an empty value could be taken for a deleted one."""
PROGRESS = b"o"


def state_key(table: Table[Any], key: str) -> bytes:
    """Where a table keeps a key."""
    return f"s{table.prefix}\0{key}".encode()


def wake_key(key: str, due: int, rank: int) -> bytes:
    """Where a wake is kept. Raises struct.error when due or rank is out of range."""
    return _DUE.pack(WAKE_PREFIX, due, rank) + key.encode()


def wake_of(raw: bytes) -> tuple[str, int]:
    """(key, due) of a wake."""
    return raw[_DUE.size :].decode(), _DUE.unpack_from(raw)[1]


def wakes_until(due: int) -> bytes:
    """The first key after all wakes due up to and including this instant."""
    return _DUE.pack(WAKE_PREFIX, due + 1, 0)


def is_state(key: bytes) -> bool:
    """Whether this can be a key of state: an app's changelog may hold records of somebody else."""
    if key == PROGRESS:
        return True
    wake = key.startswith(WAKE_PREFIX)
    try:
        key[_DUE.size if wake else 0 :].decode()
    except UnicodeDecodeError:
        return False
    return len(key) >= _DUE.size if wake else key.startswith(b"s") and b"\0" in key


class Store(Protocol):
    """Committed state of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All pairs with `first <= key < end`, in the order of keys."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._data: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._data.get(key)

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(key for key in self._data if first <= key < end):
            yield key, self._data[key]

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write; None deletes."""
        for key, value in changes:
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value
