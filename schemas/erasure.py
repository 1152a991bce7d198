"""What is kept of the forgotten: marks, which tell a name when it comes again but can't be read."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

#: Separates marks from other hashes of the same texts. Not a secret: whoever guesses a name can tell that it is meant.
_KEY = b"pathline.erased"


class Erased(msgspec.Struct, frozen=True, array_like=True):
    """Erased at an instant (milliseconds since 1970 UTC); what is newer begins anew with `generation`, nothing does
    when that is 0."""

    at: int
    generation: int

    def covers(self, occurred_at: int, received_at: int) -> bool:
        """Whether an event is of the time before: it happened or came in then."""
        return min(occurred_at, received_at) <= self.at


def mark(name: str) -> str:
    """What is kept of an identifier, a slot or a person id."""
    return blake2b(name.encode(), digest_size=16, key=_KEY).hexdigest()


def unmarked(names: Iterable[str], marks: Iterable[str]) -> list[str]:
    """The names that were not forgotten."""
    known = set(marks)
    return [name for name in names if mark(name) not in known] if known else list(names)
