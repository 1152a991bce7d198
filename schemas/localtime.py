"""Local time of a person: times of day, days and quiet hours, right across changes of the clock.

Instants are milliseconds since 1970 UTC. A time of day that a day skips (clocks go forward) is the moment the gap ends;
one that happens twice (clocks go back) is the first, or the second for who asks in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

#: From when on something is so, and from when on no more (None: for ever); milliseconds since 1970 UTC.
Span = tuple[int, int | None]

_DAY = timedelta(days=1)
EVERY_DAY = frozenset(range(7))


def zone_of(*names: str | None) -> ZoneInfo:
    """The first of these zones that exists, else UTC."""
    for name in names:
        zone = _zone(name) if name else None
        if zone is not None:
            return zone
    return ZoneInfo("UTC")


def local_date(at: int, zone: ZoneInfo) -> date:
    """The local day an instant lies in."""
    return local_of(at, zone).date()


def minute_of_day(at: int, zone: ZoneInfo) -> int:
    """Minutes after local midnight, whole ones."""
    local = local_of(at, zone)
    return local.hour * 60 + local.minute


def time_text(at: int, zone: ZoneInfo) -> str:
    """Weekday and time of day, as people read them: `Mon 09:00`."""
    return local_of(at, zone).strftime("%a %H:%M")


def inside(at: int, span: tuple[int, int], zone: ZoneInfo) -> bool:
    """Whether the local time of day lies in a span of minutes after midnight: its start included, its end not; it may
    go over midnight, and is empty when both are the same."""
    minutes = minute_of_day(at, zone)
    start, end = span
    if start <= end:
        return start <= minutes < end
    return minutes >= start or minutes < end


def next_time_of_day(at: int, minute: int, zone: ZoneInfo, days: Iterable[int] = ()) -> int:
    """The first instant from `at` on (`at` itself included) whose local time is `minute` minutes after midnight, on one
    of these weekdays (0 = Monday; none given: any)."""
    allowed = frozenset(days) or EVERY_DAY
    day = local_date(at, zone)
    while True:
        if day.weekday() in allowed:
            local = _at(day, minute)
            for instant in (instant_of(local, zone), _to_ms(local.replace(tzinfo=zone, fold=1))):
                if instant >= at:
                    return instant
        day += _DAY


def span_of_day(at: int, first: int, end: int, days: Iterable[int], zone: ZoneInfo) -> Span:
    """The span from `first` to `end` (minutes after midnight; an end that is not later is on the next day) on one of
    these weekdays (none given: any) that holds `at`, else the next one.

    A span belongs to the day it begins on, and begins and ends once, also where the clock shows its time twice.
    """
    allowed, length = frozenset(days) or EVERY_DAY, 1 if end <= first else 0
    day = local_date(at, zone) - _DAY
    while True:
        if day.weekday() in allowed:
            start = instant_of(_at(day, first), zone)
            over = instant_of(_at(day + length * _DAY, end), zone)
            if start < over and at < over:
                return start, over
        day += _DAY


def anniversary(day: date, year: int) -> date:
    """The same day in another year; February 29th is the 28th where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def instant_of(local: datetime, zone: ZoneInfo) -> int:
    """The instant of a local date and time (without a zone of its own)."""
    first = _to_ms(local.replace(tzinfo=zone, fold=0))
    if local_of(first, zone).replace(tzinfo=None) == local:
        return first
    # skipped: before the change fold 1 puts it, after it fold 0; between them lies the end of the gap
    low, high = _to_ms(local.replace(tzinfo=zone, fold=1)), first
    offset = local_of(high, zone).utcoffset()
    while low + 1 < high:
        middle = (low + high) // 2
        if local_of(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def parse(value: object, zone: ZoneInfo) -> int | None:
    """The instant a trait or property names: ISO 8601 (a date is its local midnight, a time without offset is local),
    or a number of seconds or milliseconds since 1970; None when it names none."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | float):
            return round(value if abs(value) >= 1e11 else value * 1000)
        if not isinstance(value, str):
            return None
        moment = datetime.fromisoformat(value.strip())
        return _to_ms(moment) if moment.tzinfo else instant_of(moment, zone)
    except (ValueError, OverflowError):
        return None


def _at(day: date, minute: int) -> datetime:
    return datetime.combine(day, time(minute // 60, minute % 60))


def local_of(at: int, zone: ZoneInfo) -> datetime:
    """What the clock of a zone shows at an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(zone)


def _to_ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@lru_cache(maxsize=1_024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # an unknown zone is a KeyError, a name like ".." a ValueError
        return None
