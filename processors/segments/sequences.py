"""Events in order: which of them decide whether all steps were taken one after the other, and until when they were.

Each event is one step at most. What happened at one instant has no order of its own and may be taken in any, so neither
the order of arrival nor the slot matters. Of the ways to take all steps the one that begins last counts longest, so it
alone says when the answer ends: when its first event leaves the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import itemgetter, or_
from typing import Any, NamedTuple

from processors.segments.marks import value_name
from processors.segments.model import Moment, joined_moments
from schemas.definitions.expressions import lookup
from schemas.definitions.model import InOrder, Window

#: For each number of steps the latest beginning of the ways to have taken so many; None when there is none.
Starts = tuple[int | None, ...]
_NEVER: Starts = (None,)
#: So many events are kept of a sequence in a slot, the newest: nobody does more by hand.
MOST = 1_000


class Taken(NamedTuple):
    """An event that can be a step; `steps` has a bit for each, `gone` is when it was taken back."""

    at: int
    steps: int
    gone: int | None = None


def steps_of(order: InOrder, name: str, document: Callable[[], dict[str, Any]]) -> tuple[str, int]:
    """(value of `same`, the steps an event can be as bits); no bits when it counts for none."""
    steps = 0
    for number, step in enumerate(order.steps):
        if name in step.events and (step.where is None or step.where.holds({"event": document()})):
            steps |= 1 << number
    if order.same is None or not steps:
        return "", steps
    value = value_name(lookup(document(), order.same))
    return ("", 0) if value is None else (value, steps)


def standing(order: InOrder, taken: Iterable[Taken], now: int) -> tuple[bool, int | None]:
    """(whether all steps were taken in order, the first later instant at which that may be different)."""
    window = order.window
    live = [one for one in taken if not _left(window, one.at, now) and (one.gone is None or one.gone > now)]
    if not _enough(order, (one.steps for one in live)):
        return False, None
    live.sort(key=itemgetter(0))
    there = [one for one in live if one.at + window.near <= now]
    starts = _NEVER * (len(order.steps) + 1)
    for at, together in groupby(there, itemgetter(0)):
        starts = _after(starts, at, [one.steps for one in together])
    holds, end = starts[-1] is not None, _end(window, starts)
    for at, together in groupby(live[len(there) :], itemgetter(0)):
        comes = at + window.near
        if holds and (end is None or end <= comes):
            break
        starts = _after(starts, at, [one.steps for one in together])
        end = _end(window, starts)
        if not holds and starts[-1] is not None and (end is None or end > comes):
            return False, comes
    if not holds:
        return False, None
    ends = [one.gone for one in live if one.gone is not None] + ([] if end is None else [end])
    return True, min(ends, default=None)


def with_moment(
    known: Mapping[str, tuple[Moment, ...]], value: str, moment: Moment, order: InOrder, now: int
) -> dict[str, tuple[Moment, ...]]:
    """What is kept of a sequence, by the value of its `same`, after an event that can be a step."""
    kept = {value: told for value, told in known.items() if not _left(order.window, told[-1][0], now)}
    kept[value] = trimmed(joined_moments(kept.get(value, ()), (moment,)), order, now)
    for _ in range(sum(map(len, kept.values())) - MOST):
        eldest = min((told[0][0], value) for value, told in kept.items() if told)[1]
        kept[eldest] = kept[eldest][1:]
    return {value: told for value, told in kept.items() if told}


def trimmed(moments: Sequence[Moment], order: InOrder, now: int) -> tuple[Moment, ...]:
    """Moments that can still decide the answer at `now` or later, whatever comes late or from another slot.

    Once all steps were taken, what is older than their first can't outlast them; without a window nothing else can
    matter at all. Of those that can only be the last step the newest is enough, and without a window of those that can
    only be the first the oldest.
    """
    window, last = order.window, 1 << len(order.steps) - 1
    inside = [one for one in moments if not _left(window, one[0], now)]
    began, ended = _whole(order, [one for one in inside if one[0] + window.near <= now])
    kept = [one for one in inside if began is None or (one[0] >= began and (ended is None or one[0] <= ended))]
    newest = [one for one in kept if one[2] == last and one[0] + window.near <= now][-1:]
    oldest = [one for one in kept if one[2] == 1][:1] if window.far is None else []
    return tuple(
        one
        for one in kept
        if (one[2] != last or one in newest or one[0] + window.near > now)
        and (one[2] != 1 or one in oldest or window.far is not None)
    )


def _left(window: Window, at: int, now: int) -> bool:
    return window.far is not None and now - at >= window.far


def _end(window: Window, starts: Sequence[int | None]) -> int | None:
    begun = starts[-1]
    return None if window.far is None or begun is None else begun + window.far


def _whole(order: InOrder, moments: Sequence[Moment]) -> tuple[int | None, int | None]:
    """The latest beginning of those that took all steps; where one way is as good as another the first, and its end."""
    starts = _NEVER * (len(order.steps) + 1)
    if not _enough(order, (steps for _, _, steps in moments)):
        return None, None
    for at, together in groupby(moments, itemgetter(0)):
        starts = _after(starts, at, [steps for _, _, steps in together])
        if starts[-1] is not None and order.window.far is None:
            return starts[-1], at
    return starts[-1], None


def _enough(order: InOrder, steps: Iterable[int]) -> bool:
    """Whether there is an event for every step at all."""
    return reduce(or_, steps, 0) == (1 << len(order.steps)) - 1


def _after(starts: Starts, at: int, together: Sequence[int]) -> Starts:
    """What has been taken after this instant too; `together` are the steps its events can be."""
    after = list(starts)
    for last in range(1, len(starts)):
        for first in range(max(0, last - len(together)), last):
            begun = at if first == 0 else starts[first]
            known = after[last]
            if begun is not None and (known is None or begun > known) and _fit(together, range(first, last)):
                after[last] = begun
    return tuple(after)


def _fit(events: Sequence[int], steps: Sequence[int]) -> bool:
    """Whether each of these steps can be an event of its own."""
    if not steps:
        return True
    bit = 1 << steps[0]
    return any(
        _fit([*events[:number], *events[number + 1 :]], steps[1:]) for number, one in enumerate(events) if one & bit
    )
