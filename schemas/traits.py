"""Comparing a trait with a value: the operators of `trait` conditions."""

from __future__ import annotations

import re
from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schemas.definitions.expressions import lookup
from schemas.localtime import Span, anniversary, instant_of, local_date, parse

#: Operators that ask for a date, and whose answer changes with time or hangs on the person's zone.
DATED = frozenset({"within", "before", "after", "anniversary"})
UTC = ZoneInfo("UTC")

_EVER = -(2**62)
#: a leap year before anybody's birthday
_LEAP = 1604
_YEARLESS = re.compile(r"(?:--)?(\d\d)-(\d\d)")


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
            return isinstance(actual, list) and any(_holds(item, wanted) for item in actual)
    raise ValueError(f"the trait operator {op} is not known")


def span(op: str, actual: Any | None, wanted: Any, zone: ZoneInfo, now: int) -> Span | None:
    """When a trait that is a date meets one of the operators in `DATED`: the span that holds `now`, else the next one;
    None when it never does. Dates without a zone of their own are in `zone`."""
    if op == "anniversary":
        return _anniversary(actual, wanted, zone, now)
    at = parse(actual, zone)
    if at is None:
        return None
    if op == "within":
        return at - wanted, at + wanted
    if isinstance(wanted, int):
        return (at + wanted, None) if op == "before" else (_EVER, at + wanted)
    first, end = _edges(wanted, zone)
    return (_EVER, None) if (at < first if op == "before" else at > end) else None


def _edges(text: str, zone: ZoneInfo) -> tuple[int, int]:
    """The first and the last instant of what a definition names: a day is all of it."""
    first = parse(text, zone)
    assert first is not None, "checked when it was read"
    if len(text) > len("2025-01-01"):
        return first, first
    following = date.fromisoformat(text) + timedelta(days=1)
    return first, instant_of(datetime.combine(following, time()), zone) - 1


def _anniversary(actual: Any | None, wanted: tuple[int, int], zone: ZoneInfo, now: int) -> Span | None:
    day = day_of(actual)
    if day is None:
        return None
    ahead, past = wanted
    # a day without a year (of 1604) has always been; the day itself is no anniversary of its own
    year = max(local_date(now, zone).year - 1, day.year + 1)
    while year < MAXYEAR:
        each = anniversary(day, year)
        start = instant_of(datetime.combine(each - timedelta(days=ahead), time()), zone)
        end = instant_of(datetime.combine(each + timedelta(days=past + 1), time()), zone)
        if now < end:
            return start, end
        year += 1
    return None


def day_of(value: Any | None) -> date | None:
    """The day a date names, as it is written: a birthday is no instant, so no zone moves it. `--05-14` and `05-14` are
    days of every year."""
    if not isinstance(value, str):
        at = parse(value, UTC)
        return None if at is None else local_date(at, UTC)
    text = value.strip()
    yearless = _YEARLESS.fullmatch(text)
    try:
        return date(_LEAP, int(yearless[1]), int(yearless[2])) if yearless else datetime.fromisoformat(text).date()
    except ValueError:
        return None


def _same(actual: Any | None, wanted: Any) -> bool:
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return actual is wanted
    if isinstance(actual, int | float) and isinstance(wanted, int | float):
        return actual == wanted
    if isinstance(wanted, list | tuple):
        return isinstance(actual, list) and actual == list(wanted)
    return type(actual) is type(wanted) and bool(actual == wanted)


def _holds(item: Any, wanted: Any) -> bool:
    """An element of a list, or a value of an element that is an object."""
    return any(_same(value, wanted) for value in (item.values() if isinstance(item, dict) else (item,)))


def _order(actual: Any | None, wanted: Any, sign: int) -> bool:
    """Numbers with numbers, dates (written out) with dates."""
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return False
    if isinstance(actual, int | float) and isinstance(wanted, int | float):
        return (actual >= wanted) if sign > 0 else (actual <= wanted)
    if isinstance(actual, str) and isinstance(wanted, str):
        a, b = parse(actual, UTC), parse(wanted, UTC)
        return a is not None and b is not None and ((a >= b) if sign > 0 else (a <= b))
    return False
