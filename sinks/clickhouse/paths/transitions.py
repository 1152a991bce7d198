"""Transitions: how people go from one channel, event, campaign or property to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Rows, changes
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.reading import Names, read
from sinks.clickhouse.paths.tally import UNTIMED, Tally
from sinks.clickhouse.paths.touches import END, START, Nodes, nodes


@dataclass(frozen=True, slots=True)
class Transition:
    """`count` times someone went from `origin` to `target`; `median_seconds` is None at the ends of paths."""

    origin: str
    target: str
    count: int
    people: int
    median_seconds: float | None


def transitions(warehouse: Warehouse, asked: Nodes, filters: Filters) -> list[Transition]:
    """Steps of all paths, the most frequent first; a path is all that a person did, in order of time, ties by event id.

    Raises BadQuestion.
    """
    names, tally = Names(asked.named), Tally()
    start, end = names.number(START), names.number(END)
    for rows in read(warehouse, nodes(warehouse, asked, filters), ("node",), names):
        _count(tally, rows, start, end)
    texts = list(names.known)
    found = [
        Transition(texts[origin], texts[target], count, people, median)
        for _, origin, target, count, people, median in tally.told()
    ]
    return sorted(found, key=lambda row: (-row.count, row.origin.encode(), row.target.encode()))


def _count(tally: Tally, rows: Rows, start: int, end: int) -> None:
    """A step to each row, and one from the last row of each person."""
    node, person = rows.columns["node"], rows.person
    first = changes(person)
    last = np.flatnonzero(np.append(first[1:], True))
    took = np.where(first, UNTIMED, np.diff(rows.key, prepend=0))
    tally.add(
        0,
        np.concatenate([np.where(first, start, np.roll(node, 1)), node[last]]),
        np.concatenate([node, np.full(len(last), end)]),
        np.concatenate([person, person[last]]),
        np.concatenate([took, np.full(len(last), UNTIMED)]),
    )
