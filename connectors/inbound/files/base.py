"""What a file format is to the loaders: messages of the Segment spec, in the same order every time.

A new format is one class and one entry in `connectors.inbound.files.FORMATS`; formats of other packages register under
the entry point group `pathline.formats`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import orjson


class BadSource(ValueError):
    """There is no such source, or its options are wrong; the text says what is allowed."""


class Item(NamedTuple):
    """One message: its bytes as they stand in the source, and the object in them or the problem with them."""

    raw: bytes
    message: Mapping[str, Any] | None
    problem: str = ""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Item:
        """A message that was made, not read."""
        # orjson's own text takes the 4 KB it was written into
        return cls(memoryview(orjson.dumps(message)).tobytes(), message)


class Source(Protocol):
    """One thing to load. It is made by its format from the text after `KIND:`; raises BadSource then."""

    @property
    def id(self) -> str:
        """The same for the same source in another run: under it the position of a load is kept."""

    def items(self) -> Iterator[Item]:
        """All items, the same and in the same order at every call. Raises OSError."""


@runtime_checkable
class Measured(Protocol):
    """A source that knows how much of it was read; one may leave it out."""

    def share(self) -> float | None:
        """0 to 1, None when it is not known yet."""


def share_of(source: Source) -> float | None:
    """How much of a source was read, 0 to 1; None when it does not know."""
    return source.share() if isinstance(source, Measured) else None


def head_of(source: Source) -> bytes:
    """What a file of lines taken from this source has to begin with; nothing for most."""
    return getattr(source, "head", b"")


def repeatable(source: Source) -> bool:
    """Whether the source can be read again: standard input can't."""
    return not source.id.endswith(":stdin")


def options(text: str, allowed: Mapping[str, str]) -> dict[str, int]:
    """Positive numbers of `name=1,other=2`; `allowed` explains each name. Raises BadSource."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in allowed:
            explained = ", ".join(f"{name} ({about})" for name, about in allowed.items())
            raise BadSource(f"unknown option {name!r}; there are {explained}")
        if not value.isdecimal() or int(value) < 1:
            raise BadSource(f"{name}={value}: a number from 1 is expected ({allowed[name]})")
        found[name] = int(value)
    return found
