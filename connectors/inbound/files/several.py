"""Several sources as one: one position, and a message id counts once in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.inbound.files.base import Item, Source, share_of


class Several:
    """One source after the other. Its id stays when files come later that fit the same pattern."""

    def __init__(self, parts: Sequence[Source], id: str) -> None:
        self._parts = parts
        self._done = 0
        self.id = id

    def share(self) -> float | None:
        """Taken as if all were of one size."""
        if self._done == len(self._parts):
            return 1.0
        here = share_of(self._parts[self._done])
        return None if here is None else (self._done + here) / len(self._parts)

    def items(self) -> Iterator[Item]:
        for self._done, part in enumerate(self._parts):  # noqa: B020
            yield from part.items()
        self._done = len(self._parts)
