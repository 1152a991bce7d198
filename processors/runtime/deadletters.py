"""Dead letters of a processor: sent in the transaction in which the record that could not be used is passed over."""

from __future__ import annotations

from processors.runtime.contract import Record
from processors.runtime.turns import Sent
from schemas.dead_letters import Failed, letter
from schemas.topics import DEAD_LETTERS


def dead_letter(record: Record, app: str, error: Exception, at: int, partition: int | None = None) -> Sent:
    """The dead letter of a record (see `schemas.dead_letters`); `at` is line time in milliseconds."""
    failed = Failed(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )
    made = letter(failed, app, type(error).__name__, str(error), at)
    return Sent(DEAD_LETTERS, made.key, made.value, partition, made.headers)


def cause_record(app: str, kind: str, partition: int, key: str, at: int) -> Record:
    """What stands for the cause of a turn that no record caused (kind: wake, result, assigned) in a dead letter."""
    return Record(f"{app}:{kind}", partition, at, at, key.encode(), None)
