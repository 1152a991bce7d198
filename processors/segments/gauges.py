"""What a measure amounts to while readings begin and cease to count.

Sums are of decimal fractions as they were written, so 0.1 and 0.2 make 0.3 in whatever order they come and go.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import orjson

from processors.segments.model import Reading
from schemas.definitions.expressions import iso
from schemas.definitions.model import Measure

_DAY = 86_400_000


class Gauge(Protocol):
    """Readings that count now, and what they amount to; None is nothing."""

    def add(self, reading: Reading) -> None:
        """A reading counts from now on."""

    def remove(self, reading: Reading) -> None:
        """A reading that counted does so no more."""

    @property
    def value(self) -> Any | None:
        """What all that count amount to, as plain JSON values."""


def gauge(measure: Measure) -> Gauge:
    """The gauge of a measure, with nothing counted yet."""
    match measure.function:
        case "count":
            return _Count()
        case "sum" | "average":
            return _Total(measure.function == "average")
        case "min" | "max":
            return _Extreme(measure.function == "max")
        case "distinct":
            return _Distinct()
        case "most_frequent":
            return _Favourite()
        case "first" | "last":
            return _End(measure.function == "last", dated=measure.of is None)
        case "interval" | "next_expected":
            return _Rhythm(measure.function == "next_expected", apart=measure.of is not None)
        case "orders":
            return _Orders()


def end(total: Gauge) -> tuple[int | None, Any | None]:
    """(when the first or last happened, its value); None where there is none."""
    assert isinstance(total, _End)
    return total.at, total.value


def whole(number: float) -> float | int:
    """The number as an integer where it is one: 12 rather than 12.0."""
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 2**53 else number


def exact(number: float) -> Decimal:
    """The decimal fraction that was written."""
    return Decimal(repr(number))


def written(at: int) -> str:
    """An instant as a trait holds it: UTC in ISO 8601, milliseconds only where there are any."""
    return iso(at).replace(".000Z", "Z")


class _Count:
    def __init__(self) -> None:
        self.value = 0

    def add(self, reading: Reading) -> None:
        self.value += 1

    def remove(self, reading: Reading) -> None:
        self.value -= 1


class _Total:
    """The sum, 0 of nothing; or the average."""

    def __init__(self, average: bool) -> None:
        self._average = average
        self._total, self._count = Decimal(), 0

    def add(self, reading: Reading) -> None:
        self._total += exact(reading.value)
        self._count += 1

    def remove(self, reading: Reading) -> None:
        self._total -= exact(reading.value)
        self._count -= 1

    @property
    def value(self) -> float | None:
        if not self._average:
            return whole(float(self._total))
        return whole(float(self._total / self._count)) if self._count else None


class _Extreme:
    """The smallest or the greatest."""

    def __init__(self, greatest: bool) -> None:
        self._best = max if greatest else min
        self._values = Counter[float]()

    def add(self, reading: Reading) -> None:
        self._values[reading.value] += 1

    def remove(self, reading: Reading) -> None:
        self._values[reading.value] -= 1
        if not self._values[reading.value]:
            del self._values[reading.value]

    @property
    def value(self) -> float | None:
        return self._best(self._values, default=None)


class _Distinct:
    """How many different values there are."""

    def __init__(self) -> None:
        self._values = Counter[int]()

    def add(self, reading: Reading) -> None:
        self._values[reading.value] += 1

    def remove(self, reading: Reading) -> None:
        self._values[reading.value] -= 1
        if not self._values[reading.value]:
            del self._values[reading.value]

    @property
    def value(self) -> int:
        return len(self._values)


class _Favourite:
    """The value that is there most often; of several the one that was there last, then the one that sorts last."""

    def __init__(self) -> None:
        self._times = defaultdict[tuple[str, Any], list[int]](list)

    def add(self, reading: Reading) -> None:
        insort(self._times[kind(reading.value), reading.value], reading.at)

    def remove(self, reading: Reading) -> None:
        key = kind(reading.value), reading.value
        times = self._times[key]
        del times[bisect_left(times, reading.at)]
        if not times:
            del self._times[key]

    @property
    def value(self) -> str | float | None:
        best = max(self._times.items(), key=lambda item: (len(item[1]), item[1][-1], item[0]), default=None)
        return None if best is None else best[0][1]


class _End:
    """The first or the last: its date, or the value that it has."""

    def __init__(self, last: bool, dated: bool) -> None:
        self._last, self._dated = last, dated
        self._order: list[Reading] = []

    def add(self, reading: Reading) -> None:
        insort(self._order, reading, key=place)

    def remove(self, reading: Reading) -> None:
        del self._order[bisect_left(self._order, place(reading), key=place)]

    @property
    def at(self) -> int | None:
        """When it happened; None when there is none."""
        return self._order[-self._last].at if self._order else None

    @property
    def value(self) -> Any | None:
        if not self._order:
            return None
        end = self._order[-self._last]
        return written(end.at) if self._dated else end.value


class _Rhythm:
    """The average time between events, each instant once: in days, or the date at which the next one would come.

    `apart`: an object of it by value. Two events at least are needed.
    """

    def __init__(self, expected: bool, apart: bool) -> None:
        self._expected, self._apart = expected, apart
        self._times = defaultdict[Any, list[int]](list)

    def add(self, reading: Reading) -> None:
        insort(self._times[reading.value], reading.at)

    def remove(self, reading: Reading) -> None:
        times = self._times[reading.value]
        del times[bisect_left(times, reading.at)]

    @property
    def value(self) -> Any | None:
        found = {by: self._rhythm(sorted(set(times))) for by, times in sorted(self._times.items())}
        told = {by: value for by, value in found.items() if value is not None}
        return (told or None) if self._apart else told.get(None)

    def _rhythm(self, times: list[int]) -> str | float | None:
        if len(times) < 2:
            return None
        length, count = times[-1] - times[0], len(times) - 1
        return written(times[-1] + length // count) if self._expected else whole(length / count / _DAY)


class Orders(NamedTuple):
    """When a person bought first and last (milliseconds), on how many days (in UTC) it bought, on how many of them it
    is known what it bought for, and for how much together."""

    first: int
    last: int
    days: int
    valued: int
    worth: float


class _Orders:
    """All orders there are; None of nobody's."""

    def __init__(self) -> None:
        self._times = list[int]()
        self._days, self._valued = Counter[int](), Counter[int]()
        self._worth = Decimal()

    def add(self, reading: Reading) -> None:
        insort(self._times, reading.at)
        self._days[reading.at // _DAY] += 1
        if reading.value is not None:
            self._valued[reading.at // _DAY] += 1
            self._worth += exact(reading.value)

    def remove(self, reading: Reading) -> None:
        del self._times[bisect_left(self._times, reading.at)]
        self._days[reading.at // _DAY] -= 1
        if reading.value is not None:
            self._valued[reading.at // _DAY] -= 1
            self._worth -= exact(reading.value)

    @property
    def value(self) -> Orders | None:
        if not self._times:
            return None
        days, valued = (sum(count > 0 for count in of.values()) for of in (self._days, self._valued))
        return Orders(self._times[0], self._times[-1], days, valued, float(self._worth))


def place(reading: Reading) -> tuple[int, str, Any, int]:
    """Where a reading stands in time; of two at one instant the one with the greater value is the later one."""
    value = reading.value
    plain = value if isinstance(value, str | int | float) else orjson.dumps(value)
    return reading.at, kind(plain), plain, reading.name


def kind(value: Any) -> str:
    """Text, numbers and truth values never equal each other."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
