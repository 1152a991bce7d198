"""Measures: what is read of an event, which readings still decide, and what they amount to at an instant.

A reading of an event at `t` counts while `t + near <= now < t + far`, as everything in a window does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from processors.segments.gauges import Gauge, exact, gauge, kind, place, whole
from processors.segments.marks import matches, name_of
from processors.segments.metrics import IGNORED
from processors.segments.model import Reading, by_time, joined_readings, storable
from schemas.definitions.expressions import lookup
from schemas.definitions.model import Measure

V = TypeVar("V")


class Live(NamedTuple):
    """A reading, from when on it counts and from when on no more (None: for ever)."""

    start: int
    end: int | None
    reading: Reading


def read(measure: Measure, event_id: str, at: int, document: dict[str, Any]) -> tuple[Reading, ...]:
    """What a measure reads of an event or occurrence; a value it can't use is ignored, and counted where there is
    one."""
    found = list[Reading]()
    for name, line in matches(measure, event_id, document):
        if measure.of is None:
            found.append(Reading(at, name))
            continue
        value = lookup({**document, "item": line}, measure.of)
        if measure.function in ("first", "last"):
            found.append(Reading(at, name, storable(value)))
        elif measure.function == "orders":
            found.append(Reading(at, name, whole(storable(value)) if kind(value) == "number" else None))
        elif _usable(measure, value):
            found.append(Reading(at, name, _kept_as(measure, value)))
        elif value is not None:
            IGNORED.inc()
    return tuple(found)


def kept(readings: Sequence[Reading], new: Sequence[Reading], measure: Measure, now: int) -> tuple[Reading, ...]:
    """Readings that can still decide the answer at `now` or later, in order of time.

    Of readings old enough for the window a newer one counts whenever an older one does: the smallest, for example, is
    never an older one that is not smaller. Those too new for the window (or from the future) are kept beside them.
    """
    window, together = measure.window, joined_readings(tuple(readings), tuple(new))
    live = [one for one in together if window.far is None or now - one.at < window.far]
    if measure.function == "first" and window.far is None:
        return (min(live, key=place),) if live else ()
    if measure.function not in ("last", "min", "max", "distinct"):
        return tuple(live)
    decisive, newer = list[Reading](), dict[Any, None]()
    for one in sorted(live, key=place, reverse=True):
        settled = now - one.at >= window.near
        value = None if measure.function == "last" else one.value
        if settled and newer and _decided(measure.function, value, newer):
            continue
        decisive.append(one)
        if settled:
            newer[value] = None
    return tuple(sorted(decisive, key=by_time))


def amount(measure: Measure, live: Iterable[Live], now: int, seen: Callable[[Gauge], V]) -> tuple[V, int | None]:
    """(`seen` of what the readings amount to at `now`, the first later instant at which it is different)."""
    total, steps = gauge(measure), list[tuple[int, bool, Reading]]()
    for start, end, reading in live:
        if end is not None and end <= max(start, now):
            continue
        if start <= now:
            total.add(reading)
        else:
            steps.append((start, True, reading))
        if end is not None:
            steps.append((end, False, reading))
    present = seen(total)
    steps.sort(key=itemgetter(0, 1))  # at one instant what ends comes before what begins
    for instant, group in groupby(steps, key=itemgetter(0)):
        for _, begins, reading in group:
            if begins:
                total.add(reading)
            else:
                total.remove(reading)
        if seen(total) != present:
            return present, instant
    return present, None


def lowered(live: Live, undone: Sequence[tuple[int, float]]) -> Iterator[Live]:
    """A reading of an amount, lowered by (instant, amount) of each part that was taken back, in order of time."""
    start, end, reading = live
    for at, taken in undone:
        if end is not None and at >= end:
            break
        if at > start:
            yield Live(start, at, reading)
            start = at
        reading = Reading(reading.at, reading.name, whole(float(exact(reading.value) - exact(taken))))
    yield Live(start, end, reading)


def _usable(measure: Measure, value: Any) -> bool:
    if measure.function in ("sum", "average", "min", "max"):
        return kind(value) == "number"
    return isinstance(value, str | int | float) and value != ""


def _kept_as(measure: Measure, value: Any) -> Any:
    value = whole(storable(value))
    if measure.function == "distinct":
        return name_of(f"{kind(value)} {value}")
    if measure.function in ("interval", "next_expected"):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def _decided(function: str, value: Any, newer: Mapping[Any, None]) -> bool:
    """Whether newer readings decide whatever this one says."""
    match function:
        case "min":
            return bool(next(reversed(newer)) <= value)
        case "max":
            return bool(next(reversed(newer)) >= value)
        case _:
            return value in newer
