"""Sums and their relatives, first and last, as conditions and as computed traits: values, edges, exact instants."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY

from processors.segments.measures import kept
from processors.segments.model import Reading
from schemas.definitions.expressions import compile
from schemas.definitions.model import Condition, EventRule, Function, Measure, Measured, Not, TraitIs, Window
from tests.segments.lab import D, H, Line, event, identify, project

T = 1_700_000_000_000
RULE = EventRule("Order", same="properties.order_id", revenue="properties.total", undo=("Refund",))
TOTAL = "properties.total"


def line(traits: dict[str, Measure] | None = None, **segments: Condition) -> Line:
    return Line(project(segments, [RULE], traits=traits, timezone="Europe/Kyiv"))


def bought(at: int, total: Any = None, order_id: str | None = None, name: str = "Order", **more: Any) -> Any:
    told = {"total": total, "order_id": order_id, **more}
    return event(name, at, properties={key: value for key, value in told.items() if value is not None})


def over(function: Function, of: str | None = TOTAL, far: int | None = None, **more: Any) -> Measure:
    return Measure(function, ("Order",), of, window=Window(far=far), **more)


def test_a_sum_within_a_window_is_left_when_the_first_order_it_needs_leaves() -> None:
    shop = line(big=Measured(over("sum", far=90 * D), (("at_least", 500),)))
    shop.happen(bought(T, 200), bought(T + D, 299.9), bought(T + 2 * D, 0.1))
    shop.until(T + 100 * D)
    assert shop.story("big") == [(T + 2 * D, "entered", "event"), (T + 90 * D, "left", "timer")]
    reasons = [change.reason for _, change in shop.changes]
    assert reasons[0] == "Order; sum properties.total of Order: 500 within 90d"
    assert reasons[1] == "sum properties.total of Order: 300 within 90d"


def test_a_sum_is_of_decimal_fractions_as_they_are_written() -> None:
    shop = line({"spent": over("sum")}, exact=Measured(over("sum"), (("equals", 0.3),)))
    shop.happen(bought(T, 0.1), bought(T + 1, 0.2))
    assert shop.story("exact") == [(T + 1, "entered", "event")]
    assert shop.profile()["traits"] == {"spent": 0.3}


def test_of_nothing_a_sum_is_0_and_all_else_holds_for_nothing() -> None:
    functions: list[Function] = ["average", "min", "max", "most_frequent", "first", "last"]
    nothing = {name: Measured(over(name), (("not_equals", 7),)) for name in functions}
    shop = line(
        few=Measured(over("sum"), (("at_most", 0),)), none=Measured(over("distinct"), (("equals", 0),)), **nothing
    )
    shop.happen(event("View", T))
    assert {change.segment for _, change in shop.changes} == {"few", "none"}


def test_what_is_no_number_is_ignored_and_counted() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("pathline_segments_ignored_values_total") or 0

    shop, before = line({"spent": over("sum"), "mean": over("average"), "least": over("min")}), counted()
    shop.happen(bought(T, 10), bought(T + 1, "20"), bought(T + 2, True), bought(T + 3), bought(T + 4, [5]))
    assert shop.profile()["traits"] == {"spent": 10, "mean": 10, "least": 10}
    assert counted() == before + 9


def test_a_refund_is_taken_off_the_sum_from_its_time_on_and_a_full_one_takes_the_order_out() -> None:
    traits = {"spent": over("sum"), "mean": over("average"), "orders": over("count", None), "last": over("last")}
    shop = line(traits, big=Measured(over("sum"), (("at_least", 100),)))
    shop.happen(bought(T, 50.5, "a"), bought(T + 1, 49.5, "b"), bought(T + 2, 49.5, "b"))
    assert shop.profile()["traits"] == {"spent": 100, "mean": 50, "orders": 2, "last": 49.5}
    shop.happen(bought(T + H, 10.1, "a", "Refund"))
    assert shop.profile()["traits"] == {"spent": 89.9, "mean": 44.95, "orders": 2, "last": 49.5}
    shop.happen(bought(T + 2 * H, 40.4, "a", "Refund"))
    assert shop.profile()["traits"] == {"spent": 49.5, "mean": 49.5, "orders": 1, "last": 49.5}
    assert shop.story("big") == [(T + 1, "entered", "event"), (T + H, "left", "event")]


def test_a_refund_from_the_future_lowers_the_sum_when_its_time_comes() -> None:
    shop = line({"spent": over("sum")}, big=Measured(over("sum"), (("at_least", 50),)))
    refund = event("Refund", T + H, received_at=T + 1, properties={"total": 10, "order_id": "a"})
    shop.happen(bought(T, 50, "a"), refund)
    shop.until(T + D)
    assert shop.story("big") == [(T, "entered", "event"), (T + H, "left", "timer")]
    assert shop.profile()["traits"] == {"spent": 40}


def test_the_lines_of_an_order_are_measured_each_on_its_own() -> None:
    lines = {"each": "properties.products"}
    traits = {
        "tea": over("sum", "item.price", where=compile("item.kind == 'tea'"), **lines),
        "kinds": over("distinct", "item.kind", **lines),
        "favourite": over("most_frequent", "item.kind", **lines),
        "stores": over("most_frequent", "properties.store", **lines),
    }
    shop = line(traits)
    products = [{"kind": "tea", "price": 3}, {"kind": "cup", "price": 9}, {"kind": "tea", "price": 4}, "gift"]
    shop.happen(bought(T, order_id="a", products=products, store="Lviv"))
    shop.happen(bought(T + 1, order_id="a", products=products[:1], store="till"))
    assert shop.profile()["traits"] == {"tea": 7, "kinds": 2, "favourite": "tea", "stores": "Lviv"}


def test_the_favourite_is_what_was_there_most_often_and_of_several_what_was_there_last() -> None:
    shop = line({"channel": Measure("most_frequent", ("View",), "channel", window=Window(far=10 * H))})
    shop.happen(*(event("View", T + n, channel=name) for n, name in enumerate(["web", "web", "app", "app", "web"])))
    assert shop.profile()["traits"] == {"channel": "web"}
    shop.happen(event("View", T + 5, channel="app"))
    assert shop.profile()["traits"] == {"channel": "app"}
    shop.until(T + 20 * H)
    assert shop.profile()["traits"] == {}
    told = [update.at for update in shop.updates if update.profile is not None and update.kind == "timer"]
    assert told == [T + 10 * H + 5], "the profile travels only when it changed"


def test_first_and_last_tell_their_date_or_a_property_of_theirs() -> None:
    traits = {
        "first_order": over("first", None),
        "last_order": over("last", None),
        "first_store": over("first", "properties.store"),
        "last_store": over("last", "properties.store"),
    }
    shop = line(traits)
    shop.happen(bought(T, store="Lviv"), bought(T + 1_000, store="Kyiv"))
    late = event("Order", T - 500, received_at=T + 2_000, properties={})
    shop.happen(late)
    assert shop.profile()["traits"] == {
        "first_order": "2023-11-14T22:13:19.500Z",
        "last_order": "2023-11-14T22:13:21Z",
        "last_store": "Kyiv",
    }


@pytest.mark.parametrize(
    ("tests", "when", "story"),
    [
        ((("within", 7 * D),), Window(), [(0, "entered", "event"), (7 * D, "left", "timer")]),
        ((("before", 7 * D),), Window(), [(7 * D, "entered", "timer")]),
        ((("after", 7 * D),), Window(), [(0, "entered", "event"), (7 * D, "left", "timer")]),
        ((), Window(2 * D, 5 * D), [(2 * D, "entered", "timer"), (5 * D, "left", "timer")]),
        ((), Window(since=T, until=T + 1), [(0, "entered", "event")]),
        ((), Window(until=T), []),
        ((("before", "2023-11-16"),), Window(), [(0, "entered", "event")]),
        ((("before", "2023-11-15"),), Window(), []),  # it is the 15th in Kyiv
        ((("after", "2023-11-14"),), Window(), [(0, "entered", "event")]),
        ((("within", 7 * D), ("equals", 5)), Window(), [(0, "entered", "event"), (7 * D, "left", "timer")]),
        ((("within", 7 * D), ("equals", 6)), Window(), []),
        ((("exists", False),), Window(), []),
    ],
)
def test_the_date_of_the_first_is_compared_to_the_millisecond(tests: Any, when: Window, story: Any) -> None:
    shop = line(new=Measured(over("first", TOTAL), tests, when))
    shop.happen(event("View", T - H), bought(T, 5), bought(T + H, 6))
    shop.until(T + 30 * D)
    assert shop.story("new") == [(T + at, change, cause) for at, change, cause in story]


def test_the_average_time_between_purchases_and_when_the_next_one_is_expected() -> None:
    each = {"each": "properties.products"}
    traits = {
        "every": over("interval", None),
        "next": over("next_expected", None),
        "every_of": over("interval", "item.kind", **each),
        "next_of": over("next_expected", "item.kind", **each),
    }
    shop = line(traits, due=TraitIs("next", "within", D))
    shop.happen(bought(T, products=[{"kind": "tea"}, {"kind": "tea"}]))
    assert shop.profile()["traits"] == {}
    shop.happen(bought(T + 10 * D, products=[{"kind": "tea"}, {"kind": "cup"}]), bought(T + 15 * D))
    assert shop.profile()["traits"] == {
        "every": 7.5,
        "next": "2023-12-07T10:13:20Z",
        "every_of": {"tea": 10},
        "next_of": {"tea": "2023-12-04T22:13:20Z"},
    }
    shop.until(T + 60 * D)
    assert shop.story("due")[-2:] == [(T + 21 * D + 12 * H, "entered", "timer"), (T + 23 * D + 12 * H, "left", "timer")]


def test_a_computed_trait_changes_to_the_instant_and_so_do_the_segments_that_ask_it() -> None:
    shop = line(
        {"spent": over("sum", far=10 * D)},
        vip=TraitIs("spent", "at_least", 100),
        cold=Not(TraitIs("spent", "exists", True)),
    )
    shop.happen(event("View", T - H), bought(T, 60), bought(T + D, 50))
    shop.until(T + 30 * D)
    assert shop.story("vip") == [(T + D, "entered", "event"), (T + 10 * D, "left", "timer")]
    assert shop.story("cold") == []
    told = [(update.at, update.kind) for update in shop.updates if update.profile is not None]
    assert told == [(T - H, "event"), (T, "event"), (T + D, "event"), (T + 10 * D, "timer"), (T + 11 * D, "timer")]
    assert shop.profile()["traits"] == {"spent": 0}


def test_what_is_told_under_the_name_of_a_computed_trait_does_not_count() -> None:
    shop = line({"spent": over("max")}, rich=TraitIs("spent", "at_least", 1000))
    shop.happen(identify(T, traits={"spent": 5000, "city": "Lviv"}), bought(T + 1, 7))
    assert shop.story("rich") == []
    assert shop.profile()["traits"] == {"spent": 7, "city": "Lviv"}


def test_nobody_opened_what_a_machine_opened() -> None:
    opens = Measure("count", ("Email Opened",))
    shop = line({"opens": opens})
    shop.happen(event("Email Opened", T, properties={"machine": True}), event("Email Opened", T + 1))
    assert shop.profile()["traits"] == {"opens": 1}


def test_of_an_extreme_only_what_may_become_it_is_kept() -> None:
    def left(function: Function, window: Window, now: int, *values: Any) -> list[Any]:
        readings = [Reading(T + n, n, value) for n, value in enumerate(values)]
        measure = Measure(function, ("Order",), TOTAL, window=window)
        return [reading.value for reading in kept(readings[:2], readings[2:], measure, now)]

    assert left("max", Window(), T + 9, 3, 9, 5, 1, 4) == [9, 5, 4]
    assert left("min", Window(), T + 9, 3, 9, 5, 1, 4) == [1, 4]
    assert left("max", Window(far=100), T + 101, 3, 9, 5, 1, 4) == [5, 4]
    assert left("max", Window(near=5, far=100), T + 8, 3, 9, 5, 1, 4) == [9, 5, 1, 4]
    assert left("last", Window(far=100), T + 9, 3, 9, 5) == [5]
    assert left("first", Window(), T + 9, 3, 9, 5) == [3]
    assert left("first", Window(far=100), T + 9, 3, 9, 5) == [3, 9, 5]
    assert left("distinct", Window(), T + 9, 3, 9, 3, 5, 9) == [3, 5, 9]
    assert left("sum", Window(far=100), T + 101, 3, 9, 5) == [5]


def test_the_same_reading_of_two_handoffs_counts_once() -> None:
    shop = line({"spent": over("sum"), "orders": over("count", None)})
    shop.happen(bought(T, 5), person="C", slot="anonymous_id:c#0")
    shop.happen(bought(T + 1, 7))
    shop.move("C", "P", {"anonymous_id:c#0": 2}, at=T + 2)
    assert shop.profile()["traits"] == {"spent": 12, "orders": 2}
    shop.move("P", "C", {"anonymous_id:c#0": 3}, at=T + 3, reason="split")
    assert (shop.profile("P")["traits"], shop.profile("C")["traits"]) == (
        {"spent": 7, "orders": 1},
        {"spent": 5, "orders": 1},
    )
