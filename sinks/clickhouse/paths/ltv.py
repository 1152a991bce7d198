"""Lifetime value: what a cohort has brought up to each period of its life."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import orders
from sinks.clickhouse.paths.cohorts import NUMBERS, Cohorts, columns, label
from sinks.clickhouse.paths.filters import Filters, on_events


@dataclass(frozen=True, slots=True)
class Worth:
    """Up to the end of the period: `people` of the cohort who have had it, how many of them bought, their orders and
    revenue in the project's currency."""

    cohort: str
    period: int
    people: int
    buyers: int
    orders: int
    revenue: float

    @property
    def per_person(self) -> float:
        return self.revenue / self.people


def ltv(warehouse: Warehouse, cohorts: Cohorts, asked: orders.Asked, filters: Filters) -> list[Worth]:
    """Rows by cohort and period; amounts grow from period to period. Orders before the start count to period 0.

    People of a cohort by place who have not had a period yet count in none of its columns. Raises BadQuestion.
    """
    cohorts.check()
    events = on_events(warehouse, filters)
    bought = orders.conversions(warehouse, asked, filters)
    number = NUMBERS[cohorts.period].replace("occurred_at", "fromUnixTimestamp64Milli(at, 'UTC')")
    rows = warehouse.rows(
        _SQL.format(columns=columns(cohorts), events=events.sql, orders=bought.sql, number=number),
        events.parameters | bought.parameters | {"start": cohorts.start},
    )
    newest = max((row["newest"] for row in rows), default=0)
    totals: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for row in rows:
        name = label(cohorts, row["began"], row["place"])
        had = min(newest - row["began"], cohorts.most - 1)
        begins = max(row["period"], 0)
        for period in range(begins, had + 1):
            total = totals[name, period]
            for index, column in enumerate(("people", "buyers", "orders", "revenue")):
                total[index] += row[column]
    return [
        Worth(name, period, int(people), int(buyers), int(count), revenue)
        for (name, period), (people, buyers, count, revenue) in sorted(totals.items())
    ]


# a person counts in the period -1, an order in its own, a buyer in that of the first order
_SQL = """
SELECT began, place, item.1 AS period, sum(item.2) AS people, sum(item.3) AS buyers, sum(item.4) AS orders,
       arraySum(arraySort(groupArray(item.5))) AS revenue, max(last) AS newest
FROM
(
    SELECT
        s.began AS began, s.place AS place, s.last AS last,
        arrayMap(number -> greatest(number - s.began, 0), o.numbers) AS periods,
        arrayJoin(arrayConcat(
            [(-1, 1, 0, 0, 0.)],
            if(empty(periods), [], [(arrayMin(periods), 0, 1, 0, 0.)]),
            arrayMap((period, revenue) -> (period, 0, 0, 1, revenue), periods, o.revenues))) AS item
    FROM
    (
        SELECT person_id, minIf(number, begins) AS began, argMinIf(here, rank, begins) AS place, max(number) AS last
        FROM (SELECT {columns} FROM pathline.events WHERE {events})
        GROUP BY person_id
        HAVING countIf(begins) > 0
    ) AS s
    LEFT JOIN
    (
        SELECT person_id, groupArray({number}) AS numbers, groupArray(ifNull(revenue, 0)) AS revenues
        FROM {orders}
        GROUP BY person_id
    ) AS o ON s.person_id = o.person_id
)
GROUP BY began, place, period
"""
