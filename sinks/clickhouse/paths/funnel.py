"""Funnels: how far people get through a list of events within a time.

Definitions. The window opens at the first step and holds what happens less than `within` later. At one instant events
satisfy steps in any order; one event satisfies one step only. A person counts for the furthest step of its best
attempt, the earliest of those that get equally far; within an attempt each step is taken at its earliest event.
- ordered: steps in this order, other events may lie between;
- strict: in this order with no other event of the person in between;
- any: steps in any order; the row of step k tells who satisfied k of them.
An excluded event strictly between the first event of an attempt and a later one keeps that one, and all after it, from
counting in this attempt. An optional step may be left out: it is taken if its event lies between the required ones
around it, and counts for itself only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Flags, Numbers, Rows
from sinks.clickhouse.paths.attempts import ORDERS, Question, attempts, reached
from sinks.clickhouse.paths.filters import BadQuestion, Filters, on_events, quoted
from sinks.clickhouse.paths.reading import Names, read
from sinks.clickhouse.paths.touches import END, KEY, NONE, Source, TouchRules, of_event

#: borders of the distribution of times, in seconds
_BORDERS = (0, 60, 600, 3_600, 6 * 3_600, 86_400, 3 * 86_400, 7 * 86_400, 14 * 86_400, 30 * 86_400, 90 * 86_400)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What people are told apart by: a value (channel, campaign, source, property:NAME) of the event of their first
    step, of the last one they got to (`last`), or of the step with a number."""

    by: str = ""
    of: str = "first"
    rules: TouchRules = field(default_factory=TouchRules)


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """`from_first` and `from_previous` are shares from 0 to 1, None where nobody got so far; `from_previous` is of the
    required step before. `median_seconds` is from the step before. `value` is what the people have in common."""

    step: int
    name: str
    people: int
    from_first: float | None
    from_previous: float | None
    median_seconds: float | None
    value: str = ""


@dataclass(frozen=True, slots=True)
class Took:
    """People who got through, and took so long: `from_seconds <= time < to_seconds`; the last has no end."""

    from_seconds: int
    to_seconds: int | None
    people: int
    share: float


@dataclass(frozen=True, slots=True)
class Drop:
    """People who got to a step and no further, and what they did next instead."""

    step: int
    name: str
    instead: str
    people: int
    share: float


@dataclass(frozen=True, slots=True)
class Funnel:
    """The steps, the times of those who got through, and where the others went (when that was asked for)."""

    steps: list[FunnelStep]
    took: list[Took]
    drops: list[Drop]


@dataclass(frozen=True, slots=True)
class _Found:
    """For each attempt and step: time since the first one in milliseconds, -1 where it was not satisfied. What the
    attempts are told apart by, and what came after them."""

    since: Numbers
    value: Numbers
    after: Numbers


def funnel(
    warehouse: Warehouse,
    question: Question,
    filters: Filters,
    breakdown: Breakdown = Breakdown(),
    drops: bool = False,
) -> Funnel:
    """How far people got; `drops`: also where they went instead. Raises BadQuestion."""
    _check(question, breakdown)
    names = Names()
    none, end = names.number(NONE), names.number(END)
    columns = ("step", *(("value",) if breakdown.by else ()), *(("event",) if drops else ()))
    source = _source(warehouse, question, filters, breakdown, everything=drops or question.order == "strict")
    openers = ", ".join(str(question.names.index(name) + 1) for name in question.openers)
    rows = read(warehouse, source, columns, names, f"step IN ({openers})")
    found = _joined([_found(question, some, breakdown, none, end) for some in rows], len(question.steps))
    texts = list(names.known)
    values = sorted((texts[number], number) for number in set(found.value.tolist())) if breakdown.by else [("", 0)]
    steps = [
        row
        for value, number in values
        for row in _steps(question, found.since[found.value == number] if breakdown.by else found.since, value)
    ]
    return Funnel(steps, _took(found.since), _drops(question, found, texts) if drops else [])


