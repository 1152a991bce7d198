"""When a `wait` ends."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from schemas.definitions.expressions import lookup
from schemas.definitions.model import Wait
from schemas.localtime import local_date, minute_of_day, next_time_of_day, parse


def due(wait: Wait, at: int, entry: Any, traits: dict[str, Any], zone: ZoneInfo, clock: tuple[int, ...] = ()) -> int:
    """The instant a wait that began at `at` ends, in milliseconds UTC; it may be past. A date that is unknown or not a
    date is nothing to wait for, `at`: the instance goes on instead of being stuck. Who has just waited for the very
    same time of day, `clock`, waits for that of a later day: a round each morning would be all rounds in one."""
    if wait.duration is not None:
        return at + wait.duration
    if wait.until is not None:
        end = next_time_of_day(at, wait.until, zone, wait.days)
        if end == at and told(wait, at) == clock:
            # a day that shows the time twice is one day all the same
            while local_date(end, zone) == local_date(at, zone):
                end = next_time_of_day(end + 1, wait.until, zone, wait.days)
        return end
    assert wait.until_path is not None
    of_trait = wait.until_path.startswith("traits.")
    value = lookup({"traits": traits}, wait.until_path) if of_trait else lookup(entry, wait.until_path)
    instant = parse(value, zone)
    return at if instant is None else instant - wait.before


def told(wait: Wait, at: int) -> tuple[int, ...]:
    """What an instance keeps of a wait for a time of day that it leaves at `at`."""
    return () if wait.until is None else (at, wait.until, *sorted(wait.days))


def next_window(wait: Wait, missed: int, at: int, zone: ZoneInfo) -> int:
    """The first instant after `at` at which a wait that was to end at `missed` may end: the time of day it names, on
    its days, else the same local time of day."""
    minute = minute_of_day(missed, zone) if wait.until is None else wait.until
    return next_time_of_day(at + 1, minute, zone, wait.days)


def follows_traits(wait: Wait) -> bool:
    """Whether a change of a trait moves the end of this wait."""
    return wait.until_path is not None and wait.until_path.startswith("traits.")


def follows_zone(wait: Wait) -> bool:
    """Whether a change of the person's zone moves the end of this wait."""
    return wait.until is not None
