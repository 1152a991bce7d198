"""Batches over a log with gaps, cut at any moment and cut off anywhere: each record is in exactly one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.clickhouse.batches import MOST_RECORDS, Batch, Partition, Range, due, written_ahead

PLACE: Partition = ("updates", 0)
TABLE = "events_raw"


@dataclass
class World:
    """Kafka and ClickHouse for one partition: what was committed, and what came under which token."""

    log: list[int]
    offset: int = 0
    metadata: str = ""
    inserted: dict[str, list[int]] = field(default_factory=dict)

    def read(self, batch: Batch, until: int) -> None:
        """Records from the committed offset on, as a consumer gives them: marks of transactions it keeps to itself."""
        for offset in self.log:
            if self.offset <= offset < until:
                if not batch.wants(offset):
                    return
                batch.add(offset, 1, [(TABLE, (offset,))])
        batch.reach(until)

    def run(self, until: int, dies_after: int) -> None:
        """One life of a sink that sees the log up to an offset: one flush, cut off after so many of its three steps."""
        batch = Batch(PLACE, written_ahead(self.metadata))
        self.read(batch, until)
        if not batch.complete or batch.range is None or dies_after == 0:
            return
        range_: Range = batch.range
        self.metadata = range_.metadata
        if dies_after == 1:
            return
        rows = [row[0] for row in batch.rows.get(TABLE, [])]
        # what comes under a known token is dropped without a look
        token = range_.token(PLACE)
        assert self.inserted.setdefault(token, rows) == rows
        if dies_after == 2:
            return
        self.offset, self.metadata = range_.last + 1, ""


offsets = st.lists(st.integers(1, 4), max_size=25).map(lambda gaps: [sum(gaps[:n]) for n in range(1, len(gaps) + 1)])
lives = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=20)


@given(log=offsets, lived=lives)
def test_each_record_is_in_one_batch_whenever_it_is_cut_off(log: list[int], lived: list[tuple[int, int]]) -> None:
    world, seen, end = World(log), 0, (log[-1] + 3 if log else 3)
    for more, dies_after in lived:
        # more has come since; also a reader may end amid the marks
        seen = min(end, seen + more)
        world.run(seen, dies_after)
    for _ in range(2):
        world.run(end, dies_after=3)
    assert sorted(offset for rows in world.inserted.values() for offset in rows) == log


@given(log=offsets.filter(len), removed=st.integers(0, 30))
def test_a_batch_whose_end_was_removed_is_repeated_with_what_is_left(log: list[int], removed: int) -> None:
    """Compaction or retention took its last records: its range stays, so its token does."""
    world = World(log)
    world.run(log[-1] + 1, dies_after=1)
    before = world.metadata
    world.log = [offset for offset in log if offset < removed] + [log[-1] + 5]
    batch = Batch(PLACE, written_ahead(world.metadata))
    world.read(batch, log[-1] + 6)
    assert batch.complete
    assert batch.range is not None
    assert batch.range.metadata == before
    assert [row[0] for row in batch.rows.get(TABLE, [])] == [offset for offset in log if offset < removed]


@pytest.mark.parametrize(
    ("table", "records", "rested", "gathered", "expected"),
    [
        ("events_raw", 1, 0.5, 0.4, False),
        ("events_raw", 1, 1.0, 0.4, True),
        # who is who is not waited for as long: reads see a merge within a second
        ("slot_owners", 1, 0.3, 0.3, False),
        ("slot_owners", 1, 0.5, 0.4, True),
        # what one transaction wrote comes together
        ("slot_owners", 1, 5.0, 0.01, False),
        ("events_raw", MOST_RECORDS, 0.0, 0.0, True),
        ("events_raw", 0, 5.0, None, False),
    ],
)
def test_when_a_batch_is_inserted(
    table: str, records: int, rested: float, gathered: float | None, expected: bool
) -> None:
    batches = [Batch(PLACE), Batch(("updates", 1))]
    for offset in range(records):
        batches[1].add(offset, 1, [(table, (offset,))])
    assert due(batches, rested, gathered) is expected


def test_a_batch_that_is_repeated_does_not_wait() -> None:
    assert due([Batch(PLACE, Range(3, 7))], 0.0, None)
