"""Records the sink can't use: their bytes untouched in `dead-letters`, with the same headers as those of processors."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from schemas.codec import BadRecord, schema_id
from sinks.clickhouse.batches import Partition, Refused

_LONGEST_MESSAGE = 2_000
#: below so many records a share says nothing
_ENOUGH = 1_000


class TooManyDeadLetters(Exception):
    """So much can't be used that the fault is not in single records; the sink stops before it buries everything."""


class Limit:
    """Counts dead letters: a share of the records since the start, and a number in a row."""

    def __init__(self, ratio: float, run: int) -> None:
        self._ratio = ratio
        self._run = run
        self._records = 0
        self._dead = 0
        self._in_a_row = 0

    def used(self) -> None:
        """A record was fine."""
        self._records += 1
        self._in_a_row = 0

    def refused(self, reason: str) -> None:
        """A record can't be used. Raises TooManyDeadLetters past a limit."""
        self._records += 1
        self._dead += 1
        self._in_a_row += 1
        if self._in_a_row > self._run:
            raise TooManyDeadLetters(f"{self._in_a_row} records in a row can't be used, the last one: {reason}")
        if self._records >= _ENOUGH and self._dead > self._ratio * self._records:
            share = self._dead / self._records
            raise TooManyDeadLetters(f"{share:.0%} of {self._records} records can't be used, the last one: {reason}")


def headers_of(partition: Partition, refused: Refused, app: str, at: int) -> list[tuple[str, str | bytes]]:
    """Where a record came from and why it is here; `at` is line time in milliseconds. Its own headers stay, after."""
    schema = schema_id(refused.value)
    ours = {
        "topic": partition[0],
        "partition": str(partition[1]),
        "offset": str(refused.offset),
        "timestamp": str(refused.timestamp),
        "schema_id": "" if schema is None else str(schema),
        "app": app,
        "version": _version(),
        "error": BadRecord.__name__,
        "message": refused.reason[:_LONGEST_MESSAGE],
        "at": str(at),
    }
    return [*((name, text.encode()) for name, text in ours.items()), *refused.headers]


def _version() -> str:
    try:
        return version("pathline")
    except PackageNotFoundError:
        return "unknown"
