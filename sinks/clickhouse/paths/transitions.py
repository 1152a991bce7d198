"""Transitions: how people go from one channel, event, campaign or property to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.touches import END, START, Nodes, nodes

_SQL = """
SELECT edge.1 AS origin, edge.2 AS target, count() AS count, uniqExact(person_id) AS people,
       quantileExactInclusive(0.5)(edge.3) AS median
FROM
(
    SELECT
        person_id, arraySort(groupArray((at, id, node))) AS path, path.3 AS nodes, path.1 AS times,
        arrayZip(arrayPushFront(nodes, {{start:String}}), arrayPushBack(nodes, {{end:String}}),
                 arrayPushBack(arrayMap((since, place) -> if(place = 1, NULL, since / 1000),
                                        arrayDifference(times), arrayEnumerate(times)), NULL)) AS edges
    FROM {source}
    GROUP BY person_id
)
ARRAY JOIN edges AS edge
GROUP BY origin, target
ORDER BY count DESC, origin, target
"""


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
    source = nodes(warehouse, asked, filters)
    rows = warehouse.rows(_SQL.format(source=source.sql), source.parameters | {"start": START, "end": END})
    return [
        Transition(row["origin"], row["target"], row["count"], row["people"], number(row["median"])) for row in rows
    ]


def number(value: float | None) -> float | None:
    """A result of SQL; NaN is the median of nothing."""
    return None if value is None or math.isnan(value) else value
