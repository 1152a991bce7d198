"""Counts steps of paths: how often there was one of a kind, of how many people, and how long it took."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from sinks.clickhouse.paths.arrays import Numbers, distinct, medians

#: stands for the milliseconds of a step that took no time that could be told
UNTIMED = -1
_BITS = 26
_MASK = (1 << _BITS) - 1


class Tally:
    """Takes steps of people, all of one person at once."""

    def __init__(self) -> None:
        self._kinds: list[Numbers] = []
        self._counts: list[Numbers] = []
        self._people: list[Numbers] = []
        self._which: list[Numbers] = []
        self._took: list[Numbers] = []

    def add(self, step: Numbers | int, origin: Numbers, target: Numbers, person: Numbers, took: Numbers) -> None:
        """Steps as their number `step` from node to node; `took` is milliseconds, UNTIMED where none can be told."""
        kinds, which, counts = np.unique(
            (np.int64(step) << 2 * _BITS) | (origin << _BITS) | target, return_inverse=True, return_counts=True
        )
        size = int(person.max(initial=0)) + 1
        people = np.bincount(distinct(which * size + person) // size, minlength=len(kinds))
        told = took != UNTIMED
        self._kinds.append(kinds)
        self._counts.append(counts)
        self._people.append(people)
        self._which.append(which[told].astype(np.int32))
        self._took.append(took[told])

    def told(self) -> Iterator[tuple[int, int, int, int, int, float | None]]:
        """Step, origin, target, how many, of how many people, and the median in seconds."""
        if not self._kinds:
            return
        kinds, which = np.unique(np.concatenate(self._kinds), return_inverse=True)
        counts = np.bincount(which, np.concatenate(self._counts)).astype(np.int64)
        people = np.bincount(which, np.concatenate(self._people)).astype(np.int64)
        starts = np.cumsum([0, *map(len, self._kinds[:-1])])
        of = np.concatenate([which[part + start] for part, start in zip(self._which, starts, strict=True)])
        middle = medians(of, np.concatenate(self._took), len(kinds)) / 1000
        for kind, count, number, seconds in zip(
            kinds.tolist(), counts.tolist(), people.tolist(), middle.tolist(), strict=True
        ):
            median = None if math.isnan(seconds) else seconds
            yield kind >> 2 * _BITS, kind >> _BITS & _MASK, kind & _MASK, count, number, median
