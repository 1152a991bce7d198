"""Attribution: which touches conversions are owed to, by one of several models.

The path of a conversion are the touches before it, less than the look-back ago, at most the last `steps` of them. A
touch can be on the path of several conversions; an event that converts is no touch of itself. Dates are about the
conversions: touches reach back as far as the look-back. A person without a conversion is a null path of all touches
within the dates. A conversion without a touch is told as (none).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Floats, Numbers, Rows
from sinks.clickhouse.paths.costs import Prices, spent
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.models import (
    CONVERSION,
    MARKOV,
    MODELS,
    NULL,
    WEEK_MS,
    Edges,
    Paths,
    edges,
    removal_shares,
    weights,
)
from sinks.clickhouse.paths.orders import Asked, conversions
from sinks.clickhouse.paths.reading import Names, read
from sinks.clickhouse.paths.touches import NONE, Nodes, Source, nodes

#: touches of paths that are held at once
_MOST_TOUCHES = 4_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """How far back a touch counts, in milliseconds and in touches; `nulls`: with the paths of those who did not convert
    (markov); the half-life (time_decay) is in milliseconds."""

    lookback: int
    steps: int | None = None
    nulls: bool = True
    half_life: int = WEEK_MS


@dataclass(frozen=True, slots=True)
class Credit:
    """What a node is owed. `cost` is None where nobody told any, `roas` is revenue / cost."""

    node: str
    conversions: float
    revenue: float
    cost: float | None
    roas: float | None


def attribution(
    warehouse: Warehouse,
    models: Sequence[str],
    asked: Nodes,
    converting: Asked,
    question: Question,
    filters: Filters,
    prices: Prices,
) -> dict[str, list[Credit]]:
    """By model what each node is owed, the most first. Raises BadQuestion."""
    found = owed(warehouse, models, asked, converting, question, filters)
    costs = _costs(warehouse, asked, filters, prices) if asked.by in ("channel", "campaign", "source") else {}
    return {model: _credits(*found[model], costs) for model in models}


def _costs(warehouse: Warehouse, asked: Nodes, filters: Filters, prices: Prices) -> dict[str, float]:
    """What was spent by node, by the clean names of nodes."""
    total: dict[str, float] = defaultdict(float)
    known = spent(warehouse, prices, filters).by(asked.by)
    for node, cost in zip(asked.named(pa.array(known, pa.string())).to_pylist(), known.values(), strict=True):
        if node is not None:
            total[node] += cost
    return total


def owed(
    warehouse: Warehouse,
    models: Sequence[str],
    asked: Nodes,
    converting: Asked,
    question: Question,
    filters: Filters,
) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """By model the conversions and the revenue of each node. Raises BadQuestion."""
    if other := [model for model in models if model not in MODELS]:
        raise BadQuestion(f"--model is one of {', '.join(MODELS)} or all, not {other[0]}")
    if question.lookback <= 0 or question.half_life <= 0:
        raise BadQuestion("--lookback and --half-life are longer than nothing, for example 30d")
    if question.steps is not None and question.steps < 1:
        raise BadQuestion("--lookback-steps is at least 1")
    ledger = _Ledger(models, question, filters.since)
    source = _source(warehouse, asked, converting, question, filters)
    wanted = "" if question.nulls and MARKOV in models else "apart"
    names = Names(asked.named)
    for rows in read(warehouse, source, ("node", "direct", "apart", "revenue"), names, wanted):
        ledger.add(rows)
    return {model: ledger.told(model, list(names.known)) for model in models}


def _source(warehouse: Warehouse, asked: Nodes, converting: Asked, question: Question, filters: Filters) -> Source:
    """Nodes, and conversions as rows apart."""
    since = None if filters.since is None else filters.since - question.lookback
    touched = nodes(warehouse, asked, dataclasses.replace(filters, since=since), direct=True)
    converted = conversions(warehouse, converting, filters)
    visit = ("visit, ", "toLowCardinality(''), ") if touched.gap is not None else ("", "")
    return dataclasses.replace(
        touched,
        sql=(
            f"(SELECT person_id, at, id, node, {visit[0]}direct, false AS apart, toFloat64(0) AS revenue"
            f" FROM {touched.sql}"
            f" UNION ALL SELECT person_id, at, id, '', {visit[1]}false, true, ifNull(revenue, 0) FROM {converted.sql})"
        ),
        parameters=touched.parameters | converted.parameters,
    )


class _Ledger:
    """Credit by node number, as people are read."""

    def __init__(self, models: Sequence[str], question: Question, since: int | None) -> None:
        self._question, self._since = question, since
        self._credit = {model: (np.zeros(0), np.zeros(0)) for model in models if model != MARKOV}
        self._chain: Edges | None = Edges() if MARKOV in models else None
        self._touched = np.zeros(0)
        self._paid = self._without = (0, 0.0)

    def add(self, rows: Rows) -> None:
        """Count the paths of these people."""
        converts = rows.columns["apart"]
        there, came = np.flatnonzero(~converts), np.flatnonzero(converts)
        key, person = rows.key[there], rows.person
        high = np.searchsorted(there, came)
        low = np.maximum(
            np.searchsorted(key, person[came] * rows.span),
            np.searchsorted(key, rows.key[came] - min(self._question.lookback, rows.span), "right"),
        )
        if self._question.steps is not None:
            low = np.maximum(low, high - self._question.steps)
        revenue = rows.columns["revenue"][came]
        some = high > low
        self._without = _plus(self._without, revenue[~some])
        self._paid = _plus(self._paid, revenue[some])
        for paths, which in _expanded(rows, there, low[some], high[some]):
            self._touched = _sum(self._touched, np.bincount(paths.node))
            for model, (number, worth) in self._credit.items():
                weight = weights(model, paths, self._question.half_life)
                paid = weight * revenue[some][which][paths.path]
                self._credit[model] = (
                    _sum(number, np.bincount(paths.node, weight)),
                    _sum(worth, np.bincount(paths.node, paid)),
                )
            if self._chain is not None:
                self._chain += edges(paths, CONVERSION)
        if self._chain is not None and self._question.nulls:
            self._add_nulls(rows, there, np.unique(person[came]))

    def _add_nulls(self, rows: Rows, there: Numbers, converted: Numbers) -> None:
        assert self._chain is not None
        mine = there[~np.isin(rows.person[there], converted)]
        if self._since is not None:
            mine = mine[rows.at[mine] >= self._since]
        _, low, number = np.unique(rows.person[mine], return_index=True, return_counts=True)
        for paths, _ in _expanded(rows, mine, low, low + number):
            self._touched = _sum(self._touched, np.bincount(paths.node))
            self._chain += edges(paths, NULL)

    def told(self, model: str, texts: list[str]) -> tuple[dict[str, float], dict[str, float]]:
        """Conversions and revenue by node; every node on a path is there."""
        found = np.flatnonzero(self._touched).tolist()
        if model == MARKOV:
            assert self._chain is not None
            shares = removal_shares(self._chain)
            number = {texts[node]: shares[node] * self._paid[0] for node in found}
            worth = {texts[node]: shares[node] * self._paid[1] for node in found}
        else:
            credit = self._credit[model]
            number = {texts[node]: float(_at(credit[0], node)) for node in found}
            worth = {texts[node]: float(_at(credit[1], node)) for node in found}
        if self._without[0]:
            number[NONE] = number.get(NONE, 0.0) + self._without[0]
            worth[NONE] = worth.get(NONE, 0.0) + self._without[1]
        return number, worth


def _expanded(rows: Rows, there: Numbers, low: Numbers, high: Numbers) -> Iterator[tuple[Paths, slice]]:
    """The paths of the touches `there[low:high]`, as many at once as fit, and which they are."""
    ends = np.cumsum(high - low)
    start = 0
    while start < len(low):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _MOST_TOUCHES, "right")))
        length = high[start:end] - low[start:end]
        path = np.repeat(np.arange(end - start), length)
        place = np.arange(len(path)) - np.repeat(np.cumsum(length) - length, length)
        row = there[low[start:end][path] + place]
        node, direct = rows.columns["node"][row], rows.columns["direct"][row]
        yield Paths(path, place, length, node, direct, rows.key[row]), slice(start, end)
        start = end


def _plus(sums: tuple[int, float], revenue: Floats) -> tuple[int, float]:
    return sums[0] + len(revenue), sums[1] + float(revenue.sum())


def _sum(one: Floats, other: NDArray[Any]) -> Floats:
    """The sum of arrays the shorter of which has zeros after its end."""
    total = np.zeros(max(len(one), len(other)))
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def _at(values: Floats, place: int) -> float:
    return float(values[place]) if place < len(values) else 0.0


def _credits(number: dict[str, float], worth: dict[str, float], costs: dict[str, float]) -> list[Credit]:
    found = []
    for node in {*number, *costs}:
        revenue, cost = worth.get(node, 0.0), costs.get(node)
        found.append(Credit(node, number.get(node, 0.0), revenue, cost, revenue / cost if cost and cost > 0 else None))
    return sorted(found, key=lambda credit: (-credit.conversions, -credit.revenue, credit.node))
