"""Offsets of long ago, as a broker tells them while it comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition

from sinks.clickhouse.committed import current

WRITTEN = {("updates", 0): 99}


def told(*answers: TopicPartition) -> Callable[[], list[TopicPartition]]:
    """One answer after the other, the last one for good."""
    remaining = list(answers)
    return lambda: [remaining.pop(0) if len(remaining) > 1 else remaining[0]]


def offsets(*found: TopicPartition) -> list[int]:
    # two are equal when their partitions are
    return [tp.offset for tp in found]


def test_an_offset_behind_what_is_written_is_asked_for_again() -> None:
    old, now = TopicPartition("updates", 0, 40), TopicPartition("updates", 0, 100)
    assert offsets(*current(told(old, old, now), lambda tp: 120, WRITTEN)) == offsets(now)


@pytest.mark.parametrize(
    "answer",
    [
        TopicPartition("updates", 0, 100),
        TopicPartition("updates", 0, 80, "80-99"),
        TopicPartition("updates", 1, 3),
        TopicPartition("updates", 1, -1001),
    ],
    ids=["behind the last row", "a batch under way", "a partition without rows", "nothing committed"],
)
def test_an_offset_as_it_should_be_is_taken_at_once(answer: TopicPartition) -> None:
    later = TopicPartition(answer.topic, answer.partition, 1_000)
    assert offsets(*current(told(answer, later), lambda tp: 1_000, WRITTEN)) == offsets(answer)


def test_rows_of_another_topic_of_that_name_hold_nothing_up() -> None:
    new, later = TopicPartition("updates", 0, 2), TopicPartition("updates", 0, 100)
    assert offsets(*current(told(new, later), lambda tp: 5, WRITTEN)) == offsets(new)
    assert offsets(*current(told(new), lambda tp: 120, WRITTEN, patience=0.2)) == offsets(new)
