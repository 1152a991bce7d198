"""Batches: which records of a partition go into the warehouse together.

A batch is a range of offsets of one partition. The range is written to Kafka before its rows are inserted, so that
after a crash exactly the same batch is built again and ClickHouse drops what it has already. Offsets have gaps
(transactions leave markers, compaction removes records), so only offsets of records that were seen count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.dead_letters import Failed
from schemas.limits import Tally
from schemas.records import Erasure
from sinks.clickhouse.erasure import Names
from sinks.clickhouse.rows import Rows
from sinks.clickhouse.tables import Origin, Row

Partition = tuple[str, int]  # topic, partition
#: a batch is inserted when it has so many records or bytes, at the latest this long after the one before
MOST_RECORDS = 20_000
MOST_BYTES = 32 * 1024 * 1024
PAUSE_SECONDS = 1.0
#: the same when it says who is who now: with the way through the line readers see a merge within a second
MOVED_PAUSE_SECONDS = 0.4
#: lets the records of one transaction upstream arrive together
LINGER_SECONDS = 0.05
_METADATA = re.compile(r"^(\d+)-(\d+)\b")


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets of the first and the last record of a batch, both included."""

    first: int
    last: int

    @property
    def metadata(self) -> str:
        """How it stands in the metadata of a committed offset."""
        return f"{self.first}-{self.last}"

    def token(self, partition: Partition) -> str:
        """What ClickHouse knows the batch by."""
        return f"{partition[0]}-{partition[1]}-{self.first}-{self.last}"


def written_ahead(metadata: str | None) -> Range | None:
    """The batch that was under way when this offset was committed, None when there was none."""
    match = _METADATA.match(metadata or "")
    return Range(int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that could not be used; it becomes a dead letter."""

    record: Failed
    reason: str


@dataclass(slots=True)
class Batch:
    """What was read of one partition since its last commit.

    `repeat` is the batch that has to be built again as it was; then nothing behind its end is taken. `before` is what
    could not be used up to its beginning.
    """

    partition: Partition
    repeat: Range | None = None
    before: Tally = field(default_factory=Tally)
    first: int | None = None
    last: int | None = None
    records: int = 0
    size: int = 0
    rows: dict[str, list[Row]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    #: all of `repeat` was seen, or its end was removed by compaction or retention
    reached_end: bool = False

    def wants(self, offset: int) -> bool:
        """Whether a record belongs to this batch; the first one that does not shows that a repeat is whole."""
        if self.repeat is not None and offset > self.repeat.last:
            self.reached_end = True
            return False
        return True

    def add(self, offset: int, size: int, rows: Rows) -> None:
        """A record and its rows; `size` in bytes."""
        self._count(offset, size)
        for table, row in rows:
            self.rows.setdefault(table, []).append(row)

    def erase(self, erasure: Erasure, origin: Origin) -> None:
        """What the record to be added next says was erased; of its names the rows keep marks."""
        self.erasures.append(erasure)
        rows = self.rows.setdefault("erasures", [])
        rows += ((kind, mark, erasure.at, *origin) for kind, mark in Names.of(erasure).marks())

    def refuse(self, refused: Refused) -> None:
        """A record that left no rows because it could not be used."""
        self.bad.append(self.records)
        self._count(refused.record.offset, len(refused.record.value or b""))
        self.refused.append(refused)

    def reach(self, position: int) -> None:
        """Everything below this offset was read."""
        if self.repeat is not None and position > self.repeat.last:
            self.reached_end = True

    @property
    def range(self) -> Range | None:
        """What to insert under: the range written ahead, else that of the records seen."""
        if self.repeat is not None:
            return self.repeat
        if self.first is None or self.last is None:
            return None
        return Range(self.first, self.last)

    @property
    def complete(self) -> bool:
        """Whether it may be inserted now: a repeat only as a whole."""
        return self.reached_end if self.repeat is not None else self.first is not None

    def _count(self, offset: int, size: int) -> None:
        if self.first is None:
            self.first = offset
        self.last = offset
        self.records += 1
        self.size += size
        if self.repeat is not None and offset >= self.repeat.last:
            self.reached_end = True


def due(batches: Sequence[Batch], rested: float, gathered: float | None) -> bool:
    """Whether these batches are inserted now: `rested` seconds after the last ones, `gathered` seconds after the first
    of their records came, None when none has."""
    if any(one.records >= MOST_RECORDS or one.size >= MOST_BYTES or one.repeat is not None for one in batches):
        return True
    pause = MOVED_PAUSE_SECONDS if any("slot_owners" in one.rows for one in batches) else PAUSE_SECONDS
    return rested >= pause and gathered is not None and gathered >= LINGER_SECONDS
