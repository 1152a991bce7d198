"""One partition of an app while it is assigned: its store, how far its inputs are, up to when its timers may fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from processors.runtime.contract import Record
from processors.runtime.rocks import RocksStore
from processors.runtime.store import PROGRESS, wake_of, wakes_until
from processors.runtime.turns import Unreadable
from schemas.clock import Clock
from schemas.limits import Tally


@dataclass(slots=True)
class Source:
    """One input topic's share of a partition.

    `next` is the offset to commit: that of the first record not processed, and `tally` what was bad up to it. `at_end`
    is set when the broker said that nothing follows, `seen` is the timestamp (wall milliseconds) of the last record.
    """

    next: int
    tally: Tally = field(default_factory=Tally)
    at_end: bool = False
    seen: int = 0


@dataclass(slots=True)
class Partition:
    """State and progress of one partition of an app. `epoch` numbers assignments of this worker."""

    number: int
    epoch: int
    store: RocksStore
    topic_id: str
    sources: dict[str, Source]
    restored: bool = False
    welcomed: bool = False
    next_due: int | None = None

    def reached(self, clock: Clock, now: int, progress: Mapping[tuple[str, int], Record | None]) -> int:
        """Line time up to which all input is known: timers due later wait, so that none overtakes an older record.

        `progress` is what the transaction at hand has read: a record, or None for the end.
        """
        behind = []
        for topic, source in self.sources.items():
            if (topic, self.number) in progress:
                last = progress[topic, self.number]
                if last is not None:
                    behind.append(last.timestamp)
            elif not source.at_end:
                behind.append(source.seen)
        return min(now, clock.line(min(behind))) if behind else now

    def due(self, until: int, limit: int) -> list[bytes]:
        """Keys of at most `limit` committed wakes due up to and including this instant, in firing order."""
        return list(islice(self.store.wakes(wakes_until(until)), limit))

    def progress(self) -> tuple[bytes, bytes]:
        """The change of state that says how far the inputs are."""
        return PROGRESS, msgspec.msgpack.encode({topic: source.next for topic, source in self.sources.items()})

    def made_of(self) -> dict[str, int]:
        """Offset of each input topic up to which the committed state was made of it. Raises Unreadable."""
        data = self.store.get(PROGRESS)
        try:
            return {} if data is None else msgspec.msgpack.decode(data, type=dict[str, int])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(self.number, PROGRESS, str(error)) from error

    def look_ahead(self) -> None:
        """Find out when the next wake is due."""
        first = next(self.store.wakes(b"x"), None)
        self.next_due = None if first is None else wake_of(first)[1]
