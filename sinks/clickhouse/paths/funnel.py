"""Funnels: how far people get through a list of events within a time.

Definitions. The window opens at the first step and holds what happens less than `within` later. At one instant events
satisfy steps in any order; one event satisfies one step only. A person counts for the furthest step of its best
attempt, the earliest of those that get equally far; within an attempt each step is taken at its earliest event.
- ordered: steps in this order, other events may lie between;
- strict: in this order with no other event of the person in between;
- any: steps in any order; the row of step k tells who satisfied k of them.
An excluded event strictly between the first event of an attempt and a later one keeps that one, and all after it, from
counting in this attempt.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import NamedTuple

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import BadQuestion, Filters, on_events

ORDERS = ("ordered", "strict", "any")


class Hit(NamedTuple):
    """An event of one person: when (milliseconds), its name, its channel."""

    at: int
    name: str
    channel: str


@dataclass(frozen=True, slots=True)
class Question:
    """`steps` are event names, `within` is milliseconds."""

    steps: tuple[str, ...]
    within: int
    order: str = "ordered"
    exclude: frozenset[str] = frozenset()
    by_channel: bool = False


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """`from_first` and `from_previous` are shares from 0 to 1, None where nobody got so far; `median_seconds` is from
    the step before. `channel` is that of the first event of the attempt, None without `by_channel`."""

    step: int
    name: str
    people: int
    from_first: float | None
    from_previous: float | None
    median_seconds: float | None
    channel: str | None = None


class Attempt(NamedTuple):
    """Times of the steps that were satisfied (milliseconds), and the channel it began in."""

    times: tuple[int, ...]
    channel: str


def funnel(warehouse: Warehouse, question: Question, filters: Filters) -> list[FunnelStep]:
    """A row for each step, for each channel when asked for by channel. Raises BadQuestion."""
    if len(question.steps) < 2:
        raise BadQuestion("a funnel needs --steps at least twice")
    if question.order not in ORDERS:
        raise BadQuestion(f"--order is one of {', '.join(ORDERS)}, not {question.order}")
    if question.within <= 0:
        raise BadQuestion("--within is longer than nothing, for example 7d")
    if both := question.exclude & set(question.steps):
        raise BadQuestion(f"a step can't be excluded: {', '.join(sorted(both))}")
    attempts = [attempt for hits in _people(warehouse, question, filters) if (attempt := best(question, hits))]
    if not question.by_channel:
        return _table(question, attempts, None)
    of_channel: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        of_channel[attempt.channel].append(attempt)
    return [row for channel, some in sorted(of_channel.items()) for row in _table(question, some, channel)]


def best(question: Question, hits: Sequence[Hit]) -> Attempt | None:
    """The attempt of a person that got furthest, the earliest of equals; None without a first step.

    `hits` are in order of time, ties by event id; for a strict funnel all events of the person.
    """
    attempts = {"ordered": _ordered, "strict": _strict, "any": _any}[question.order](question, hits)
    furthest: Attempt | None = None
    for attempt in attempts:
        if furthest is None or len(attempt.times) > len(furthest.times):
            furthest = attempt
            if len(attempt.times) == len(question.steps):
                break
    return furthest


def _ordered(question: Question, hits: Sequence[Hit]) -> Iterator[Attempt]:
    of_name = _times(hits)
    excluded = _excluded(question, of_name)
    first, *rest = question.steps
    starts = [hit for hit in hits if hit.name == first]
    for number, start in enumerate(starts):
        limit = _limit(question, excluded, start.at)
        times = [start.at]
        used = {first: number}
        for name in rest:
            candidates = of_name.get(name, [])
            index = max(bisect_left(candidates, times[-1]), used.get(name, -1) + 1)
            if index == len(candidates) or candidates[index] > limit:
                break
            times.append(candidates[index])
            used[name] = index
        yield Attempt(tuple(times), start.channel)


def _strict(question: Question, hits: Sequence[Hit]) -> Iterator[Attempt]:
    instants = [list(group) for _, group in groupby(hits, key=lambda hit: hit.at)]
    for number, instant in enumerate(instants):
        start = next((hit for hit in instant if hit.name == question.steps[0]), None)
        if start is None:
            continue
        # other events of the first instant can come before the attempt, so it may also begin with fewer of them
        for taken in range(_prefix(question.steps, instant), 0, -1):
            times = [start.at] * taken
            for later in instants[number + 1 :]:
                if later[0].at - start.at >= question.within or len(times) == len(question.steps):
                    break
                remaining = question.steps[len(times) :]
                count = _prefix(remaining, later)
                times += [later[0].at] * count
                if count < len(later):
                    break
            yield Attempt(tuple(times), start.channel)


def _any(question: Question, hits: Sequence[Hit]) -> Iterator[Attempt]:
    of_name = _times(hits)
    excluded = _excluded(question, of_name)
    wanted = Counter(question.steps)
    for start in hits:
        if start.name not in wanted:
            continue
        limit = _limit(question, excluded, start.at)
        times: list[int] = []
        for name, number in wanted.items():
            candidates = of_name.get(name, [])
            first = bisect_left(candidates, start.at)
            times += candidates[first : min(first + number, bisect_right(candidates, limit))]
        yield Attempt(tuple(sorted(times)), start.channel)


def _prefix(steps: Sequence[str], instant: Sequence[Hit]) -> int:
    """How many of the next steps events of one instant satisfy."""
    there = Counter(hit.name for hit in instant)
    for count, name in enumerate(steps):
        if not there[name]:
            return count
        there[name] -= 1
    return len(steps)


def _times(hits: Iterable[Hit]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for hit in hits:
        found[hit.name].append(hit.at)
    return found


def _excluded(question: Question, of_name: dict[str, list[int]]) -> list[int]:
    return sorted(at for name in question.exclude for at in of_name.get(name, []))


def _limit(question: Question, excluded: list[int], start: int) -> int:
    """The last instant at which a step of an attempt may be: the window's end, or the first excluded event."""
    last = start + question.within - 1
    index = bisect_right(excluded, start)
    return min(last, excluded[index]) if index < len(excluded) else last


