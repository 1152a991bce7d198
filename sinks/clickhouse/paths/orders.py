"""Conversions and their revenue: each order once, what was taken back taken off, in the project's currency.

By `events.yaml`: events of a person with the same `same` value are one order, at the time of the first; later ones fill
in an amount that was missing. An `undo` event with that value lowers the revenue by its amount, and removes the order
when nothing is left, or when it or the order names no amount. The amount is at `revenue`, else `properties.revenue`,
else `properties.total`; its currency is `properties.currency`, converted at the rate of the day of the order.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.costs import RATES
from sinks.clickhouse.paths.filters import Filters, apart, on_events, quoted
from sinks.clickhouse.paths.touches import KEY, Source

if TYPE_CHECKING:
    from schemas.definitions.model import EventRule, Project

#: what counts as a conversion in a project whose events.yaml names no revenue
USUAL = "Order Completed"
_ROOTS = frozenset({"properties", "traits", "context"})
#: amounts closer than this are equal: they are sums of decimal fractions
_PENNY = 1e-6


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events are conversions, what `events.yaml` says of them, and the currency they are told in."""

    names: tuple[str, ...] = (USUAL,)
    rules: Mapping[str, EventRule] = field(default_factory=dict)
    currency: str = "USD"


def asked_of(project: Project | None, names: Iterable[str] = ()) -> Asked:
    """Conversions of a project: those named, else the events whose revenue or undo `events.yaml` tells."""
    if project is None:
        return Asked(tuple(names) or (USUAL,))
    told = [rule.name for rule in project.events.values() if rule.revenue or rule.undo]
    return Asked(tuple(names) or tuple(told) or (USUAL,), project.events, project.currency)


def conversions(warehouse: Warehouse, asked: Asked, filters: Filters) -> Source:
    """A subquery with person_id, at (milliseconds), id, node (name of the event), revenue (NULL where there is none or
    its currency has no rate) and, where it has none, `unknown`: the currency, with `amount` in it. Raises BadQuestion.
    """
    # an order that was reported before the time asked about is none of that time
    orders = apart(on_events(warehouse, dataclasses.replace(filters, since=None)), "orders")
    undos = apart(on_events(warehouse, dataclasses.replace(filters, since=None, where=None)), "undos")
    parameters = orders.parameters | undos.parameters | {"conversions": list(asked.names), "base": asked.currency}
    rules = [asked.rules[name] for name in asked.names if name in asked.rules]
    same = _by_name([(rule.name, text_at(rule.same)) for rule in rules if rule.same], "''")
    worth = _by_name([(rule.name, _amount(rule.revenue)) for rule in rules if rule.revenue], "NULL")
    # materialize: a constant can be folded in one place and not in another, which the engine refuses
    parts = [
        f"SELECT {KEY}, toString(name) AS node, {same} AS key, coalesce({worth}, revenue) AS amount,"
        f" materialize(false) AS undo, upper(JSONExtractString(properties, 'currency')) AS money FROM pathline.events"
        f" WHERE {orders.sql} AND has({{conversions:Array(String)}}, name)"
    ]
    for number, rule in enumerate(rule for rule in rules if rule.same and rule.undo):
        parameters[f"undo{number}"] = list(rule.undo)
        amount = f"coalesce({_amount(rule.revenue) if rule.revenue else 'NULL'}, revenue)"
        parts.append(
            f"SELECT {KEY}, {quoted(rule.name)}, {text_at(rule.same)} AS key, abs({amount}), materialize(true), ''"
            f" FROM pathline.events WHERE {undos.sql} AND has({{undo{number}:Array(String)}}, name) AND key != ''"
        )
    since = "1"
    if filters.since is not None:
        since, parameters["orders_since"] = "at >= {orders_since:Int64}", filters.since
    return Source(f"({_ORDERS.format(parts=' UNION ALL '.join(parts), rates=RATES, since=since)})", parameters)


