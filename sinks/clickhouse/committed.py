"""Committed offsets that are those of now.

A broker that was killed and comes back tells offsets of long ago for a moment, while it reads its log (seen with
Kafka 4.1). Batches cut anew from there would be inserted twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog
from confluent_kafka import TopicPartition

from sinks.clickhouse.batches import Partition, written_ahead

log = structlog.get_logger()

_PAUSE_SECONDS = 0.1


def current(
    ask: Callable[[], list[TopicPartition]],
    end: Callable[[TopicPartition], int],
    written: Mapping[Partition, int],
    patience: float = 10.0,
) -> list[TopicPartition]:
    """What `ask` says, asked again as long as the warehouse has more of a partition: `written` is the last offset it
    has. When that stays so for `patience` seconds, its rows are of another topic of that name."""
    deadline = time.monotonic() + patience
    while True:
        found = ask()
        old = [f"{tp.topic}[{tp.partition}]@{tp.offset}" for tp in found if _is_old(tp, end, written)]
        if not old or time.monotonic() > deadline:
            return found
        log.warning("asking again for offsets: the warehouse has more", told=old)
        time.sleep(_PAUSE_SECONDS)


def _is_old(told: TopicPartition, end: Callable[[TopicPartition], int], written: Mapping[Partition, int]) -> bool:
    last, repeat = written.get((told.topic, told.partition)), written_ahead(told.metadata)
    if last is None or last < (told.offset if repeat is None else repeat.last + 1):
        return False
    # a topic that was made anew is not that far yet
    return last < end(told)
