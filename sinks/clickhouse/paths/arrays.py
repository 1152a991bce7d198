"""Rows of many people as arrays, in order of person, time and event id: what analyses go through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
#: 128-bit numbers as pairs of their lower and upper halves
Halves = NDArray[np.uint64]
_LARGEST_KEY = 2**62


@dataclass(frozen=True, slots=True)
class Rows:
    """`key` = person * span + milliseconds since `low`: it ascends, and a difference of keys of one person is a time.
    `again` says that a row is of the same event as the one before; `columns` are the other values. `people` are the ids
    by number; not everyone has rows."""

    key: Numbers
    span: int
    low: int
    again: Flags
    people: Halves
    columns: Mapping[str, NDArray[Any]]

    @property
    def person(self) -> Numbers:
        """Numbers of the persons."""
        found: Numbers = self.key // self.span
        return found

    @property
    def at(self) -> Numbers:
        """Milliseconds since 1970 UTC."""
        found: Numbers = self.key % self.span + self.low
        return found

    def ends(self, keys: Numbers, after: int) -> Numbers:
        """The last key less than `after` milliseconds later, of the same person."""
        last = keys - keys % self.span + (self.span - 1)
        found: Numbers = np.minimum(keys + (min(after, self.span) - 1), last)
        return found

    def only(self, some: Flags) -> Rows:
        """Some of the rows."""
        if some.all():
            return self
        columns = {name: column[some] for name, column in self.columns.items()}
        return Rows(self.key[some], self.span, self.low, self.again[some], self.people, columns)


def person_id(people: Halves, number: int) -> str:
    """The id of a person."""
    low, high = people[number].tolist()
    return str(UUID(int=(high << 64) | low))


def ordered(
    people: Halves, person: Numbers, at: Numbers, id: Halves, late: Flags | None
) -> Iterator[tuple[Rows, Numbers]]:
    """Rows without columns, and which of the given ones they are: ordered by person, time, id and `late`.

    They come in several goes, each with people of its own, when one would make keys that no number holds.
    """
    low = int(at.min())
    span = int(at.max()) - low + 1
    most = max(1, _LARGEST_KEY // span)
    for first in range(0, len(people), most):
        some = slice(None) if most >= len(people) else np.flatnonzero((person >= first) & (person < first + most))
        key = (person[some] - first) * span + (at[some] - low)
        order = np.argsort(key)
        key = key[order]
        if isinstance(some, np.ndarray):
            order = some[order]
        again = _untied(key, order, id, late)
        yield Rows(key, span, low, again, people[first : first + most], {}), order


def _untied(key: Numbers, order: Numbers, id: Halves, late: Flags | None) -> Flags:
    """Put rows of one instant in the order of their ids; gives which are of the same event as the one before."""
    same = ~changes(key)
    again = np.zeros(len(key), dtype=bool)
    tied = np.flatnonzero(same | np.append(same[1:], False))
    if len(tied):
        some = order[tied]
        low, high = id[some].T
        keys = (low, high, key[tied]) if late is None else (late[some], low, high, key[tied])
        by = np.lexsort(keys)
        order[tied] = some[by]
        again[tied] = same[tied] & ~changes(low[by]) & ~changes(high[by])
    return again


def changes(column: NDArray[Any]) -> Flags:
    """Where a value differs from the one before, which it does at the beginning."""
    differs = np.ones(len(column), dtype=bool)
    np.not_equal(column[1:], column[:-1], out=differs[1:])
    return differs


def distinct(values: Numbers) -> Numbers:
    """Each value once, rising; by sorting, which takes a fraction of the time of numpy's own way, a hash table."""
    rising = np.sort(values)
    return rising[changes(rising)]


def medians(kinds: Numbers, values: Numbers, number: int) -> Floats:
    """For each of the kinds from 0 on the exact median of its values, none of which is negative: of an even number the
    mean of the middle two, NaN of none."""
    count = np.bincount(kinds, minlength=number)
    width = int(values.max(initial=0)).bit_length()
    if number.bit_length() + width < 63:
        # one number sorts many times faster than two
        rising = np.sort((kinds << width) | values) & ((1 << width) - 1)
    else:
        rising = values[np.lexsort((values, kinds))]
    first = np.cumsum(count) - count
    found = np.full(number, np.nan)
    there = count > 0
    low, high = (first + (count - 1) // 2)[there], (first + count // 2)[there]
    found[there] = (rising[low] + rising[high]) / 2
    return found
