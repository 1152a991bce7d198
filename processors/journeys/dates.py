"""When the date in a trait lets its person into a journey.

A date without a time is a day of the person's own calendar, as it is written: days before and after it are counted on
that calendar, whatever the clock does meanwhile. An instant is shifted by exact durations.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.definitions.model import OnDate
from schemas.localtime import anniversary, instant_of, local_date, local_of, parse
from schemas.traits import day_of

_DAY = timedelta(days=1)
_UTC = ZoneInfo("UTC")


class Occasion(NamedTuple):
    """One time a date comes: when its person enters, and the date itself, by which it is known to have come once."""

    due: int
    name: str


def next_occasion(rule: OnDate, value: Any, zone: ZoneInfo, since: int, at: int, after: str = "") -> Occasion | None:
    """The first occasion at `at` or later and behind the one named `after`, of a date known since `since`; None when
    there is none, or the value is no date.

    A repeated date begins with its first repetition, or with itself if its day was still to come.
    """
    occasions = _of_instant if rule.every == "once" or isinstance(rule.every, int) else _of_day
    try:
        for occasion in occasions(rule, value, zone, since, at):
            if occasion.due >= at and occasion.name > after:
                return occasion
    except OverflowError:  # beyond the calendar
        pass
    return None


def _of_day(rule: OnDate, value: Any, zone: ZoneInfo, since: int, at: int) -> Iterator[Occasion]:
    """A day that comes again in each year, month or week, from an occasion before `at` on."""
    day = day_of(value)
    if day is None:
        return
    ahead = day > local_date(since, zone)
    for each in _repeated(day, str(rule.every), local_date(at, zone) - timedelta(milliseconds=rule.offset)):
        if ahead or each > day:
            yield _on(rule, datetime.combine(each, time()), zone)


def _of_instant(rule: OnDate, value: Any, zone: ZoneInfo, since: int, at: int) -> Iterator[Occasion]:
    """A date that comes once, or again after a fixed time, from an occasion before `at` on."""
    local = _written(value)
    instant = parse(value, zone) if local is None else instant_of(local, zone)
    if instant is None:
        return
    if not isinstance(rule.every, int):
        yield _on(rule, local, zone) if local is not None else _exactly(rule, instant, zone)
        return
    first = 0 if local_date(instant, zone) > local_date(since, zone) else 1
    number = max(first, (at - rule.offset - instant) // rule.every - 2)
    while True:
        if local is not None:
            yield _on(rule, local + timedelta(milliseconds=number * rule.every), zone)
        else:
            yield _exactly(rule, instant + number * rule.every, zone)
        number += 1


def _on(rule: OnDate, local: datetime, zone: ZoneInfo) -> Occasion:
    """The occasion of a local date, shifted on the calendar."""
    shifted = local + timedelta(milliseconds=rule.offset)
    if rule.at is not None:
        shifted = datetime.combine(shifted.date(), time(rule.at // 60, rule.at % 60))
    return Occasion(instant_of(shifted, zone), local.isoformat())


def _exactly(rule: OnDate, instant: int, zone: ZoneInfo) -> Occasion:
    """The occasion of an instant, shifted by an exact time."""
    due = instant + rule.offset
    if rule.at is not None:
        due = instant_of(datetime.combine(local_date(due, zone), time(rule.at // 60, rule.at % 60)), zone)
    return Occasion(due, local_of(instant, _UTC).replace(tzinfo=None).isoformat())


def _written(value: Any) -> datetime | None:
    """The local date and time a text names, None when it names an instant or nothing."""
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is None else None


def _repeated(day: date, every: str, about: date) -> Iterator[date]:
    """A day and its repetitions, from one before `about` on if there is one."""
    if every == "week":
        each = day + max(0, (about - day).days // 7 - 1) * 7 * _DAY
        while True:
            yield each
            each += 7 * _DAY
    if every == "month":
        months = max(0, (about.year - day.year) * 12 + about.month - day.month - 1)
        while (year := day.year + (day.month - 1 + months) // 12) <= MAXYEAR:
            yield _in_month(day, year, (day.month - 1 + months) % 12 + 1)
            months += 1
        return
    for year in range(max(day.year, about.year - 1), MAXYEAR + 1):
        yield anniversary(day, year)


def _in_month(day: date, year: int, month: int) -> date:
    """The same day of another month, its last one where it is shorter."""
    return date(year, month, min(day.day, monthrange(year, month)[1]))
