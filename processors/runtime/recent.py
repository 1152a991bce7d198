"""What was read from a store or written to it lately: the same keys come again and again, and asking RocksDB for one
takes longer than the rest of a small turn."""

from __future__ import annotations

from typing import Any, Final

#: Nothing is remembered of a key. (That it is not there is remembered, as None.)
UNKNOWN: Final[Any] = object()
#: What Python needs for a key, a value and their place in a dict, beside the bytes in them.
_ENTRY_BYTES = 200


class Recent:
    """Values of the keys used last, in at most about `limit` bytes.

    Two generations instead of an order of use, which would cost more than it saves: a key that is used moves to the
    young one; when that is full the old one is forgotten and the young one becomes old.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._young: dict[bytes, bytes | None] = {}
        self._old: dict[bytes, bytes | None] = {}
        self._size = 0

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, UNKNOWN when it is not remembered."""
        value: bytes | None = self._young.get(key, UNKNOWN)
        if value is UNKNOWN and (value := self._old.get(key, UNKNOWN)) is not UNKNOWN:
            self.keep(key, value)
        return value

    def keep(self, key: bytes, value: bytes | None) -> bytes | None:
        """Remember a value, and return it."""
        before = self._young.get(key, UNKNOWN)
        grown = _ENTRY_BYTES + len(key) if before is UNKNOWN else -len(before or b"")
        self._size += grown + len(value or b"")
        self._young[key] = value
        if self._size > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        return value
