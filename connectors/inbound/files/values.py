"""Values of tables: texts to numbers, instants and objects, and what Parquet has to what JSON has."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

TYPES = ("text", "number", "integer", "boolean", "time", "json")
#: formats of dates that are no patterns; `iso` is what is taken without any
UNIX, UNIX_MS, ISO = "unix", "unix_ms", "iso"
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_SPACES = re.compile(r"(?<=\d)[ \u00a0\u202f](?=\d{3})")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadValue(ValueError):
    """A value that is not what its column is said to be."""


_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Format:
    """How values are written. `zone` is that of times which don't tell theirs."""

    dates: tuple[str, ...] = ()
    zone: ZoneInfo = _UTC
    decimal: str = "."
    thousands: str = ""

    @staticmethod
    def wrong(pattern: str) -> str:
        """What is wrong with a format of dates; empty when nothing is."""
        if pattern in (ISO, UNIX, UNIX_MS):
            return ""
        try:
            now = datetime(2026, 11, 22, 13, 14, 15)
            same = datetime.strptime(now.strftime(pattern), pattern).date() == now.date()
        except ValueError:
            same = False
        if same:
            return ""
        return f"dates: {pattern!r} is none of iso, unix, unix_ms, and no pattern of a whole date as %d.%m.%Y %H:%M"


def reader(type: str | None, format: Format) -> Callable[[Any], Any]:
    """What makes the value of a message from one of a table; raises BadValue."""
    if type == "time":
        return lru_cache(65_536)(lambda value: _time(value, format))
    if type in ("number", "integer"):
        return lambda value: _number(value, format, type == "integer")
    if type == "boolean":
        return _boolean
    if type == "json":
        return lambda value: _json(value, format.zone)
    if type == "text":
        return lambda value: value if isinstance(value, str) else _text(plain(value, format.zone))
    return lambda value: value if isinstance(value, str) else plain(value, format.zone)


def plain(value: Any, zone: ZoneInfo) -> Any:
    """A value of Parquet as JSON has it. Raises BadValue."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
        case datetime():
            return _iso(value, zone)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise BadValue("bytes that are no text") from None
        case dict():
            return {str(name): plain(one, zone) for name, one in value.items() if one is not None}
        case list():
            if value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
                # a map
                return {str(name): plain(one, zone) for name, one in value}
            return [plain(one, zone) for one in value]
    raise BadValue(f"{type(value).__name__} has no form in JSON")


def _time(value: Any, format: Format) -> str:
    if isinstance(value, datetime):
        return _iso(value, format.zone)
    if isinstance(value, date):
        return _iso(datetime(value.year, value.month, value.day), format.zone)
    text = str(value).strip()
    for pattern in format.dates or (ISO,):
        try:
            return _iso(_parsed(text, pattern), format.zone)
        except (ValueError, OverflowError):
            continue
    raise BadValue(f"{_shown(value)} is not a time ({', '.join(format.dates or (ISO,))})")


def _parsed(text: str, pattern: str) -> datetime:
    if pattern == ISO:
        return datetime.fromisoformat(text)
    if pattern in (UNIX, UNIX_MS):
        seconds = Decimal(text) if _NUMBER.fullmatch(text) else None
        if seconds is None:
            raise ValueError(text)
        return _EPOCH + timedelta(milliseconds=int(seconds * (1 if pattern == UNIX_MS else 1000)))
    return datetime.strptime(text, pattern)


def _iso(at: datetime, zone: ZoneInfo) -> str:
    try:
        aware = (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise BadValue(f"{at} is no time in UTC") from None
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: Any, format: Format, whole: bool) -> int | float:
    if isinstance(value, bool):
        raise BadValue(f"{value} is not a number")
    if isinstance(value, Decimal):
        value = plain(value, format.zone)
    if not isinstance(value, int | float):
        text = _SPACES.sub("", str(value).strip())
        if format.thousands:
            text = re.sub(rf"(?<=\d){re.escape(format.thousands)}(?=\d{{3}}(?!\d))", "", text)
        if format.decimal == ",":
            text = text.replace(".", "x").replace(",", ".")
        if not _NUMBER.fullmatch(text):
            hint = '; `decimal: ","` reads 12,5' if "," in text and format.decimal == "." else ""
            raise BadValue(f"{_shown(value)} is not a number{hint}")
        value = float(text) if not text.lstrip("+-").isdecimal() else int(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue(f"{value} is not a number")
    if whole and value != int(value):
        raise BadValue(f"{_shown(value)} is not a whole number")
    return int(value) if whole else value


def _boolean(value: Any) -> bool:
    known = value if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())
    if known is None:
        raise BadValue(f"{_shown(value)} is neither true nor false (yes, no, 1, 0)")
    return known


def _json(value: Any, zone: ZoneInfo) -> Any:
    if not isinstance(value, str):
        return plain(value, zone)
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadValue(f"{_shown(value)} is not JSON: {error}") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else orjson.dumps(value).decode()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
