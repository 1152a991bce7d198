"""Scores by recency, frequency and monetary value (RFM) as conditions that count orders, and the bounds between them.

The scores are the quintiles of Hughes, Strategic Database Marketing (1994): each of the three numbers divides the
people who bought into fifths, 5 being the best. Equal numbers have the same score, so with many of them some scores may
have nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from schemas.definitions.durations import SECOND_MS, spoken
from schemas.definitions.hoisting import parts
from schemas.definitions.model import (
    All,
    AnyOf,
    Bounds,
    Condition,
    Did,
    EventRule,
    Measure,
    Measured,
    Not,
    Project,
    Scoring,
    Window,
)

#: What counts as an order where nothing says so, and where its worth stands.
USUAL, AMOUNT = "Order Completed", "properties.total"
#: True of nobody: there are no bounds yet.
UNSCORED = Did(())
BEST = 5

N = TypeVar("N", int, float)


def scoring(events: Sequence[str], of: str | None, within: int | None, rules: Mapping[str, EventRule]) -> Scoring:
    """What is scored; what is not said follows from events.yaml."""
    return Scoring(*orders_of(events, of, rules), Window(far=within))


def orders_of(events: Sequence[str], of: str | None, rules: Mapping[str, EventRule]) -> tuple[tuple[str, ...], str]:
    """(events that are orders, the path of their worth); what is not said follows from events.yaml."""
    names = tuple(events) or tuple(rule.name for rule in rules.values() if rule.revenue) or (USUAL,)
    worth = next((rule.revenue for name in names if (rule := rules.get(name)) and rule.revenue), AMOUNT)
    return names, of or worth


def scored(asked: Mapping[str, frozenset[int]], by: Scoring) -> Condition:
    """The condition that the person bought, and that each score asked for is among those that fit."""
    if by.bounds is None:
        return UNSCORED
    parts = {"recency": _recent, "frequency": _frequent, "monetary": _worth}
    bought = Did(by.events, window=by.window)
    return All((bought, *(_any(_runs(scores), parts[name], by, by.bounds) for name, scores in asked.items())))


def fitted(last: Iterable[int], counts: Iterable[int], sums: Iterable[float], now: int) -> Bounds:
    """Bounds that divide people into fifths; `last` is when each bought last. All have an entry for each person."""
    ages = [now - at for at in last]
    # a bound of ages lies behind the age itself: the last order is less long ago than it
    recency = tuple((age // SECOND_MS + 1) * SECOND_MS for age in _fifths(sorted(ages, reverse=True)))
    return Bounds(recency, tuple(_fifths(sorted(counts))), tuple(_fifths(sorted(sums))))


def unscored(project: Project) -> list[str]:
    """Files with segments that ask for scores while there are no bounds."""
    return sorted({segment.path for segment in project.segments.values() if UNSCORED in parts(segment.when)})


def written(bounds: Bounds, fitted: str) -> str:
    """The text of rfm_bounds.yaml."""
    recency = ", ".join(spoken(bound) for bound in bounds.recency)
    frequency, monetary = (", ".join(map(str, of)) for of in (bounds.frequency, bounds.monetary))
    return (
        f"# What separates the scores 1 to 5 of rfm, as `pathline rfm fit` found it.\nfitted: {fitted}\n"
        f"recency: [{recency}]\nfrequency: [{frequency}]\nmonetary: [{monetary}]\n"
    )


def _fifths(values: list[N]) -> list[N]:
    """The first value of each fifth but the first; values in order, the worst first."""
    return [values[min(-(-len(values) * fifth // BEST), len(values) - 1)] for fifth in range(1, BEST)]


def _runs(scores: frozenset[int]) -> Iterator[tuple[int, int]]:
    """(lowest, highest) of the scores that follow each other."""
    for _, run in groupby(enumerate(sorted(scores)), key=lambda item: item[1] - item[0]):
        found = [score for _, score in run]
        yield found[0], found[-1]


def _recent(low: int, high: int, by: Scoring, bounds: Bounds) -> Iterator[Condition]:
    def since(score: int) -> Condition:
        far = bounds.recency[score - 2]
        return Did(by.events, window=Window(far=far if by.window.far is None else min(far, by.window.far)))

    if low > 1:
        yield since(low)
    if high < BEST:
        yield Not(since(high + 1))


def _frequent(low: int, high: int, by: Scoring, bounds: Bounds) -> Iterator[Condition]:
    if low > 1:
        yield Did(by.events, at_least=bounds.frequency[low - 2], window=by.window)
    if high < BEST:
        yield Not(Did(by.events, at_least=bounds.frequency[high - 1], window=by.window))


def _worth(low: int, high: int, by: Scoring, bounds: Bounds) -> Iterator[Condition]:
    total = Measure("sum", by.events, by.of, window=by.window)
    if low > 1:
        yield Measured(total, (("at_least", bounds.monetary[low - 2]),))
    if high < BEST:
        yield Not(Measured(total, (("at_least", bounds.monetary[high - 1]),)))


def _any(
    runs: Iterable[tuple[int, int]],
    part: Callable[[int, int, Scoring, Bounds], Iterator[Condition]],
    by: Scoring,
    bounds: Bounds,
) -> Condition:
    found = [All(tuple(part(low, high, by, bounds))) for low, high in runs]
    return found[0] if len(found) == 1 else AnyOf(tuple(found))
