"""In which channel and at which hour a person answers: opens, clicks, replies and purchases, each worth half of before
after a half-life.

All decay alike, so scores change but their order does not: only events change what is preferred. Seen so, the
score can be told from any instant (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009). The newest
engagements decide; those of all slots are among the newest of each, so slots join in any order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import fsum
from typing import Any
from zoneinfo import ZoneInfo

from processors.segments.marks import name_of
from processors.segments.model import Engagement
from processors.segments.plan import Plan
from processors.segments.receipts import Receipt
from schemas.receipts import CLICKED, ENDINGS, OPENED, REACH_MS, is_machine
from schemas.records import Event

HALF_LIFE_MS = 30 * 86_400_000
#: So many are kept; older ones are worth little beside them.
NEWEST = 50
#: What an engagement is worth, by its kind.
OPEN, CLICK, REPLY, PURCHASE = 1, 3, 5, 10
HOURS = 24


def engagements(
    event: Event, document: Mapping[str, Any], called: str, receipt: Receipt | None, plan: Plan
) -> Iterator[Engagement]:
    """What an event says of channels; a purchase elsewhere counts for the channel answered in before it. `called` is
    the event, or the occurrence that several events report."""
    at = event.occurred_at
    if event.name in plan.purchases:
        sending = event.channel in plan.channels and plan.channels[event.channel].kind == "send"
        yield at, name_of(called), event.channel if sending else "", PURCHASE
    elif receipt is not None and not is_machine(document):
        word = event.name.rpartition(" ")[2]
        worth = REPLY if word == "Replied" else {CLICKED: CLICK, OPENED: OPEN}.get(ENDINGS.get(word, 0))
        if worth is not None:
            for channel in receipt.channels:
                yield at, name_of(f"{event.event_id} {channel}"), channel, worth


def newest(engagements: tuple[Engagement, ...]) -> tuple[Engagement, ...]:
    """Those that decide."""
    return engagements[-NEWEST:]


def ranked(engagements: Sequence[Engagement], now: int) -> list[str]:
    """Channels by their scores at `now`, the highest first; at equal scores by name."""
    past = [one for one in engagements if one[0] <= now]
    worth = defaultdict[str, list[float]](list)
    for at, channel, points in _placed(past):
        worth[channel].append(_faded(points, at, past[-1][0]))
    return sorted(worth, key=lambda channel: (-fsum(worth[channel]), channel))


def best_hours(engagements: Sequence[Engagement], zone: ZoneInfo, now: int, channel: str = "") -> list[int]:
    """The hours of the local day, 0 to 23, in which the person answered up to `now`, of a channel if one is given: that
    in which it answered most first, of equal ones the earlier.

    An answer speaks half as much for the hours beside its own: those at 18:55 and 19:05 are of one habit. Purchases are
    no answers.
    """
    answers = [one for one in engagements if one[0] <= now and one[3] != PURCHASE and channel in ("", one[2])]
    worth: list[list[float]] = [[] for _ in range(HOURS)]
    for at, _, _, points in answers:
        hour, faded = datetime.fromtimestamp(at / 1000, zone).hour, _faded(points, at, answers[-1][0])
        worth[hour].append(faded)
        for beside in (hour - 1, hour + 1):
            worth[beside % HOURS].append(faded / 2)
    return sorted((hour for hour in range(HOURS) if worth[hour]), key=lambda hour: (-fsum(worth[hour]), hour))


def best_hour(engagements: Sequence[Engagement], zone: ZoneInfo, now: int, channel: str = "") -> int | None:
    """The hour in which the person answered most, None when it never did (see `best_hours`)."""
    return next(iter(best_hours(engagements, zone, now, channel)), None)


def coming(engagements: Iterable[Engagement], now: int) -> int | None:
    """When the next engagement from the future counts."""
    return min((one[0] for one in engagements if one[0] > now), default=None)


def _faded(points: int, at: int, newest: int) -> float:
    """What is left of points at the time of the newest engagement."""
    return float(points * 2.0 ** ((at - newest) / HALF_LIFE_MS))


def _placed(past: Sequence[Engagement]) -> Iterator[tuple[int, str, int]]:
    """(when, channel, worth), a purchase in the channel that the person answered in last, shortly before it; at one
    instant answers come before purchases, by channel."""
    answered: tuple[int, str] | None = None
    for at, _, channel, points in sorted(past, key=lambda one: (one[0], one[3] == PURCHASE, one[2])):
        if channel:
            if points != PURCHASE:
                answered = at, channel
            yield at, channel, points
        elif answered is not None and at - answered[0] <= REACH_MS:
            yield at, answered[1], points
