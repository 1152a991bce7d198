"""Events in order: `did_in_order`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.segments.model import Moment
from processors.segments.sequences import Taken, standing, trimmed
from schemas.definitions.expressions import compile
from schemas.definitions.model import Did, EventRule, InOrder, Window
from schemas.records import Event
from tests.segments.lab import D, H, Line, event, project

T = 1_700_000_000_000
COOKIE = "anonymous_id:c#0"
VIEW_ADD = (Did(("View",)), Did(("Add",)))


def line(*rules: EventRule, **segments: InOrder) -> Line:
    return Line(project(segments, rules))


def of(name: str, at: int, product: object = "p1", **more: object) -> Event:
    return event(name, at, properties={"product_id": product, **more})


def test_all_steps_lie_in_the_window_so_it_is_left_when_the_first_leaves_it() -> None:
    shop = line(keen=InOrder(VIEW_ADD, Window(far=D)))
    shop.happen(event("View", T), event("Add", T + 5 * H))
    shop.until(T + 9 * D)
    assert shop.story("keen") == [(T + 5 * H, "entered", "event"), (T + D, "left", "timer")]
    assert shop.changes[0][1].reason == "Add; View, then Add within 1d: yes"
    assert shop.changes[1][1].reason == "View, then Add within 1d: no"


def test_the_other_order_is_none() -> None:
    shop = line(keen=InOrder(VIEW_ADD))
    shop.happen(event("Add", T), event("View", T + 1))
    assert shop.story("keen") == []


def test_the_way_that_begins_last_counts_longest() -> None:
    shop = line(keen=InOrder(VIEW_ADD, Window(far=D)))
    shop.happen(event("View", T), event("View", T + 3 * H), event("Add", T + 5 * H), event("Add", T + 6 * H))
    shop.until(T + 9 * D)
    assert shop.story("keen") == [(T + 5 * H, "entered", "event"), (T + 3 * H + D, "left", "timer")]


def test_what_happens_at_one_instant_may_be_taken_in_any_order_but_each_event_once() -> None:
    shop = line(keen=InOrder(VIEW_ADD), twice=InOrder((Did(("Add",)), Did(("Add", "View")), Did(("Add",)))))
    shop.happen(event("Add", T), event("View", T))
    assert shop.story("keen") == [(T, "entered", "event")]
    assert shop.story("twice") == []
    shop.happen(event("Add", T, event_id="again", received_at=T + 1))
    assert shop.story("twice") == [(T + 1, "entered", "event")]


def test_the_same_value_in_all_steps() -> None:
    shop = line(keen=InOrder(VIEW_ADD, Window(far=D), same="properties.product_id"))
    shop.happen(of("View", T, 7), of("Add", T + 1, "8"), event("View", T + 2), event("Add", T + 3))
    assert shop.story("keen") == []
    shop.happen(of("View", T + 4, "8"), of("Add", T + H, "7"), of("Add", T + 2 * H, 8))
    shop.until(T + 9 * D)
    assert shop.story("keen") == [(T + H, "entered", "event"), (T + 4 + D, "left", "timer")]


def test_a_step_is_one_of_several_events_and_has_a_condition_of_its_own() -> None:
    dear = Did(("Add",), where=compile("event.properties.price > 10"))
    shop = line(keen=InOrder((Did(("View", "Search")), dear)))
    shop.happen(event("Search", T), of("Add", T + 1, price=5), of("Add", T + 2, price=15))
    assert shop.story("keen") == [(T + 2, "entered", "event")]


def test_a_late_first_step_makes_it_whole_and_a_too_late_one_does_not() -> None:
    shop = line(keen=InOrder(VIEW_ADD, Window(far=D)))
    shop.happen(event("Add", T), event("View", T - D, received_at=T + 1))
    assert shop.story("keen") == []
    shop.happen(event("View", T - H, received_at=T + H))
    shop.until(T + 9 * D)
    assert shop.story("keen") == [(T + H, "entered", "event"), (T - H + D, "left", "timer")]


def test_an_event_from_the_future_is_a_step_when_its_time_comes() -> None:
    shop = line(keen=InOrder(VIEW_ADD, Window(far=D)))
    shop.happen(event("View", T), event("Add", T + 2 * H, received_at=T + 1))
    shop.until(T + 9 * D)
    assert shop.story("keen") == [(T + 2 * H, "entered", "timer"), (T + D, "left", "timer")]


def test_steps_of_two_slots_are_one_story_after_a_merge() -> None:
    shop = line(keen=InOrder(VIEW_ADD, Window(far=D), same="properties.product_id"))
    shop.happen(of("View", T), person="C", slot=COOKIE)
    shop.happen(of("Add", T + H))
    shop.move("C", "P", {COOKIE: 2}, at=T + 2 * H)
    shop.move("P", "C", {COOKIE: 3}, at=T + 3 * H, reason="split")
    assert shop.story("keen") == [(T + 2 * H, "entered", "merge"), (T + 3 * H, "left", "split")]


ORDER = EventRule("Order", same="properties.order_id", undo=("Refund",))


def test_an_order_of_two_systems_is_one_step_and_none_once_taken_back() -> None:
    shop = line(ORDER, regular=InOrder((Did(("Order",)), Did(("Order",)))))
    shop.happen(event("Order", T, properties={"order_id": 1}))
    shop.happen(event("Order", T + H, properties={"order_id": "1"}, source="till"))
    assert shop.story("regular") == []
    shop.happen(event("Order", T + 2 * H, properties={"order_id": 2}))
    shop.happen(event("Refund", T + 4 * H, properties={"order_id": 1}, received_at=T + 3 * H))
    shop.until(T + D)
    assert shop.story("regular") == [(T + 2 * H, "entered", "event"), (T + 4 * H, "left", "timer")]


def test_a_sequence_that_asks_for_the_undo_itself_keeps_what_was_undone() -> None:
    shop = line(ORDER, regretted=InOrder((Did(("Order",)), Did(("Refund",))), same="properties.order_id"))
    shop.happen(event("Order", T, properties={"order_id": 1}), event("Refund", T + H, properties={"order_id": 2}))
    shop.happen(event("Refund", T + 2 * H, properties={"order_id": 1}))
    assert shop.story("regretted") == [(T + 2 * H, "entered", "event")]


def test_only_what_can_still_matter_is_kept() -> None:
    ever, recent = InOrder(VIEW_ADD), InOrder(VIEW_ADD, Window(far=D))
    shop = line(ever=ever, recent=recent)
    shop.happen(*(event("View", T + n) for n in range(50)))
    kept = [len(moments[""]) for moments in shop.person().slots.held["user_id:u1#0"].state.sequences.values()]  # type: ignore[union-attr]
    assert sorted(kept) == [1, 50], "a late step in between may ask for any of them within the window"
    shop.happen(event("Add", T + 60), *(event("Add", T + n) for n in range(70, 90)))
    kept = [len(moments[""]) for moments in shop.person().slots.held["user_id:u1#0"].state.sequences.values()]  # type: ignore[union-attr]
    assert kept == [2, 2]


moments = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 99), st.integers(1, 7)), max_size=7, unique_by=lambda m: m[1]
)
orders = st.builds(
    lambda count, window: InOrder(tuple(Did((str(n),)) for n in range(count)), window),
    st.just(3),
    st.sampled_from([Window(), Window(far=6), Window(near=2, far=8), Window(near=5, far=7)]),
)


@pytest.mark.parametrize("then", range(0, 16, 3))
@settings(max_examples=60, deadline=None)
@given(orders, moments, moments, st.integers(0, 12))
def test_what_is_trimmed_never_mattered_whatever_comes_later(
    then: int, order: InOrder, known: list[Moment], later: list[Moment], now: int
) -> None:
    def answer(moments: list[Moment]) -> tuple[bool, int | None]:
        return standing(order, [Taken(at, steps) for at, _, steps in moments], now + then)

    kept = list(trimmed(sorted(known), order, now))
    fresh = [(at, 100 + name, steps) for at, name, steps in later]
    assert answer(kept + fresh) == answer(known + fresh)
