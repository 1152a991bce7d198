"""Dies at a given point of a transaction, as kill -9 would there: `CRASH_AT` names it, `CRASH_AFTER` skips some."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from processors.runtime.outbox import Outbox
from processors.runtime.rocks import RocksStore

#: in the order of a transaction
POINTS = (
    "before records are produced",
    "before the offsets are sent",
    "before the commit",
    "after the commit",
    "before state is written",
    "after state is written",
)


def install() -> None:
    """Put the point that the environment names into the runtime's code."""
    point = os.environ.get("CRASH_AT")
    if point is None:
        return
    left = int(os.environ.get("CRASH_AFTER", "3"))

    def reached(here: str) -> None:
        nonlocal left
        if here == point:
            left -= 1
            if left < 0:
                os._exit(137)

    retried, apply = Outbox._retried, RocksStore.apply

    def retried_or_dead(self: Outbox, act: Callable[..., Any], *arguments: Any) -> Any:
        name = act.__name__
        if name == "send_offsets_to_transaction":
            reached(POINTS[1])
        elif name == "commit_transaction":
            reached(POINTS[2])
        done = retried(self, act, *arguments)
        if name == "begin_transaction":
            reached(POINTS[0])
        elif name == "commit_transaction":
            reached(POINTS[3])
        return done

    def apply_or_dead(self: RocksStore, changes: Any, offset: int, topic_id: str) -> None:
        reached(POINTS[4])
        apply(self, changes, offset, topic_id)
        reached(POINTS[5])

    Outbox._retried = retried_or_dead  # type: ignore[method-assign]
    RocksStore.apply = apply_or_dead  # type: ignore[method-assign]