def _check(question: Question, breakdown: Breakdown) -> None:
    if len(question.steps) < 2:
        raise BadQuestion("a funnel needs --steps at least twice")
    if question.order not in ORDERS:
        raise BadQuestion(f"--order is one of {', '.join(ORDERS)}, not {question.order}")
    if question.within <= 0:
        raise BadQuestion("--within is longer than nothing, for example 7d")
    if both := question.exclude & set(question.steps):
        raise BadQuestion(f"a step can't be excluded: {', '.join(sorted(both))}")
    if len(set(question.steps)) > 250:
        raise BadQuestion("a funnel has at most 250 steps")
    if question.optional:
        if other := question.optional - set(question.steps):
            raise BadQuestion(f"--optional is one of the steps, not {', '.join(sorted(other))}")
        if question.order != "ordered":
            raise BadQuestion("steps are optional in an ordered funnel only")
        if question.steps[0] in question.optional:
            raise BadQuestion("the first step can't be optional")
        if twice := sorted(name for name in question.optional if question.steps.count(name) > 1):
            raise BadQuestion(f"an optional step stands once: {', '.join(twice)}")
    choices = ("first", "last", *(f"step:{number}" for number in range(1, len(question.steps) + 1)))
    if breakdown.of not in choices:
        raise BadQuestion(f"--breakdown is one of {', '.join(choices)}, not {breakdown.of}")


def _source(
    warehouse: Warehouse, question: Question, filters: Filters, breakdown: Breakdown, everything: bool
) -> Source:
    events = on_events(warehouse, filters)
    names = f"[{', '.join(map(quoted, question.names))}]"
    value = f", {of_event(breakdown.by, breakdown.rules)} AS value" if breakdown.by else ""
    relevant = "1" if everything else f"has({names}, name)"
    return Source(
        f"(SELECT {KEY}, toUInt8(indexOf({names}, name)) AS step, name AS event{value}"
        f" FROM pathline.events WHERE {events.sql} AND {relevant})",
        events.parameters,
    )


def _found(question: Question, rows: Rows, breakdown: Breakdown, none: int, end: int) -> _Found:
    best = attempts(question, rows)
    there = best >= 0
    since = np.where(there, rows.key[best] - rows.key[best[:, :1]], -1)
    last = np.take_along_axis(best, (reached(best) - 1)[:, None], axis=1)[:, 0]
    value = after = np.zeros(len(best), dtype=np.int64)
    if breakdown.by:
        of = {"first": best[:, 0], "last": last}.get(breakdown.of)
        row = best[:, int(breakdown.of.removeprefix("step:")) - 1] if of is None else of
        value = np.where(row >= 0, rows.columns["value"][row], none)
    if "event" in rows.columns:
        next_ = np.minimum(last + 1, len(rows.key) - 1)
        same = (next_ > last) & (rows.person[next_] == rows.person[last])
        after = np.where(same, rows.columns["event"][next_], end)
    return _Found(since, value, after)


def _joined(parts: list[_Found], steps: int) -> _Found:
    nobody = _Found(np.empty((0, steps), np.int64), np.empty(0, np.int64), np.empty(0, np.int64))
    parts = parts or [nobody]
    return _Found(
        np.concatenate([part.since for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.after for part in parts]),
    )


def _steps(question: Question, since: Numbers, value: str) -> Iterator[FunnelStep]:
    first = before = len(since)
    for step, name in enumerate(question.steps):
        there: Flags = since[:, step] >= 0
        people = int(there.sum())
        # the step before it that was satisfied
        earlier = since[there, :step].max(axis=1) if step and people else None
        yield FunnelStep(
            step=step + 1,
            name=name,
            people=people,
            from_first=people / first if first else None,
            from_previous=people / before if before else None,
            median_seconds=None if earlier is None else float(np.median(since[there, step] - earlier)) / 1000,
            value=value,
        )
        if name not in question.optional:
            before = people


def _took(since: Numbers) -> list[Took]:
    through = since[since[:, -1] >= 0, -1]
    borders = [border * 1000 for border in _BORDERS]
    found = []
    for low, high in [*pairwise(borders), (borders[-1], None)]:
        people = int(((through >= low) & (through < (high or np.inf))).sum())
        if people:
            found.append(Took(low // 1000, high and high // 1000, people, people / len(through)))
    return found


def _drops(question: Question, found: _Found, texts: list[str]) -> list[Drop]:
    drops = []
    furthest = reached(found.since) if len(found.since) else np.empty(0, np.int64)
    for step, name in enumerate(question.steps[:-1], start=1):
        instead, people = np.unique(found.after[furthest == step], return_counts=True)
        counted = sorted(((-int(number), texts[text]) for text, number in zip(instead, people, strict=True)))
        total = int(people.sum())
        drops += [Drop(step, name, text, -number, -number / total) for number, text in counted]
    return drops
