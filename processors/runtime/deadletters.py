"""Dead letters: the record that could not be used, untouched, with where it came from and why it is here."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from processors.runtime.contract import Record
from processors.runtime.turns import Sent
from schemas.codec import schema_id
from schemas.topics import DEAD_LETTERS

_LONGEST_MESSAGE = 2_000


@cache
def _version() -> str:
    try:
        return version("pathline")
    except PackageNotFoundError:
        return "unknown"


def dead_letter(record: Record, app: str, error: Exception, at: int, partition: int | None = None) -> Sent:
    """The dead letter of a record: key and value as they came, the rest in headers (UTF-8 text).

    `at` is line time in milliseconds. Own headers of the record stay, after ours.
    """
    schema = schema_id(record.value)
    headers = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "schema_id": "" if schema is None else str(schema),
        "app": app,
        "version": _version(),
        "error": type(error).__name__,
        "message": str(error)[:_LONGEST_MESSAGE],
        "at": str(at),
    }
    ours = tuple((name, text.encode()) for name, text in headers.items())
    return Sent(DEAD_LETTERS, record.key, record.value, partition, ours + record.headers)


def cause_record(app: str, kind: str, partition: int, key: str, at: int) -> Record:
    """What stands for the cause of a turn that no record caused (kind: wake, result, assigned) in a dead letter."""
    return Record(f"{app}:{kind}", partition, at, at, key.encode(), None)
