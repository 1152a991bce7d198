"""Orders: each once, what was taken back taken off, in one currency; against going through all events one by one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions import parse
from schemas.definitions.expressions import compile as cel
from schemas.definitions.model import EventRule
from schemas.records import Event
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.files import load_text
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.orders import Asked, asked_of, conversions, unknown
from tests.examples import few
from tests.sinks.made import DAY, HOUR, T0, event, fill, update

BUY, REFUND, CANCEL = "Order Completed", "Order Refunded", "Order Cancelled"
RULE = EventRule(BUY, "properties.order.id", "properties.paid", (REFUND, CANCEL))
ORDERS = Asked((BUY,), {BUY: RULE}, "EUR")


def told(warehouse: Warehouse, asked: Asked = ORDERS, filters: Filters | None = None) -> list[tuple[int, float | None]]:
    source = conversions(warehouse, asked, filters or Filters())
    rows = warehouse.rows(f"SELECT at, revenue FROM {source.sql} ORDER BY at, id", source.parameters)
    return [((row["at"] - T0) // HOUR, row["revenue"]) for row in rows]


def order(hours: int, id: Any, name: str = BUY, **properties: Any) -> Event:
    shown = {"order": {"id": id}, **properties} if id is not None else properties
    return event(name, T0 + hours * HOUR, id=f"{hours}/{id}/{name}/{properties}", properties=shown)


def put(warehouse: Warehouse, *events: Event) -> None:
    fill(warehouse, map(update, events))


def test_an_order_that_is_reported_again_counts_once(warehouse: Warehouse) -> None:
    put(warehouse, order(1, "7"), order(2, 7, paid=5), order(3, 7.0, paid=9), order(4, "8", total=3))
    put(warehouse, order(5, None, paid=1), order(6, None, paid=1))
    assert told(warehouse) == [(1, 5), (4, 3), (5, 1), (6, 1)]
    # of no rule each event is one
    assert len(told(warehouse, Asked((BUY,)))) == 6
    # the second report makes no order of the time after the first
    assert told(warehouse, filters=Filters(T0 + 2 * HOUR, T0 + 5 * HOUR)) == [(4, 3)]


def test_an_amount_is_a_finite_number(warehouse: Warehouse) -> None:
    put(warehouse, *(order(n, n, paid=paid) for n, paid in enumerate(["nan", "inf", "-Infinity", "1e400", "5.5"])))
    # one that names another amount has that
    put(warehouse, order(5, 5, paid="NaN", total=3), order(6, 4, REFUND, paid="inf", total=1))
    assert told(warehouse) == [(0, None), (1, None), (2, None), (3, None), (4, 4.5), (5, 3)]


def test_what_is_taken_back_is_taken_off(warehouse: Warehouse) -> None:
    put(
        warehouse, order(1, 1, paid=10), order(2, 2, paid=10), order(3, 3, paid=10), order(4, 4, paid="10"), order(5, 5)
    )
    put(warehouse, order(6, 1, REFUND, paid=-3), order(7, 1, REFUND, total=2), order(8, 2, REFUND, paid=10))
    put(warehouse, order(9, 3, CANCEL), order(10, 6, REFUND, paid=1), order(11, None, REFUND, paid=1))
    assert told(warehouse) == [(1, 5), (4, 10), (5, None)]
    # as it was known then; what was returned is no purchase that an expression is asked of
    assert told(warehouse, filters=Filters(until=T0 + 8 * HOUR)) == [(1, 5), (2, 10), (3, 10), (4, 10), (5, None)]
    dear = Filters(where=cel("event.properties.paid > 9.0"))
    assert told(warehouse, filters=dear) == [(1, 5)]


def test_revenue_is_told_in_one_currency_and_unknown_ones_apart(warehouse: Warehouse) -> None:
    load_text(warehouse, "day,currency,rate\n2026-03-02,USD,0.5\n", "rates.csv")
    put(
        warehouse, order(1, 1, paid=8, currency="usd"), order(2, 2, paid=8, currency="CHF"), order(3, 3, currency="CHF")
    )
    put(warehouse, order(4, 2, REFUND, paid=3, currency="CHF"), order(5, 4, paid=2, currency="EUR"))
    assert told(warehouse) == [(1, 4), (2, None), (3, None), (5, 2)]
    assert unknown(warehouse, ORDERS, Filters()) == {"CHF": 5}


def test_conversions_are_what_events_yaml_gives_a_revenue() -> None:
    def asked(events: str) -> tuple[str, ...]:
        return asked_of(parse({"project.yaml": "name: x\n", "events.yaml": events})).names

    assert asked("A: {revenue: properties.x}\nB: {same: properties.id}\nC: {undo: D}") == ("A", "C")
    assert asked("") == asked_of(None).names == (BUY,)
    assert asked_of(None, ["Booked"]).names == ("Booked",)


HAPPENED = st.tuples(
    st.integers(0, 6),
    st.sampled_from([BUY, BUY, REFUND, CANCEL, "Other"]),
    st.sampled_from([None, 1, "1", 2]),
    st.sampled_from([None, 0, 3, 5, -2]),
    st.sampled_from(["user_id:a", "user_id:b"]),
    st.sampled_from(["paid", "revenue", "total"]),
)


@given(happened=st.lists(HAPPENED, max_size=14), since=st.integers(0, 4), days=st.integers(1, 6))
@few(12, but=[HealthCheck.function_scoped_fixture])
def test_orders_are_those_found_one_by_one(
    engine: Warehouse, happened: list[tuple[int, str, Any, Any, str, str]], since: int, days: int
) -> None:
    engine.command("TRUNCATE TABLE pathline.events_raw")
    events = []
    for number, (day, name, id, amount, who, where) in enumerate(happened):
        properties = {**({} if id is None else {"order": {"id": id}}), **({} if amount is None else {where: amount})}
        events.append(event(name, T0 + day * DAY, id=f"m{number}", who=who, properties=properties))
    fill(engine, map(update, events))
    groups: dict[Any, list[tuple[int, str, str, Any]]] = defaultdict(list)
    for (day, name, id, amount, who, _), made in zip(happened, events, strict=True):
        if name != "Other" and day < since + days and (id is not None or name == BUY):
            groups[who, made.event_id if id is None else str(id)].append((day, made.event_id, name, amount))
    expected = []
    for reports in groups.values():
        bought = sorted(report for report in reports if report[2] == BUY)
        undone = [report[3] for report in reports if report[2] != BUY]
        worth = next((amount for *_, amount in bought if amount is not None), None)
        if not bought or bought[0][0] < since:
            continue
        if undone and (worth is None or None in undone or sum(map(abs, undone)) >= worth):
            continue
        expected.append((bought[0][0] * 24, None if worth is None else worth - sum(map(abs, undone))))
    found = told(engine, filters=Filters(T0 + since * DAY, T0 + (since + days) * DAY))
    assert sorted(found, key=str) == sorted(expected, key=str)
