"""When a schedule happens: recurrence rules of RFC 5545 (iCalendar) on the wall clock of a time zone.

A rule is `FREQ=WEEKLY;BYDAY=MO;BYHOUR=10`, also with the names of its properties (`DTSTART:20260105T100000
RRULE:FREQ=...`) and with `RDATE` and `EXDATE`. Without a start a rule counts from 2001-01-01 00:00, a Monday, and an
hourly or minutely one from each midnight. A time that a day skips is the moment the gap ends, one that happens twice
counts once, the first time. Instants are milliseconds since 1970 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from schemas.localtime import instant_of, local_of, zone_of

#: what has no occurrence for so long has none any more
HORIZON = timedelta(days=12 * 366)
_FIRST = datetime(2001, 1, 1)
_DAY = timedelta(days=1)
_PROPERTIES = ("DTSTART", "RRULE", "RDATE", "EXDATE")
_MOMENT = re.compile(r"(\d{8}T\d{6}|\d{8})(Z?)")
_UNTIL = re.compile(r"(UNTIL=)([0-9TZ]+)")
#: what a rule without a start means where it says nothing closer
_DEFAULTS = {
    "WEEKLY": ("BYDAY", "BYDAY=MO"),
    "MONTHLY": ("BYDAY|BYMONTHDAY|BYYEARDAY|BYWEEKNO|BYEASTER", "BYMONTHDAY=1"),
    "YEARLY": ("BYDAY|BYMONTHDAY|BYYEARDAY|BYWEEKNO|BYEASTER|BYMONTH", "BYMONTH=1;BYMONTHDAY=1"),
}
_WITHIN_A_DAY = ("HOURLY", "MINUTELY")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Rules in iCalendar's words, the local times added and left out, and the zone whose clock they are read on."""

    rules: tuple[str, ...]
    start: datetime | None
    added: tuple[datetime, ...]
    without: frozenset[datetime]
    zone: ZoneInfo

    def next(self, at: int) -> int | None:
        """The first occurrence at an instant or later, None when there is none (within twelve years)."""
        # what the clock showed before `at`, or earlier, was before it: also where the clock leaps on or goes back
        local = local_of(at - 1, self.zone).replace(tzinfo=None)
        found = (instant_of(one, self.zone) for one in self._from(local))
        return next((instant for instant in found if instant >= at), None)

    def _from(self, local: datetime) -> Iterator[datetime]:
        end = local + HORIZON
        while local <= end:
            first = min((one for one in self._first_of_each(local, end) if one is not None), default=None)
            if first is None:
                return
            if first not in self.without:
                yield first
            local = first + timedelta(seconds=1)

    def _first_of_each(self, local: datetime, end: datetime) -> Iterator[datetime | None]:
        yield min((one for one in self.added if one >= local), default=None)
        for rule in self.rules:
            if self.start is None and _frequency(rule) in _WITHIN_A_DAY:
                yield _within_days(rule, local, end)
            else:
                start = self.start or _near(rule, local)
                yield _ending(rule, start, end).after(local, inc=True)


def recurrence(text: str, zone: str | None = None, project: str = "UTC") -> Recurrence:
    """A schedule as written, on the clock of `zone`, else of its own TZID, else of the project. Raises ValueError."""
    return _recurrence(text, zone, project)


@lru_cache(maxsize=1_024)
def _recurrence(text: str, zone: str | None, project: str) -> Recurrence:
    parts = [_property(part) for part in text.split()]
    written = [parameters["TZID"] for _, parameters, _ in parts if "TZID" in parameters]
    named = dict.fromkeys(name for name in (zone, *written) if name is not None)
    for name in named:
        if zone_of(name).key != name:
            raise ValueError(f"there is no time zone {name!r}")
    if len(named) > 1:
        raise ValueError(f"one time zone only, not {' and '.join(named)}")
    clock = zone_of(*named, project)
    rules = tuple(_sound(value, clock) for name, _, value in parts if name == "RRULE")
    starts = [moment for name, _, value in parts if name == "DTSTART" for moment in _moments(value, clock)]
    added = [moment for name, _, value in parts if name == "RDATE" for moment in _moments(value, clock)]
    without = [moment for name, _, value in parts if name == "EXDATE" for moment in _moments(value, clock)]
    if not rules and not added:
        raise ValueError("a rule is expected, for example FREQ=WEEKLY;BYDAY=MO;BYHOUR=10")
    if len(starts) > 1:
        raise ValueError("one DTSTART only")
    for rule in rules:
        _check(rule, bool(starts))
    if not starts:
        rules = tuple(_closer(rule) for rule in rules)
    made = Recurrence(rules, starts[0] if starts else None, tuple(added), frozenset(without), clock)
    if next(made._from(made.start or min(added, default=_FIRST)), None) is None:
        raise ValueError(f"{text!r} never happens")
    return made


