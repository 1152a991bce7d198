"""Dead letters as they travel: the record that could not be used, untouched, and headers that tell of it.

A dead letter of a record has the headers of `letter`, then those the record came with. A record that is replayed has
those of `Replay` in front of its own: an app that is not named there passes it over, as a topic may have several
readers and the others could use the record at once. All headers of ours are UTF-8 text, times are milliseconds since
1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from schemas.codec import schema_id
from schemas.headers import Headers
from schemas.topics import LARGEST_MESSAGE_BYTES, MESSAGE_BYTES

#: A dead letter holds so much: every record that its topic takes uncompressed, and what we say about it.
LETTER_BYTES = (MESSAGE_BYTES + LARGEST_MESSAGE_BYTES) // 2
_LONGEST_MESSAGE = 2_000
_APP, _ATTEMPT, _FIRST_AT, _FIRST_OFFSET = "replay.app", "replay.attempt", "replay.first_at", "replay.first_offset"
_OURS = (_APP, _ATTEMPT, _FIRST_AT, _FIRST_OFFSET)


@dataclass(frozen=True, slots=True)
class Failed:
    """A record that could not be used, as it stands in its topic; `timestamp` is Kafka's."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Letter:
    """Key, value and headers of a dead letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replayed record says of itself: the app it is for, how often that app has failed on it, when it failed
    first (line time), and the offset of the record that failed then."""

    app: str
    attempt: int
    first_at: int
    first_offset: int

    @property
    def headers(self) -> Headers:
        """The headers of a replayed record, to stand in front of its own."""
        texts = (self.app, str(self.attempt), str(self.first_at), str(self.first_offset))
        return tuple((name, text.encode()) for name, text in zip(_OURS, texts, strict=True))


def replay_of(headers: Headers) -> Replay | None:
    """What a record says of its replay; None for one that was not replayed."""
    if tuple(name for name, _ in headers[: len(_OURS)]) != _OURS:
        return None
    app, *numbers = ((value or b"").decode("utf-8", "replace") for _, value in headers[: len(_OURS)])
    try:
        return Replay(app, *map(int, numbers))
    except ValueError:
        return None


def meant_for(app: str, headers: Headers) -> bool:
    """Whether an app is to use a record: all are, except for what is replayed for another."""
    replay = replay_of(headers)
    return replay is None or replay.app == app


def letter(record: Failed, app: str, error: str, message: str, at: int) -> Letter:
    """The dead letter of a record that an app could not use; `error` is the kind of error, `at` line time.

    A record that is larger than any of the line, which compression can bring into a topic, is cut, and says so.
    """
    replay = replay_of(record.headers)
    own = record.headers if replay is None else record.headers[len(_OURS) :]
    key, value, kept, cut = _fitting(record.key, record.value, own)
    schema = schema_id(record.value)
    headers = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "schema_id": "" if schema is None else str(schema),
        **_told(app, error, message, at),
        "attempt": str(1 if replay is None else replay.attempt + 1),
        "first_at": str(at if replay is None else replay.first_at),
        "first_offset": str(record.offset if replay is None else replay.first_offset),
        "cut": cut,
        "own_headers": str(len(kept)),
    }
    return Letter(key, value, (*_encoded(headers), *kept))


def refused_at_edge(app: str, source: str, error: Exception, at: int) -> Headers:
    """Headers of what never became a record, for example a message without identifier; `source` is the connector with
    its write key, or file and line."""
    return tuple(_encoded({**_told(app, type(error).__name__, str(error), at), "source": source}))


def ours_of(headers: Headers) -> dict[str, str]:
    """What a dead letter says of itself."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers[: _count_of_ours(headers)]}


def own_of(headers: Headers) -> Headers:
    """The headers that the record of a dead letter came with."""
    return headers[_count_of_ours(headers) :]


def _count_of_ours(headers: Headers) -> int:
    counted = next((value for name, value in headers if name == "own_headers"), None)
    return len(headers) - int(counted or 0)


def _told(app: str, error: str, message: str, at: int) -> dict[str, str]:
    return {
        "app": app,
        "version": _version(),
        "error": error,
        "message": message[:_LONGEST_MESSAGE],
        "at": str(at),
    }


def _encoded(headers: dict[str, str]) -> Iterable[tuple[str, bytes]]:
    return ((name, text.encode("utf-8", "replace")) for name, text in headers.items())


def _fitting(key: bytes | None, value: bytes | None, own: Headers) -> tuple[bytes | None, bytes | None, Headers, str]:
    """What there is room for of key, headers and value, and in words what was left out."""
    sizes = len(key or b""), sum(len(name) + len(data or b"") for name, data in own), len(value or b"")
    if sum(sizes) <= LETTER_BYTES:
        return key, value, own, ""
    room = LETTER_BYTES
    key = None if key is None else key[:room]
    room -= len(key or b"")
    own = own if sizes[1] <= room else ()
    room -= sizes[1] if own else 0
    value = None if value is None else value[:room]
    return key, value, own, f"of {sizes[2]} bytes of value, {sizes[0]} of key and {sizes[1]} of headers"


@cache
def _version() -> str:
    try:
        return version("pathline")
    except PackageNotFoundError:
        return "unknown"
