"""Bounds of scores by recency, frequency and monetary value: from the warehouse, or from the events of a dry run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pathline.errors import UserError
from pathline.simulation.views import views
from processors.segments.gauges import end
from processors.segments.measures import amount
from schemas.definitions.model import AnyOf, Bounds, EventRule, Measure, Measured, Project
from schemas.definitions.scores import BEST, fitted
from schemas.records import Event
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import orders
from sinks.clickhouse.paths.filters import Filters


@dataclass(slots=True)
class Orders:
    """Of everybody who bought: when last (milliseconds since 1970 UTC), how often, for how much."""

    last: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)

    def bounds(self, now: int) -> Bounds:
        """What divides these people into fifths. Raises UserError when they are too few."""
        if len(self.last) < BEST:
            raise UserError(f"scores need at least {BEST} people who bought, there are {len(self.last)}")
        return fitted(self.last, self.counts, self.sums, now)


def of_warehouse(warehouse: Warehouse, project: Project, now: int) -> Orders:
    """Orders in the warehouse up to now, by the rules of `events.yaml`. Raises BadQuestion."""
    by = project.scoring
    rules = dict(project.events)
    for name in by.events:
        rules[name] = replace(rules.get(name, EventRule(name)), revenue=by.of)
    since = None if by.window.far is None else now - by.window.far + 1
    asked = orders.Asked(by.events, rules, project.currency)
    found = orders.conversions(warehouse, asked, Filters(since, now + 1))
    (row,) = warehouse.rows(
        "SELECT groupArray(last) AS last, groupArray(count) AS counts, groupArray(sum) AS sums FROM (SELECT max(at) AS"
        f" last, count() AS count, sum(ifNull(amount, 0)) AS sum FROM {found.sql} GROUP BY person_id)",
        found.parameters,
    )
    return Orders(row["last"], row["counts"], row["sums"])


def of_events(project: Project, events: Iterable[Event], until: int) -> Orders:
    """Orders in recorded events (in order of time) up to an instant, by the segments stage itself."""
    by = project.scoring
    count, total = Measure("count", by.events, window=by.window), Measure("sum", by.events, by.of, window=by.window)
    last = Measure("last", by.events, window=by.window)
    asking = AnyOf(tuple(Measured(measure) for measure in (count, last, total)))
    found = Orders()
    for _, view in views(project, asking, events, until):
        at, _ = amount(last, view.live(last), until, lambda gauge: end(gauge)[0])
        if at is not None:
            found.last.append(at)
            found.counts.append(amount(count, view.live(count), until, lambda gauge: gauge.value or 0)[0])
            found.sums.append(amount(total, view.live(total), until, lambda gauge: gauge.value or 0)[0])
    return found