def unknown(warehouse: Warehouse, asked: Asked, filters: Filters) -> Counter[str]:
    """Revenue that no rate tells the worth of, by its currency. Raises BadQuestion."""
    # asked first, because orders take much longer and most projects have one currency
    foreign = warehouse.rows(
        "SELECT DISTINCT upper(JSONExtractString(properties, 'currency')) AS currency FROM pathline.events_raw"
        " WHERE name IN {conversions:Array(String)} AND currency NOT IN ('', {base:String})"
        " AND currency NOT IN (SELECT currency FROM pathline.rates WHERE rate > 0)",
        {"conversions": list(asked.names), "base": asked.currency},
    )
    if not foreign:
        return Counter()
    orders = conversions(warehouse, asked, filters)
    # sorted, because a sum of fractions depends on their order
    rows = warehouse.rows(
        f"SELECT unknown, arraySum(arraySort(groupArray(amount))) AS sum FROM {orders.sql} WHERE unknown != ''"
        " GROUP BY unknown ORDER BY unknown",
        orders.parameters,
    )
    return Counter({row["unknown"]: row["sum"] for row in rows})


_ORDERS = f"""
SELECT person_id, at, id, node, if(unknown = '', left * if(rates.rate > 0, rates.rate, 1), NULL) AS revenue,
       if(left IS NULL OR x.currency IN ('', {{{{base:String}}}}) OR rates.rate > 0, '', x.currency) AS unknown,
       left AS amount
FROM
(
    SELECT
        person_id, node, minIf(place, NOT undo) AS first, first.1 AS at, first.2 AS id,
        argMinIf(amount, place, NOT undo AND amount IS NOT NULL) AS worth,
        argMinIf(money, place, NOT undo AND money != '') AS currency,
        toDate32(fromUnixTimestamp64Milli(first.1, 'UTC')) AS day,
        worth - sumIf(ifNull(amount, 0), undo) AS left
    FROM (SELECT person_id, (at, id) AS place, node, amount, undo, money,
                 if(key = '', concat('#', toString(id)), concat('=', key)) AS order FROM ({{parts}}))
    GROUP BY person_id, node, order
    HAVING countIf(NOT undo) > 0
        AND (countIf(undo) = 0 OR (countIf(undo AND amount IS NULL) = 0 AND left > {_PENNY}))
) AS x
{{rates}}
WHERE {{since}}
"""


def _by_name(values: list[tuple[str, str]], otherwise: str) -> str:
    parts = [part for name, sql in values for part in (f"name = {quoted(name)}", sql)]
    return f"multiIf({', '.join([*parts, otherwise])})" if parts else otherwise


def text_at(path: str | None) -> str:
    """SQL for the text or number at a path of an event; 7 and "7" are the same, anything else is empty."""
    column, inside = place_of(path or "")
    if not inside:
        return f"toString({column})"
    kind = f"JSONType({column}, {inside})"
    return (
        f"multiIf({kind} = 'String', JSONExtractString({column}, {inside}),"
        f" {kind} IN ('Int64', 'UInt64'), JSONExtractRaw({column}, {inside}),"
        f" {kind} = 'Double', toString(JSONExtractFloat({column}, {inside})), '')"
    )


def _amount(path: str | None) -> str:
    """SQL for the number at a path of an event, numbers in text too; NULL where there is none, also where a text says
    "nan" or "inf": one such order would make every sum of it."""
    return f"arrayMap(n -> if(isFinite(n), n, NULL), [toFloat64OrNull({text_at(path)})])[1]"


def place_of(path: str) -> tuple[str, str]:
    """The column a path begins in, and the rest of it as arguments of JSON functions."""
    root, *parts = path.removeprefix("event.").split(".")
    if root not in _ROOTS:
        return root, ""
    # lists count from 1 there
    return root, ", ".join(str(int(part) + 1) if part.isdecimal() else quoted(part) for part in parts)
