"""Attempts at a funnel, of all people at once: for each person the one that counts.

An attempt is a row of a matrix: for each step the row that satisfied it, -1 where none did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sinks.clickhouse.paths.arrays import Numbers, Rows

ORDERS = ("ordered", "strict", "any")


@dataclass(frozen=True, slots=True)
class Question:
    """`steps` are event names, `within` is milliseconds, `optional` are steps that may be left out."""

    steps: tuple[str, ...]
    within: int
    order: str = "ordered"
    exclude: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """The events that matter; the column `step` of rows has their places from 1 on, 0 for others."""
        return sorted({*self.steps, *self.exclude})

    @property
    def openers(self) -> list[str]:
        """The events with which an attempt can begin."""
        return sorted(set(self.steps)) if self.order == "any" else [self.steps[0]]


def attempts(question: Question, rows: Rows) -> Numbers:
    """The attempts that count, one for each person with a first step, in order of person.

    That is the one that got furthest, the earliest of equals.
    """
    found = {"ordered": _ordered, "strict": _strict, "any": _any}[question.order](question, rows)
    if not len(found):
        return found
    furthest = reached(found)
    person = rows.person[found[:, 0]]
    first = np.flatnonzero(np.diff(person, prepend=-1))
    most = np.maximum.reduceat(furthest, first)
    best = np.flatnonzero(furthest == np.repeat(most, np.diff(first, append=len(person))))
    _, chosen = np.unique(person[best], return_index=True)
    counting: Numbers = found[best[chosen]]
    return counting


def reached(found: Numbers) -> Numbers:
    """How many steps each attempt got, left out ones included."""
    steps: Numbers = found.shape[1] - np.argmax(found[:, ::-1] >= 0, axis=1)
    return steps


class _Places:
    """Where the events of each name are."""

    def __init__(self, question: Question, rows: Rows) -> None:
        self.rows, self.question = rows, question
        self.of = {
            name: np.flatnonzero(rows.columns["step"] == number) for number, name in enumerate(question.names, start=1)
        }

    def limit(self, starts: Numbers) -> Numbers:
        """The last key of steps of attempts that begin in these rows: the window's end or the first excluded event."""
        keys = self.rows.key[starts]
        limit = self.rows.ends(keys, self.question.within)
        for name in self.question.exclude:
            there = self.rows.key[self.of[name]]
            index = np.searchsorted(there, keys, "right")
            after = index < len(there)
            limit[after] = np.minimum(limit[after], there[index[after]])
        return limit


def _ordered(question: Question, rows: Rows) -> Numbers:
    places = _Places(question, rows)
    starts = places.of[question.steps[0]]
    limit = places.limit(starts)
    found = np.full((len(starts), len(question.steps)), -1)
    found[:, 0] = starts
    used = {question.steps[0]: np.arange(len(starts))}
    since, waiting = rows.key[starts], list[int]()

    def take(step: int, after: Numbers, until: Numbers) -> None:
        """Satisfy a step by the earliest event from one key to another."""
        name = question.steps[step]
        mine = places.of[name]
        index = np.searchsorted(rows.key[mine], after)
        if name in used:
            index = np.maximum(index, used[name] + 1)
        there = np.flatnonzero(index < len(mine))
        there = there[rows.key[mine[index[there]]] <= until[there]]
        found[there, step] = mine[index[there]]
        used[name] = index

    def fill(until: Numbers) -> None:
        """Satisfy the optional steps between two required ones."""
        after = since
        for step in waiting:
            take(step, after, until)
            after = np.where(found[:, step] >= 0, rows.key[found[:, step]], after)
        waiting.clear()

    for step, name in enumerate(question.steps[1:], start=1):
        if name in question.optional:
            waiting.append(step)
            continue
        take(step, since, limit)
        there = found[:, step] >= 0
        key = rows.key[found[:, step]]
        fill(np.where(there, key, limit))
        # who missed a step can't satisfy a later one
        limit = np.where(there, limit, -1)
        since = np.where(there, key, since)
    fill(limit)
    return found


def _strict(question: Question, rows: Rows) -> Numbers:
    places, steps = _Places(question, rows), question.steps
    begins = np.flatnonzero(np.diff(rows.key, prepend=-1))
    size = np.diff(begins, append=len(rows.key))
    there = {name: _counts(places.of[name], begins, len(rows.key)) for name in set(steps)}
    # for each step and instant: how many of the steps from this one on the events of the instant satisfy
    prefix = np.stack([_prefix(steps[step:], there, len(begins)) for step in range(len(steps))])
    # other events of the first instant can come before the attempt, so it may also begin with fewer of them
    variants = [(np.flatnonzero(prefix[0] >= taken), taken) for taken in range(len(steps), 0, -1)]
    instant = np.concatenate([some for some, _ in variants])
    taken = np.concatenate([np.full(len(some), number) for some, number in variants])
    order = np.lexsort((-taken, instant))
    instant, taken = instant[order], taken[order]
    found = np.full((len(instant), len(steps)), -1)
    _place(found, places, begins[instant], np.zeros_like(taken), taken, np.arange(len(taken)))
    limit = rows.ends(rows.key[begins[instant]], question.within)
    going = np.arange(len(instant))
    while len(going):
        instant[going] += 1
        going = going[(instant[going] < len(begins)) & (taken[going] < len(steps))]
        going = going[rows.key[begins[instant[going]]] <= limit[going]]
        count = prefix[taken[going], instant[going]]
        _place(found, places, begins[instant[going]], taken[going], count, going)
        taken[going] += count
        going = going[count == size[instant[going]]]
    return found


def _counts(places: Numbers, begins: Numbers, end: int) -> Numbers:
    """How many of the rows are in each instant."""
    return np.diff(np.searchsorted(places, np.append(begins, end)))


def _prefix(steps: Sequence[str], there: dict[str, Numbers], instants: int) -> Numbers:
    """How many of these steps the events of each instant satisfy."""
    count, fits, needed = np.zeros(instants, dtype=np.int64), np.ones(instants, dtype=bool), Counter[str]()
    for name in steps:
        needed[name] += 1
        fits &= there[name] >= needed[name]
        count += fits
    return count


def _place(found: Numbers, places: _Places, begin: Numbers, step: Numbers, count: Numbers, which: Numbers) -> None:
    """Write the rows from `begin` on that satisfy `count` steps from `step` on into these attempts."""
    steps = places.question.steps
    for now in range(len(steps)):
        for first in range(now + 1):
            some = np.flatnonzero((step == first) & (step + count > now))
            mine = places.of[steps[now]]
            earlier = sum(name == steps[now] for name in steps[first:now])
            found[which[some], now] = mine[np.searchsorted(mine, begin[some]) + earlier]


def _any(question: Question, rows: Rows) -> Numbers:
    places, wanted = _Places(question, rows), Counter(question.steps)
    starts = np.sort(np.concatenate([places.of[name] for name in wanted]))
    limit = places.limit(starts)
    none = len(rows.key)
    columns = []
    for name, number in wanted.items():
        mine = places.of[name]
        first = np.searchsorted(rows.key[mine], rows.key[starts])
        end = np.searchsorted(rows.key[mine], limit, "right")
        padded = np.append(mine, none)
        columns += [np.where(first + n < end, padded[np.minimum(first + n, len(mine))], none) for n in range(number)]
    found = np.sort(np.stack(columns, axis=1), axis=1)
    return np.where(found == none, -1, found)
