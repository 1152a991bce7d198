"""When a message that chooses its time goes out: at a time of day, or in the hour in which the person answers most."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from processors.journeys import ids
from processors.journeys.working import Working
from schemas.definitions.durations import SECOND_MS, UNITS
from schemas.definitions.model import Moment
from schemas.localtime import inside, minute_of_day, next_time_of_day


def turn(person: Working, moment: Moment, at: int, zone: ZoneInfo) -> int:
    """The instant at which a message that is ready at `at` goes out, `at` itself for now.

    In its best hour every person has a turn of its own, so that those of one hour do not come in a burst; who is in
    that hour already gets the message at once.
    """
    if moment.minute is not None:
        return next_time_of_day(at, moment.minute, zone)
    hour = next((hour for hour in person.profile.hours if _allowed(hour, moment)), None)
    if hour is not None:
        if minute_of_day(at, zone) // 60 == hour:
            return at
        turn = int(ids.share("hour", person.id) * UNITS["h"]) // SECOND_MS * SECOND_MS
        return next_time_of_day(at, hour * 60, zone) + turn
    if moment.otherwise is not None:
        return next_time_of_day(at, moment.otherwise, zone)
    if moment.between is None or inside(at, moment.between, zone):
        return at
    return next_time_of_day(at, moment.between[0], zone)


def _allowed(hour: int, moment: Moment) -> bool:
    """Whether the whole hour lies in the span the message may go out in."""
    if moment.between is None:
        return True
    first, end = moment.between
    length, start = (end - first) % (24 * 60), (hour * 60 - first) % (24 * 60)
    return start + 60 <= length
