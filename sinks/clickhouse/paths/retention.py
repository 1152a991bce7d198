"""Retention: who of a cohort comes back in which period."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.cohorts import Cohorts, columns, label
from sinks.clickhouse.paths.filters import Filters, on_events


@dataclass(frozen=True, slots=True)
class Retained:
    """`people` of the cohort could come back in the period, `returned` did; `rate` is from 0 to 1."""

    cohort: str
    period: int
    people: int
    returned: int

    @property
    def rate(self) -> float:
        return self.returned / self.people


def retention(warehouse: Warehouse, cohorts: Cohorts, returning: str, filters: Filters) -> list[Retained]:
    """Rows by cohort and period. To return is an event of the name `returning`, any if that is empty, at the instant of
    the start or later. Raises BadQuestion."""
    cohorts.check()
    events = on_events(warehouse, filters)
    returns = "name = {returning:String}" if returning else "true"
    rows = warehouse.rows(
        _SQL.format(columns=columns(cohorts), events=events.sql, returns=returns),
        events.parameters | {"start": cohorts.start, "returning": returning, "most": cohorts.most},
    )
    newest = max((row["newest"] for row in rows), default=0)
    people: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    returned: dict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        name = label(cohorts, row["began"], row["place"])
        if row["period"] >= 0:
            returned[name, row["period"]] += row["people"]
            continue
        for period in range(min(newest - row["began"], cohorts.most - 1) + 1):
            people[name][period] += row["people"]
    return [
        Retained(name, period, count, returned[name, period])
        for name, periods in sorted(people.items())
        for period, count in sorted(periods.items())
    ]


# period -1 stands for having begun
_SQL = """
SELECT began, place, period, count() AS people, max(last) AS newest
FROM
(
    SELECT
        minIf(number, started) AS began, argMinIf(there, first, started) AS place,
        minIf(first_at, started) AS since, max(number) AS last,
        arrayFilter(seen -> seen.2 >= since AND seen.1 - began < {{most:Int32}},
                    groupArrayIf((number, newest_return), returned)) AS back,
        arrayJoin(arrayPushFront(arrayMap(seen -> seen.1 - began, back), -1)) AS period
    FROM
    (
        SELECT
            person_id, number, minIf(rank, begins) AS first, argMinIf(here, rank, begins) AS there,
            minIf(at, begins) AS first_at, countIf(begins) > 0 AS started,
            maxIf(at, {returns}) AS newest_return, countIf({returns}) > 0 AS returned
        FROM (SELECT {columns}, name FROM pathline.events WHERE {events})
        GROUP BY person_id, number
    )
    GROUP BY person_id
    HAVING max(started)
)
GROUP BY began, place, period
"""
