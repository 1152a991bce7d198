"""One partition's share of a transaction: what its turns read, wrote and sent, until all of it counts or none.

`Work` is the `Turn` that stages see. The worker and the memory broker open one per partition and transaction, run
turns in it and take the effects out; neither has a turn of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, TypeVar

import msgspec

from processors.runtime.contract import BadRecord, Table
from processors.runtime.store import WAKE, Store, state_key, wake_key
from schemas.headers import Headers
from schemas.topics import INTERNAL_BYTES

S = TypeVar("S")

_ABSENT = object()


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A record to produce; `partition` None leaves it to the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


class Work:
    """Turns on one partition within one transaction. Not safe for threads.

    `careful` encodes state at each put, so that the turn that makes a state too large is known; otherwise a state is
    encoded once a transaction, however often it changed.
    """

    def __init__(self, partition: int, store: Store, *, careful: bool = False, limit: int = INTERNAL_BYTES) -> None:
        self._partition = partition
        self._store = store
        self._careful = careful
        self._limit = limit
        self._now = 0
        self._cache: dict[bytes, Any] = {}
        self._dirty: dict[bytes, Table[Any]] = {}
        self._undo: list[tuple[bytes, Any, bool]] = []
        self._wakes: dict[bytes, bytes | None] = {}
        self._undo_wakes: list[tuple[bytes, Any]] = []
        self.sent: list[Sent] = []
        self.calls: list[tuple[str, Any]] = []

    @property
    def now(self) -> int:
        return self._now

    @property
    def partition(self) -> int:
        return self._partition

    def get(self, table: Table[S], key: str) -> S | None:
        raw = state_key(table, key)
        value = self._cache.get(raw, _ABSENT)
        if value is _ABSENT:
            data = self._store.get(raw)
            value = self._cache[raw] = None if data is None else self._decoded(table, raw, data)
        return value  # type: ignore[no-any-return]

    def put(self, table: Table[S], key: str, value: S | None) -> None:
        raw = state_key(table, key)
        if self._careful and value is not None and (size := len(raw) + len(table.encode(value))) > self._limit:
            raise self._too_large(f"state {table.prefix}", size)
        self._undo.append((raw, self._cache.get(raw, _ABSENT), raw in self._dirty))
        self._cache[raw] = value
        self._dirty[raw] = table

    def scan(self, table: Table[S], prefix: str = "", after: str = "") -> Iterator[tuple[str, S]]:
        all_of_them, before = state_key(table, prefix), len(state_key(table, ""))
        first, end = max(all_of_them, state_key(table, after + "\0")) if after else all_of_them, all_of_them + b"\xff"
        changed = sorted(raw for raw in self._dirty if first <= raw < end)
        stored = ((raw, data) for raw, data in self._store.scan(first, end) if raw not in self._dirty)
        for raw, data in heapq.merge(stored, ((raw, b"") for raw in changed), key=itemgetter(0)):
            value = self._cache[raw] if raw in self._dirty else self._decoded(table, raw, data)
            if value is not None:
                yield raw[before:].decode(), value

    def send(self, topic: str, key: str, value: bytes | None, partition: int | None = None) -> None:
        raw = key.encode()
        if (size := len(raw) + len(value or b"")) > self._limit:
            raise self._too_large(f"record for {topic}", size)
        self.sent.append(Sent(topic, raw, value, partition))

    def wake(self, key: str, due: int, rank: int = 0) -> None:
        self._mark(wake_key(key, due, rank), WAKE)

    def call(self, key: str, request: Any) -> None:
        self.calls.append((key, request))

    def fired(self, raw: bytes) -> None:
        """The wake with this key is fired by the turn about to run and asked for no more."""
        self._mark(raw, None)

    def run(self, now: int, step: Callable[..., None], *arguments: Any) -> BadRecord | None:
        """Take a turn, `step(*arguments, turn)`, at line time `now`; the error, and no effects, if a BadRecord."""
        self._now = now
        self._undo.clear()
        self._undo_wakes.clear()
        sent, calls = len(self.sent), len(self.calls)
        try:
            step(*arguments, self)
        except BadRecord as error:
            self._roll_back(sent, calls)
            return error
        return None

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """State and wakes as they are now, one pair a key that changed; None for what was deleted.

        Raises StateTooLarge; the transaction is then run again, carefully.
        """
        for raw, table in self._dirty.items():
            value = self._cache[raw]
            data = None if value is None else table.encode(value)
            if data is not None and len(raw) + len(data) > self._limit:
                raise StateTooLarge(raw.decode(errors="replace"))
            yield raw, data
        yield from self._wakes.items()

    def _decoded(self, table: Table[S], raw: bytes, data: bytes) -> S:
        try:
            return table.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(self._partition, raw, str(error)) from error

    def _mark(self, raw: bytes, value: bytes | None) -> None:
        self._undo_wakes.append((raw, self._wakes.get(raw, _ABSENT)))
        self._wakes[raw] = value

    def _too_large(self, what: str, size: int) -> BadRecord:
        return BadRecord(f"{what} of {size} bytes is above the limit of {self._limit}")

    def _roll_back(self, sent: int, calls: int) -> None:
        del self.sent[sent:], self.calls[calls:]
        for raw, value, dirty in reversed(self._undo):
            if value is _ABSENT:
                del self._cache[raw]
            else:
                self._cache[raw] = value
            if not dirty:
                del self._dirty[raw]
        for raw, value in reversed(self._undo_wakes):
            if value is _ABSENT:
                del self._wakes[raw]
            else:
                self._wakes[raw] = value


class StateTooLarge(Exception):
    """A state is above the size limit and which turn made it so is not known yet."""


class Unreadable(Exception):
    """What stands under a key is no state of its table: somebody else wrote it, or another version of the app."""

    def __init__(self, partition: int, key: bytes, why: str) -> None:
        super().__init__(why)
        self.partition = partition
        self.key = key
