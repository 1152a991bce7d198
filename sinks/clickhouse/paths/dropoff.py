"""Drop-off: what people did last before they fell silent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import changes, distinct, medians
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.reading import Names, read
from sinks.clickhouse.paths.touches import Nodes, nodes


@dataclass(frozen=True, slots=True)
class Silence:
    """`silent` people had their last touch here, of the `people` who had any here; `share` is theirs of all who are
    silent, `rate` that of those here; both from 0 to 1. `median_seconds` is how long they have been silent."""

    last: str
    silent: int
    people: int
    share: float
    rate: float
    median_seconds: float | None


def dropoff(warehouse: Warehouse, asked: Nodes, silence: int, filters: Filters) -> list[Silence]:
    """Last touches before a silence of at least `silence` milliseconds, which lasts up to the end of the time asked
    about, else to the newest event there is; the most frequent first. Raises BadQuestion."""
    if silence <= 0:
        raise BadQuestion("--silence is longer than nothing, for example 30d")
    until = filters.until
    if until is None:
        [newest] = warehouse.rows("SELECT toUnixTimestamp64Milli(max(occurred_at)) AS at FROM pathline.events_raw")
        until = newest["at"]
    names = Names(asked.named)
    here, where, since = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for rows in read(warehouse, nodes(warehouse, asked, filters), ("node",), names):
        node, person = rows.columns["node"], rows.person
        here.append(distinct(person * len(names.known) + node) % len(names.known))
        last = np.flatnonzero(np.append(changes(person)[1:], True))
        silent = until - rows.at[last]
        gone = silent >= silence
        where.append(node[last][gone])
        since.append(silent[gone])
    texts = list(names.known)
    people = np.bincount(np.concatenate(here), minlength=len(texts))
    last_at, long = np.concatenate(where), np.concatenate(since)
    number, median = np.bincount(last_at, minlength=len(texts)), medians(last_at, long, len(texts)) / 1000
    found = [
        Silence(
            last=text,
            silent=int(number[node]),
            people=int(people[node]),
            share=int(number[node]) / len(long) if len(long) else 0.0,
            rate=int(number[node]) / int(people[node]),
            median_seconds=float(median[node]) if number[node] else None,
        )
        for node, text in enumerate(texts)
        if people[node]
    ]
    return sorted(found, key=lambda row: (-row.silent, -row.people, row.last.encode()))