def _table(question: Question, attempts: list[Attempt], channel: str | None) -> list[FunnelStep]:
    reached = [[a.times for a in attempts if len(a.times) > step] for step in range(len(question.steps))]
    rows = []
    for step, name in enumerate(question.steps):
        people = len(reached[step])
        before = len(reached[step - 1]) if step else people
        spans = [times[step] - times[step - 1] for times in reached[step]] if step else []
        rows.append(
            FunnelStep(
                step=step + 1,
                name=name,
                people=people,
                from_first=people / len(reached[0]) if reached[0] else None,
                from_previous=people / before if before else None,
                median_seconds=median(spans) / 1000 if spans else None,
                channel=channel,
            )
        )
    return rows


def _people(warehouse: Warehouse, question: Question, filters: Filters) -> Iterator[list[Hit]]:
    """The events that matter of each person who did a first step."""
    events = on_events(warehouse, filters)
    names = sorted({*question.steps, *question.exclude})
    openers = sorted(set(question.steps)) if question.order == "any" else [question.steps[0]]
    relevant = "1" if question.order == "strict" else "has({names:Array(String)}, name)"
    table = warehouse.arrow(
        "SELECT arraySort(groupArray((toUnixTimestamp64Milli(occurred_at), toUInt128(event_id), toString(name),"
        " toString(channel)))) AS hits, hits.1 AS times, hits.3 AS names, hits.4 AS channels"
        f" FROM pathline.events WHERE {events.sql} AND {relevant}"
        " GROUP BY person_id HAVING countIf(has({openers:Array(String)}, name)) > 0 ORDER BY person_id",
        events.parameters | {"names": names, "openers": openers},
    ).select(["times", "names", "channels"])
    for batch in table.to_batches(max_chunksize=10_000):
        columns = (batch.column(n).to_pylist() for n in range(3))
        for times, found, channels in zip(*columns, strict=True):
            yield [Hit(*hit) for hit in zip(times, found, channels, strict=True)]
