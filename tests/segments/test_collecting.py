"""Lists that follow from events: `collect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.segments.collecting import REMEMBERED
from schemas.definitions.expressions import compile
from schemas.definitions.model import Collect, ComputedTrait, EventRule, TraitIs
from schemas.records import Event
from tests.segments.lab import D, H, Line, event, project

T = 1_700_000_000_000
COOKIE = "anonymous_id:c#0"
CART = Collect(
    add=("Product Added",),
    remove=("Product Removed",),
    clear=("Order Completed", "Cart Cleared"),
    by="properties.product_id",
    keep=("name", "price"),
    at_most=3,
)


def line(collect: Collect = CART, *rules: EventRule) -> Line:
    segments = {"full": TraitIs("cart", "exists", True), "tea": TraitIs("cart", "contains", "tea")}
    return Line(replace(project(segments, rules), traits={"cart": ComputedTrait("cart", collect)}))


def add(at: int, product: object, **more: Any) -> Event:
    received_at = more.pop("received_at", at)
    properties = {"product_id": product, "name": str(product).upper(), **more}
    return event("Product Added", at, received_at=received_at, properties=properties)


def remove(at: int, product: object, **more: Any) -> Event:
    received_at = more.pop("received_at", at)
    return event("Product Removed", at, received_at=received_at, properties={"product_id": product, **more})


def cart(shop: Line, person: str = "P") -> list[Any]:
    return list(shop.profile(person)["traits"].get("cart", []))


def names(shop: Line) -> list[Any]:
    return [item["product_id"] for item in cart(shop)]


def test_what_was_added_is_there_until_it_is_removed_or_the_list_is_cleared() -> None:
    shop = line()
    shop.happen(add(T, "tea", price=9.5, colour="green"), add(T + 1, 7))
    assert cart(shop) == [{"product_id": "tea", "name": "TEA", "price": 9.5}, {"product_id": 7, "name": "7"}]
    shop.happen(remove(T + 2, "tea"), remove(T + 2, "cup"))
    assert cart(shop) == [{"product_id": 7, "name": "7"}]
    shop.happen(event("Order Completed", T + 3))
    assert "cart" not in shop.profile()["traits"]
    assert shop.story("full") == [(T, "entered", "event"), (T + 3, "left", "event")]
    assert shop.story("tea") == [(T, "entered", "event"), (T + 2, "left", "event")]


def test_what_is_added_again_is_as_new_as_it_was_said_last_and_comes_last() -> None:
    shop = line()
    shop.happen(add(T, "tea", price=9), add(T + 1, "cup"), add(T + 2, "tea", price=8))
    assert cart(shop)[1] == {"product_id": "tea", "name": "TEA", "price": 8}
    assert names(shop) == ["cup", "tea"]


def test_quantities_add_up_and_a_removal_takes_as_many_as_it_says() -> None:
    shop = line(replace(CART, keep=("name", "quantity")))
    shop.happen(add(T, "tea", quantity=2), add(T + 1, "tea"), remove(T + 2, "tea", quantity=2))
    assert cart(shop) == [{"product_id": "tea", "name": "TEA", "quantity": 1}]
    shop.happen(remove(T + 3, "tea", quantity=5), add(T + 4, "tea", quantity=1.5))
    assert cart(shop) == [{"product_id": "tea", "name": "TEA", "quantity": 1.5}]
    shop.happen(remove(T + 5, "tea"), remove(T + 5, "tea", quantity=1))
    assert cart(shop) == []


def test_late_events_take_their_place_by_their_own_time() -> None:
    shop = line()
    shop.happen(remove(T, "tea"), event("Cart Cleared", T - H, received_at=T + 1))
    told = (add(T - 1, "tea"), add(T - H, "cup"), add(T - H + 1, "jar"))
    shop.happen(*(msgspec.structs.replace(one, received_at=T + 2) for one in told))
    assert names(shop) == ["jar"]


def test_what_is_said_of_the_future_counts_when_its_time_comes() -> None:
    shop = line()
    shop.happen(add(T, "cup"), add(T + H, "tea", received_at=T + 1), remove(T + 2 * H, "tea", received_at=T + 2))
    assert names(shop) == ["cup"]
    shop.until(T + D)
    assert names(shop) == ["cup"]
    assert shop.story("tea") == [(T + H, "entered", "timer"), (T + 2 * H, "left", "timer")]


def test_only_the_newest_are_listed_and_few_more_are_kept() -> None:
    shop = line()
    shop.happen(*(add(T + n, n) for n in range(1, 9)))
    assert names(shop) == [6, 7, 8]
    shop.happen(remove(T + 20, 8), remove(T + 21, 6))
    assert names(shop) == [4, 5, 7], "what was there before comes back when newer ones go"
    state = shop.person().slots.held["user_id:u1#0"].state
    assert state is not None
    (collected,) = state.collected.values()
    assert len(collected.pieces) == REMEMBERED * CART.at_most


def test_an_order_of_two_systems_clears_the_cart_once_and_what_it_holds_of_an_order_too() -> None:
    shop = line(CART, EventRule("Order Completed", same="properties.order_id"))
    order = {"order_id": 1}
    shop.happen(add(T, "tea"), event("Order Completed", T + 1, properties=order), add(T + 2, "cup"))
    shop.happen(event("Order Completed", T + 3, properties=order, source="till"))
    assert names(shop) == ["cup"]
    shop.happen(event("Order Completed", T + 4, properties={"order_id": 2}))
    assert names(shop) == []


def test_what_came_between_two_reports_of_an_order_by_two_devices_is_back_when_they_are_one_person() -> None:
    shop = line(CART, EventRule("Order Completed", same="properties.order_id"))
    shop.happen(event("Order Completed", T, properties={"order_id": 1}))
    shop.happen(add(T + 1, "tea"), event("Order Completed", T + 2, properties={"order_id": 1}), person="C", slot=COOKIE)
    assert cart(shop, "C") == []
    shop.move("C", "P", {COOKIE: 2}, at=T + 3)
    assert names(shop) == ["tea"]


def test_lines_of_an_event_and_only_what_is_wanted() -> None:
    bought = Collect(
        add=("Order Completed",),
        remove=("Order Returned",),
        by="item.sku",
        keep=("name", "quantity"),
        where=compile("item.price > 10 && event.properties.store == 'Lviv'"),
        each="properties.products",
    )
    shop = line(bought, EventRule("Order Completed", same="properties.order_id"))
    lines = [{"sku": "a", "price": 20, "quantity": 2}, {"sku": "b", "price": 5}, {"sku": "c", "price": 20, "name": "C"}]
    order = {"order_id": 1, "store": "Lviv", "products": lines}
    shop.happen(event("Order Completed", T, properties=order))
    shop.happen(event("Order Completed", T + 1, properties=order, source="till"))
    shop.happen(event("Order Completed", T + 2, properties={**order, "order_id": 2, "store": "Kyiv"}))
    assert cart(shop) == [{"sku": "a", "quantity": 2}, {"sku": "c", "name": "C", "quantity": 1}]
    shop.happen(event("Order Returned", T + 3, properties={"products": lines[:2]}))
    assert cart(shop) == [{"sku": "c", "name": "C", "quantity": 1}]


def test_at_one_instant_removing_follows_adding_and_clearing_both_also_over_slots() -> None:
    shop = line()
    shop.happen(add(T, "tea"), add(T, "cup", quantity=2), add(T, "jar"), event("Cart Cleared", T - 1, received_at=T))
    shop.happen(remove(T, "tea"), remove(T, "cup", quantity=1), person="C", slot=COOKIE)
    shop.move("C", "P", {COOKIE: 2}, at=T)
    assert names(shop) == ["cup", "jar"]
    shop.happen(event("Cart Cleared", T, received_at=T + 1), slot=COOKIE, version=2)
    assert names(shop) == []


def test_a_cart_of_two_devices_is_one_after_the_merge_and_two_after_the_split() -> None:
    shop = line()
    shop.happen(add(T, "tea"), add(T + 1, "cup"), person="C", slot=COOKIE)
    shop.happen(remove(T + 2, "cup"), add(T + 3, "jar"))
    shop.move("C", "P", {COOKIE: 2}, at=T + 4)
    assert names(shop) == ["tea", "jar"]
    shop.move("P", "C", {COOKIE: 3}, at=T + 5, reason="split")
    assert names(shop) == ["jar"]
    assert [item["product_id"] for item in cart(shop, "C")] == ["tea", "cup"]


# --- against the slow evaluator -----------------------------------------------------------------------------------

Told = tuple[int, int, str, str, float | None]  # at, number, kind, product, quantity
stories = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["add", "add", "add", "remove", "clear"]),
            "product": st.sampled_from(["a", "b", "c", "d"]),
            "quantity": st.sampled_from([None, None, 1, 2, 3]),
            "late": st.sampled_from([0, 0, 0, 1, 4, 9, -3]),
            "wait": st.sampled_from([0, 1, 1, 3]),
            "slot": st.sampled_from(["user_id:u1#0", COOKIE]),
            "move": st.sampled_from([False, False, False, True]),
        }
    ),
    max_size=16,
)


def expected(told: Sequence[Told], now: int, at_most: int) -> list[tuple[str, float]]:
    """All that was told, played again in order of time: what is left of each product, the one added last at the end."""
    cleared = max((at for at, _, kind, _, _ in told if kind == "clear" and at <= now), default=0)
    touched = sorted((at, product) for at, _, kind, product, _ in told if kind != "clear" and at > cleared)
    remembered = list(dict.fromkeys(product for _, product in reversed(touched)))[: REMEMBERED * at_most]
    amounts, added = dict[str, float](), dict[str, int]()
    kinds = ["add", "remove", "clear"]
    past = [one for one in told if one[0] <= now]
    for at, _, kind, product, quantity in sorted(past, key=lambda o: (o[0], kinds.index(o[2]) + (o[4] is None) / 2)):
        if kind == "clear":
            amounts.clear()
        elif kind == "add":
            amounts[product] = amounts.get(product, 0) + (quantity or 1)
            added[product] = at
        else:
            amounts[product] = max(0, amounts.get(product, 0) - quantity) if quantity is not None else 0
    left = [product for product, amount in amounts.items() if amount > 0 and product in remembered]
    return [(product, amounts[product]) for product in sorted(left, key=lambda one: (added[one], one))][-at_most:]


@pytest.mark.parametrize("at_most", [1, 4])
@settings(max_examples=60, deadline=None)
@given(story=stories)
def test_in_whatever_order_and_over_whatever_slots_it_comes_the_list_is_that_of_the_raw_events(
    at_most: int, story: list[dict[str, Any]]
) -> None:
    # of what is crowded out some quantities are forgotten
    shop = line(replace(CART, keep=("quantity",) if at_most > 1 else (), at_most=at_most))

    def found(person: str) -> list[tuple[str, float]]:
        return [(item["product_id"], item.get("quantity", 0)) for item in cart(shop, person)]

    def right(person: str) -> list[tuple[str, float]]:
        mine = [one for slot, some in told.items() if owner[slot] == person for one in some]
        return [(product, amount if at_most > 1 else 0) for product, amount in expected(mine, now, at_most)]

    now, told, owner, versions = T, dict[str, list[Told]](), {"user_id:u1#0": "P", COOKIE: "C"}, 1
    names = {"add": "Product Added", "remove": "Product Removed", "clear": "Cart Cleared"}
    for number, step in enumerate(story):
        now += step["wait"]
        if step["move"]:
            versions += 1
            home = owner[COOKIE]
            owner[COOKIE] = "P" if home == "C" else "C"
            shop.move(home, owner[COOKIE], {COOKIE: versions}, at=now)
        at, quantity = now - step["late"], step["quantity"] if step["kind"] != "clear" else None
        properties = {"product_id": step["product"], **({"quantity": quantity} if quantity is not None else {})}
        happened = event(names[step["kind"]], at, received_at=now, event_id=f"{number}", properties=properties)
        version = versions if step["slot"] == COOKIE else 1
        shop.happen(happened, person=owner[step["slot"]], slot=step["slot"], version=version)
        told.setdefault(step["slot"], []).append((at, number, step["kind"], step["product"], quantity))
        shop.until(now)
        for person in {owner[slot] for slot in told}:
            assert found(person) == right(person)
    now += 9
    shop.until(now)
    for person in {owner[slot] for slot in told}:
        assert found(person) == right(person)
