"""Comparing a trait with a value: the operators of `trait` conditions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from processors.segments.marks import Span
from schemas.definitions.expressions import lookup

#: Numbers below this are seconds since 1970, above it milliseconds: 1973 in the one, 5138 in the other.
_SECONDS_BELOW = 100_000_000_000


def find(values: dict[str, Any], name: str) -> Any | None:
    """The value of a trait; a dotted name reaches into objects. None when there is none."""
    return values[name] if name in values else lookup(values, name)


def compare(op: str, actual: Any | None, wanted: Any) -> bool:
    """Whether a trait's value meets an operator.

    `not_equals` is the negation of `equals`, so it is true of a person without the trait; all others but `exists:
    false` need the trait. Text and numbers never equal each other. Raises ValueError for an unknown operator.
    """
    match op:
        case "equals":
            return _same(actual, wanted)
        case "not_equals":
            return not _same(actual, wanted)
        case "one_of":
            return any(_same(actual, one) for one in wanted)
        case "at_least":
            return _order(actual, wanted, 1)
        case "at_most":
            return _order(actual, wanted, -1)
        case "exists":
            return (actual is not None) == bool(wanted)
        case "contains":
            if isinstance(actual, str):
                return isinstance(wanted, str) and wanted in actual
            return isinstance(actual, list) and any(_same(item, wanted) for item in actual)
    raise ValueError(f"the trait operator {op} is not known")


def date_span(actual: Any | None, far: int, zone: str) -> Span | None:
    """When a date is less than `far` milliseconds from now, before it or after; None when it is not a date."""
    at = instant(actual, zone)
    return None if at is None else (at - far, at + far)


def instant(value: Any | None, zone: str) -> int | None:
    """Milliseconds since 1970 UTC of a date (ISO 8601, local midnight and local time in `zone`; or a number of seconds
    or milliseconds since 1970); None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value * 1000) if abs(value) < _SECONDS_BELOW else int(value)
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))
    try:
        return int(at.timestamp() * 1000)
    except (OverflowError, ValueError):
        return None


def _same(actual: Any | None, wanted: Any) -> bool:
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return actual is wanted
    if isinstance(actual, int | float) and isinstance(wanted, int | float):
        return actual == wanted
    if isinstance(wanted, list | tuple):
        return isinstance(actual, list) and actual == list(wanted)
    return type(actual) is type(wanted) and bool(actual == wanted)


def _order(actual: Any | None, wanted: Any, sign: int) -> bool:
    """Numbers with numbers, dates (written out) with dates."""
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return False
    if isinstance(actual, int | float) and isinstance(wanted, int | float):
        return (actual >= wanted) if sign > 0 else (actual <= wanted)
    if isinstance(actual, str) and isinstance(wanted, str):
        a, b = instant(actual, "UTC"), instant(wanted, "UTC")
        return a is not None and b is not None and ((a >= b) if sign > 0 else (a <= b))
    return False
