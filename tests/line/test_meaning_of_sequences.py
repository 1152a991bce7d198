"""Sequences, lines, lists and channel affinity through `pathline simulate`: in segments, branches and messages."""

from __future__ import annotations

from datetime import datetime

import orjson

from pathline.simulation.run import read, simulate
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import load
from schemas.records import SendCommand
from tests.line.project import Lab, Simulated, at, granted, identify, track

CART = """
collect: {add: Product Added, remove: Product Removed, clear: [Order Completed], keep: [name, price, quantity]}
"""
BASKET = [{"product_id": "p1", "price": 12}, {"product_id": "p2", "price": 30}]


def product(name: str, when: str, number: int, user: str | None = "u1", **more: object) -> dict[str, object]:
    properties = {"product_id": f"p{number}", "name": f"Tea {number}", "price": 10 * number, "quantity": 1}
    return track(name, when, user, properties=properties, **more)


def customer(*channels: str) -> dict[str, object]:
    traits = {"email": "u1@example.com", "phone": "+380501234567"}
    return identify(at(days=-9), traits=traits, context=granted(*channels or ("email", "sms")))


def test_a_sequence_with_the_same_product_is_left_when_its_first_event_leaves_the_window(lab: Lab) -> None:
    lab.segment("keen", "did_in_order: [Product Viewed, Product Added]\nwithin: 1d\nsame: properties.product_id")
    events = [
        product("Product Viewed", at(), 1),
        product("Product Added", at(hours=1), 2),
        product("Product Added", at(hours=2), 1),
    ]
    done = lab.simulate(events, at(days=9))
    assert done.changes("keen") == [(at(hours=2), "entered", "event"), (at(days=1), "left", "timer")]


def test_events_of_one_instant_may_be_taken_in_any_order(lab: Lab) -> None:
    lab.segment("keen", "did_in_order: [Product Viewed, Product Added]")
    done = lab.simulate([product("Product Added", at(), 1), product("Product Viewed", at(), 1)], at(days=1))
    assert done.changes("keen") == [(at(), "entered", "event")]


def test_the_lines_of_orders_are_counted_each_on_its_own_once_for_all_systems(lab: Lab) -> None:
    lab.files({"events.yaml": "Order Completed: {same: properties.order_id, undo: [Order Cancelled]}"})
    lab.segment(
        "dear",
        "did: Order Completed\neach: properties.products\nwhere: item.price > 10\ncount: {at_least: 3}\nwithin: 30d",
    )
    orders = [
        track("Order Completed", at(hours=n), properties={"order_id": n // 2, "products": BASKET}) for n in range(4)
    ]
    done = lab.simulate([*orders, track("Order Cancelled", at(days=1), properties={"order_id": 0})], at(days=2))
    assert done.changes("dear") == [(at(hours=2), "entered", "event"), (at(days=1), "left", "event")]


def test_a_cart_is_a_trait_in_conditions_branches_and_messages(lab: Lab) -> None:
    lab.files({"traits/cart.yaml": CART})
    lab.segment("full", "{trait: cart, exists: true}")
    lab.segment("tea_2", "{trait: cart, contains: p2}")
    lab.template(
        "cart", "Your cart", "{% for item in person.traits.cart %}{{ item.quantity }} {{ item.name }};{% endfor %}"
    )
    lab.journey(
        "remind",
        """
        enter: {event: Checkout Started}
        steps:
          - branch:
              - when: {trait: cart, exists: true}
                steps: [{send: {template: cart, channels: [sms]}}]
              - otherwise: [{send: {template: hello, channels: [email]}}]
        """,
    )
    events = [
        customer(),
        product("Product Added", at(), 1),
        product("Product Added", at(hours=1), 2),
        product("Product Added", at(hours=2), 1),
        product("Product Added", at(hours=3), 3),
        product("Product Removed", at(hours=4), 3),
        track("Checkout Started", at(hours=5)),
        track("Order Completed", at(hours=6)),
        track("Checkout Started", at(hours=7)),
    ]
    done = lab.simulate(events, at(hours=5))
    assert done.people[0]["traits"]["cart"] == [
        {"product_id": "p2", "name": "Tea 2", "price": 20, "quantity": 1},
        {"product_id": "p1", "name": "Tea 1", "price": 10, "quantity": 2},
    ]
    done = lab.simulate(events, at(days=1))
    assert "cart" not in done.people[0]["traits"]
    assert done.changes("full") == [(at(), "entered", "event"), (at(hours=6), "left", "event")]
    assert done.changes("tea_2") == [(at(hours=1), "entered", "event"), (at(hours=6), "left", "event")]
    assert [(s["at"], s["template"]) for s in done.sends] == [(at(hours=5), "cart"), (at(hours=7), "hello")]
    assert said(lab, events, "sms") == ["1 Tea 2;2 Tea 1;"]


def test_branches_ask_for_sequences_and_for_the_preferred_channel_and_sends_take_it(lab: Lab) -> None:
    lab.journey(
        "thank",
        """
        enter: {event: Order Completed}
        steps:
          - branch:
              - when: {all: [{did_in_order: [Search, Product Viewed], within: 1d}, {prefers: sms}]}
                steps: [{send: {template: hello, channels: preferred}}]
              - otherwise: [{exit: other}]
        """,
    )
    before = [
        customer(),
        track("Search", at()),
        track("Product Viewed", at(hours=1)),
        track("Order Completed", at(hours=2)),
    ]
    assert not lab.simulate(before, at(days=1)).sends
    clicked = track("SMS Link Clicked", at(minutes=1), channel="sms")
    done = lab.simulate([*before, clicked], at(days=1))
    assert [(s["at"], s["channel"]) for s in done.sends] == [(at(hours=2), "sms")]
    late = [*before, clicked, track("Order Completed", at(days=1))]
    assert len(lab.simulate(late, at(days=2)).sends) == 1, "a day after the search it is not recent any more"


def test_a_history_over_two_identifiers_that_are_linked_ends_like_that_of_one(lab: Lab) -> None:
    lab.files({"traits/cart.yaml": CART})
    lab.segment("keen", "did_in_order: [Product Viewed, Product Added, Checkout Started]\nwithin: 2d")
    lab.segment("texts", "prefers: sms")
    kinds = ("Product Viewed", "Product Added", "Email Opened", "Product Removed", "SMS Opened", "Product Added")
    story = [(kinds[n % 6], at(hours=n), n % 4) for n in range(13)]

    def told(spread: bool) -> Simulated:
        events = [
            product(name, when, number, **({"user": None, "anonymousId": "c"} if spread and place % 2 else {}))  # type: ignore[arg-type]
            for place, (name, when, number) in enumerate(story)
        ]
        joined = identify(at(hours=20), **({"anonymousId": "c"} if spread else {}))
        return lab.simulate([*events, joined, track("Checkout Started", at(hours=21))], at(days=1))

    one, two = told(False).people, told(True).people
    assert [(p["traits"], p["segments"]) for p in one] == [(p["traits"], p["segments"]) for p in two]
    assert one[0]["segments"] == ["keen", "texts"]
    assert len(one[0]["traits"]["cart"]) > 1


def said(lab: Lab, events: list[dict[str, object]], channel: str) -> list[str]:
    """Texts of the messages sent over a channel."""
    project = load(lab.folder)
    until = round(datetime.fromisoformat(at(days=9)).timestamp() * 1000)
    line = simulate(project, read([orjson.dumps(one) for one in events], project, until).events, until)
    sent = [Codec().decode(SendCommand, record.value) for record in line.outputs[topics.outbound(channel, False)]]
    return [orjson.loads(command.content)["text"] for command in sent]
