"""Drop-off: what people did last before they fell silent."""

from __future__ import annotations

from dataclasses import dataclass

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.touches import RANK, Nodes, nodes


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
    source = nodes(warehouse, asked, filters)
    rows = warehouse.rows(
        _SQL.format(source=source.sql, rank=RANK), source.parameters | {"now": until, "silence": silence}
    )
    silent = sum(row["silent"] for row in rows)
    return [
        Silence(
            last=row["node"],
            silent=row["silent"],
            people=row["people"],
            share=row["silent"] / silent if silent else 0.0,
            rate=row["silent"] / row["people"],
            median_seconds=row["median"] if row["silent"] else None,
        )
        for row in rows
    ]


_SQL = """
SELECT node, countIf(gone) AS silent, count() AS people,
       quantileExactInclusiveIf(0.5)(({{now:Int64}} - last_at) / 1000, gone) AS median
FROM
(
    SELECT person_id, last_at, arrayJoin(places) AS node,
           node = last AND last_at <= {{now:Int64}} - {{silence:Int64}} AS gone
    FROM
    (
        SELECT person_id, groupUniqArray(node) AS places, argMax(node, rank) AS last, max(at) AS last_at
        FROM (SELECT person_id, at, node, {rank} AS rank FROM {source})
        GROUP BY person_id
    )
)
GROUP BY node
ORDER BY silent DESC, people DESC, node
"""