def _property(part: str) -> tuple[str, dict[str, str], str]:
    """(name, parameters, value) of `DTSTART;TZID=Europe/Kyiv:20260105T100000`; a bare rule is an RRULE."""
    before, colon, value = part.partition(":")
    if not colon:
        return "RRULE", {}, part.upper()
    name, *parameters = before.split(";")
    if name.upper() not in _PROPERTIES:
        raise ValueError(f"{name!r} can't stand in a schedule; there are {', '.join(_PROPERTIES)}")
    return name.upper(), dict(one.partition("=")[::2] for one in parameters), value.upper()


def _moments(value: str, zone: ZoneInfo) -> list[datetime]:
    """Local times of `20260105T100000,20260106T100000Z`. Raises ValueError."""
    return [_moment(one, zone) for one in value.split(",")]


def _moment(text: str, zone: ZoneInfo) -> datetime:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time; write for example 20260105T100000")
    moment = datetime.strptime(match[1], "%Y%m%dT%H%M%S" if "T" in match[1] else "%Y%m%d")
    return moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) if match[2] else moment


def _sound(rule: str, zone: ZoneInfo) -> str:
    """A rule whose end is a local time, as all its times are."""
    return _UNTIL.sub(lambda match: match[1] + _moment(match[2], zone).strftime("%Y%m%dT%H%M%S"), rule)


def _check(rule: str, started: bool) -> None:
    if not all("=" in part for part in rule.split(";")):
        raise ValueError(f"{rule!r} is not a rule; write for example FREQ=WEEKLY;BYDAY=MO;BYHOUR=10")
    try:
        _rule(rule, _FIRST)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{rule!r} is not a rule: {error}") from error
    frequency = _frequency(rule)
    if frequency == "SECONDLY" or (frequency == "MINUTELY" and started):
        raise ValueError(f"FREQ={frequency} is too often" + (" to count from a DTSTART" if started else ""))
    if "COUNT=" in rule and not started:
        raise ValueError("COUNT counts from a DTSTART, there is none")


def _closer(rule: str) -> str:
    """A rule without a start that says all it means."""
    unless, default = _DEFAULTS.get(_frequency(rule), ("FREQ", ""))
    return rule if re.search(rf"\b({unless})=", rule) else f"{rule};{default}"


def _frequency(rule: str) -> str:
    return next((part.partition("=")[2] for part in rule.split(";") if part.startswith("FREQ=")), "")


def _within_days(rule: str, local: datetime, end: datetime) -> datetime | None:
    """The first occurrence of a rule that counts from each midnight."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    while midnight <= end:
        last = midnight + _DAY - timedelta(seconds=1)
        found = _ending(rule, midnight, last).after(max(local, midnight), inc=True)
        if found is not None:
            return found
        midnight += _DAY
    return None


def _near(rule: str, local: datetime) -> datetime:
    """A start from which a rule has the same occurrences as from the first of all."""
    return _FIRST if "INTERVAL=" in rule else datetime(max(local.year - 1, 1), 1, 1)


@lru_cache(maxsize=1_024)
def _rule(rule: str, start: datetime) -> rrule:
    made = rrulestr(rule, dtstart=start)
    assert isinstance(made, rrule)
    return made


def _ending(rule: str, start: datetime, end: datetime) -> rrule:
    """A rule that is not looked through for ever when nothing comes any more."""
    made = _rule(rule, start)
    if "COUNT=" in rule:
        return made
    match = _UNTIL.search(rule)
    return made.replace(until=end if match is None else min(end, datetime.strptime(match[2], "%Y%m%dT%H%M%S")))
