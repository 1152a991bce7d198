"""Transitions: how people go from one channel or event to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import touches
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.touches import TouchRules

START, END = "(start)", "(end)"

_SQL = """
SELECT edge.1 AS origin, edge.2 AS target, count() AS count, uniqExact(person_id) AS people,
       quantileExactInclusive(0.5)(edge.3) AS median
FROM
(
    SELECT
        person_id, arraySort(groupArray((at, id, node))) AS path, path.3 AS nodes, path.1 AS times,
        arrayZip(arrayPushFront(nodes, {{start:String}}), arrayPushBack(nodes, {{end:String}}),
                 arrayMap((i) -> if(i = 1 OR i > length(times), NULL, (times[i] - times[i - 1]) / 1000),
                          range(1, length(times) + 2))) AS edges
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


def transitions(warehouse: Warehouse, by: str, filters: Filters, rules: TouchRules) -> list[Transition]:
    """Steps of all paths, the most frequent first; a path is all that a person did, in order of time, ties by event id.

    `by` is channel (touches) or event (every event). Raises BadQuestion.
    """
    if by == "channel":
        source = touches.by_channel(warehouse, filters, rules)
    elif by == "event":
        source = touches.by_event(warehouse, filters)
    else:
        raise BadQuestion(f"--by is channel or event, not {by}")
    rows = warehouse.rows(_SQL.format(source=source.sql), source.parameters | {"start": START, "end": END})
    return [
        Transition(row["origin"], row["target"], row["count"], row["people"], _number(row["median"])) for row in rows
    ]


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
