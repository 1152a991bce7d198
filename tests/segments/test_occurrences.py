"""One order, several reports: `same` and `undo` of events.yaml."""

from __future__ import annotations

from schemas.definitions.expressions import compile
from schemas.definitions.model import Did, EventRule, Window
from schemas.records import Event
from tests.segments.lab import D, H, Line, event, project

T = 1_700_000_000_000
RULE = EventRule("Order", same="properties.order_id", revenue="properties.total", undo=("Refund", "Cancel"))
COOKIE = "anonymous_id:c#0"


def order(at: int, source: str = "site", name: str = "Order", received_at: int | None = None, **more: object) -> Event:
    properties = {"order_id": "o1", **more}
    return event(name, at, source=source, properties=properties, received_at=received_at)


def line(**segments: Did) -> Line:
    return Line(project(segments, [RULE]))


def test_the_same_order_from_two_sources_is_one_also_with_a_number_as_its_name() -> None:
    shop = line(twice=Did(("Order",), at_least=2))
    shop.happen(order(T, order_id=7), order(T + H, "till", order_id="7"), order(T + 2 * H, "till", order_id="8"))
    assert shop.story("twice") == [(T + 2 * H, "entered", "event")]


def test_without_its_name_nothing_is_joined() -> None:
    shop = line(twice=Did(("Order",), at_least=2))
    shop.happen(event("Order", T), event("Order", T + 1))
    assert shop.story("twice") == [(T + 1, "entered", "event")]


def test_an_order_is_as_old_as_its_first_report_whichever_comes_first() -> None:
    shop = line(recent=Did(("Order",), window=Window(far=10 * H)))
    shop.happen(order(T + 5 * H, "till"), order(T, received_at=T + 6 * H))
    shop.until(T + D)
    assert shop.story("recent") == [(T + 5 * H, "entered", "event"), (T + 10 * H, "left", "timer")]


def test_a_report_long_after_the_window_is_still_the_same_order() -> None:
    shop = line(recent=Did(("Order",), window=Window(far=H)))
    shop.happen(order(T), order(T + 2 * H, order_id="o2"), order(T + 4 * H, "till"), order(T + 5 * H, "call"))
    shop.until(T + D)
    assert shop.story("recent") == [
        (T, "entered", "event"),
        (T + H, "left", "timer"),
        (T + 2 * H, "entered", "event"),
        (T + 3 * H, "left", "timer"),
    ]


def test_an_update_says_that_its_report_is_of_an_order_known_before_whichever_slot_told_it() -> None:
    shop = line(recent=Did(("Order",), window=Window(far=H)))
    shop.happen(order(T, name="Refund"), order(T + 1), order(T + 2, order_id="o2"))
    shop.happen(order(T + 9 * H, "till"), slot=COOKIE)
    shop.happen(order(T + 9 * H + 1, name="Cancel"), event("Order", T + 9 * H + 2))
    assert [u.repeated for u in shop.updates if u.kind == "event"] == [False, False, False, True, False, False]


def test_later_reports_fill_what_is_missing_and_change_nothing_else() -> None:
    shop = line(big=Did(("Order",), where=compile("event.properties.total > 20 && event.properties.store == 'Lviv'")))
    shop.happen(order(T, total=30), order(T + 1, "till", total=5, store="Lviv"), order(T + 2, "x", total=1, store="Q"))
    assert shop.story("big") == [(T + 1, "entered", "event")]


def test_refunds_take_it_back_when_nothing_is_left_also_from_another_slot_and_before_it() -> None:
    shop = line(buyer=Did(("Order",)))
    shop.happen(order(T, total=30.3))
    shop.happen(order(T + 1, name="Refund", total=10.1), order(T + 2, name="Refund", total=10.1))
    assert shop.story("buyer") == [(T, "entered", "event")]
    shop.happen(order(T + 3, name="Refund", total=10.1), person="C", slot=COOKIE)
    shop.move("C", "P", {COOKIE: 2}, at=T + 4)
    assert shop.story("buyer")[1:] == [(T + 4, "left", "merge")]
    shop.happen(order(T + 5, order_id="o2", name="Cancel"), order(T + 6, order_id="o2", total=9))
    assert len(shop.story("buyer")) == 2


def test_an_undo_from_the_future_takes_it_back_when_its_time_comes() -> None:
    shop = line(buyer=Did(("Order",)))
    shop.happen(order(T, total=30), order(T + H, name="Cancel", received_at=T + 1))
    shop.until(T + D)
    assert shop.story("buyer") == [(T, "entered", "event"), (T + H, "left", "timer")]


def test_two_slots_that_report_one_order_are_one_after_the_merge() -> None:
    shop = line(twice=Did(("Order",), at_least=2), once=Did(("Order",), at_least=1, at_most=1))
    shop.happen(order(T), person="C", slot=COOKIE)
    shop.happen(order(T + 1, "till"))
    shop.move("C", "P", {COOKIE: 2}, at=T + 2)
    assert shop.story("twice") == []
    assert shop.story("once") == [(T + 1, "entered", "event")]


def test_the_lines_of_an_order_count_each_on_its_own_and_once_however_many_systems_report_them() -> None:
    tea = Did(
        ("Order",), compile("item.kind == 'tea' && event.properties.store == 'Lviv'"), 2, each="properties.products"
    )
    shop = line(tea=tea)
    lines = [{"kind": "tea"}, {"kind": "cup"}, {"kind": "tea"}]
    shop.happen(order(T, order_id="o2", products=lines[:2], store="Lviv"), order(T + 1, products=lines[:1]))
    shop.happen(order(T + 2, "till", products=lines, store="Lviv"))
    assert shop.story("tea") == [(T + 2, "entered", "event")], "what the first report says is not overwritten"
    shop.happen(order(T + 3, name="Cancel"))
    assert shop.story("tea")[1:] == [(T + 3, "left", "event")]
    shop.happen(event("Order", T + 4, properties={"products": lines, "store": "Lviv"}))
    assert shop.story("tea")[2:] == [(T + 4, "entered", "event")]
    shop.happen(event("Order", T + 5, properties={"products": {"kind": "tea"}, "store": "Lviv"}))
