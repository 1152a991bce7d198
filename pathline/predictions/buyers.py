"""Everybody who bought, as predictions see them: from the warehouse, or from the events of a dry run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pathline.simulation.views import views
from processors.segments.gauges import Orders
from schemas.definitions.model import EventRule, Measure, Prediction, Predicts, Project
from schemas.records import Event
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.orders import Asked, conversions
from sinks.clickhouse.paths.touches import Source

#: So many people are looked at, always the same ones: more would not change in their third digit what is fitted.
MOST = 200_000
_DAY_MS = 86_400_000

_BUYERS = f"""
SELECT
    groupArray(person_id) AS people, groupArray(first) AS firsts, groupArray(last) AS lasts, groupArray(days) AS days,
    groupArray(valued) AS valued, groupArray(worth) AS worths
FROM
(
    SELECT
        toString(person_id) AS person_id, min(at) AS first, max(at) AS last, uniqExact(intDiv(at, {_DAY_MS})) AS days,
        uniqExactIf(intDiv(at, {_DAY_MS}), amount IS NOT NULL) AS valued, sum(ifNull(amount, 0)) AS worth
    FROM {{orders}} GROUP BY person_id ORDER BY cityHash64(person_id) LIMIT {MOST}
)
"""
_SPENT = """
SELECT groupArray(person_id) AS people, groupArray(worth) AS worths
FROM (SELECT toString(person_id) AS person_id, sum(ifNull(amount, 0)) AS worth FROM {orders} GROUP BY person_id)
"""


def of_warehouse(warehouse: Warehouse, project: Project, now: int) -> dict[str, Orders]:
    """What people bought up to an instant, by the rules of `events.yaml`. Raises BadQuestion."""
    found = _orders(warehouse, project, Filters(until=now + 1))
    (row,) = warehouse.rows(_BUYERS.format(orders=found.sql), found.parameters)
    columns = ("firsts", "lasts", "days", "valued", "worths")
    return dict(zip(row["people"], map(Orders, *(row[name] for name in columns)), strict=True))


def spent(warehouse: Warehouse, project: Project, after: int, upto: int) -> dict[str, float]:
    """What those spent who bought after one instant and up to another. Raises BadQuestion."""
    found = _orders(warehouse, project, Filters(after + 1, upto + 1))
    (row,) = warehouse.rows(_SPENT.format(orders=found.sql), found.parameters)
    return dict(zip(row["people"], row["worths"], strict=True))


def of_events(project: Project, events: Iterable[Event], until: int) -> dict[str, Orders]:
    """What people bought in recorded events (in order of time) up to an instant, by the segments stage itself."""
    by = project.predicting
    asking = Prediction("purchase", None, Measure("orders", by.events, by.of))
    seen = views(project, Predicts(asking), events, until)
    bought = ((key, view.orders(asking, until)[0]) for key, view in seen)
    return {key: found for key, found in bought if found is not None}


def _orders(warehouse: Warehouse, project: Project, filters: Filters) -> Source:
    by = project.predicting
    rules = dict(project.events)
    for name in by.events:
        rules[name] = replace(rules.get(name, EventRule(name)), revenue=by.of)
    return conversions(warehouse, Asked(by.events, rules, project.currency), filters)
