"""Journeys behind the real identity and segments stages, through `pathline simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.line.project import Lab, at, granted, identify, track

CART = """
enter: {event: Product Added}
exit: [{event: Order Completed}]
steps:
  - wait: 1h
  - send: {template: hello, channels: [email]}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def customer(user: str = "u1", when: str | None = None, **more: Any) -> dict[str, Any]:
    traits = {"email": f"{user}@example.com"}
    return identify(when or at(days=-1), user, traits=traits, context=granted("email"), **more)


def cookie(name: str, when: str, **properties: Any) -> dict[str, Any]:
    return track(name, when, None, anonymousId="cookie", properties=properties)


def test_a_guest_who_orders_by_the_event_that_names_him_gets_no_reminder(shop: Lab) -> None:
    shop.journey("cart", CART)
    order = track("Order Completed", at(minutes=30), "u1", anonymousId="cookie")
    done = shop.simulate([customer(), cookie("Product Added", at()), order], at(days=1))
    assert not done.sends
    assert [(d["at"], d["reason"]) for d in done.decisions if d["reason"] == "exited"] == [(at(minutes=30), "exited")]


def test_an_order_under_a_new_weaker_identifier_ends_the_journey_of_the_known_user(shop: Lab) -> None:
    shop.journey("cart", CART)
    events = [
        customer(anonymousId="cookie"),
        track("Product Added", at(), "u1"),
        {
            **cookie("Order Completed", at(minutes=30)),
            "context": {"externalIds": [{"type": "phone", "id": "+380501234567"}]},
        },
    ]
    assert not shop.simulate(events, at(days=1)).sends


def test_a_waited_for_event_may_be_the_one_that_joins(shop: Lab) -> None:
    shop.journey(
        "nudge",
        """
        enter: {event: Product Added}
        steps:
          - wait_for: {event: Signed Up}
            timeout: 6h
            then: [{send: {template: hello, channels: [email]}}]
        """,
    )
    signed = track("Signed Up", at(hours=1), "u1", anonymousId="cookie")
    done = shop.simulate([customer(), cookie("Product Added", at()), signed], at(days=1))
    assert [(s["at"], s["to"]) for s in done.sends] == [(at(hours=1), "u1@example.com")]


def test_limits_hold_for_the_person_two_devices_turn_out_to_be(shop: Lab) -> None:
    shop.journey("cart", CART.replace("Product Added}", "Product Added, at_most_every: 7d}"))
    events = [
        customer(),
        cookie("Product Added", at()),
        identify(at(minutes=5), "u1", anonymousId="cookie"),
        track("Product Added", at(hours=3), "u1"),
    ]
    done = shop.simulate(events, at(days=1))
    assert [s["at"] for s in done.sends] == [at(hours=1)]
    assert "not entered" in done.reasons("cart")


def test_a_segment_instance_survives_the_merge_and_its_person_leaving(shop: Lab) -> None:
    shop.segment("viewers", "did: Product Viewed")
    shop.journey(
        "nudge",
        """
        enter: {segment: viewers, existing: true}
        exit: [{left: viewers}]
        steps:
          - wait: 1h
          - send: {template: hello, channels: [email]}
        """,
    )
    events = [customer(), cookie("Product Viewed", at()), identify(at(minutes=5), "u1", anonymousId="cookie")]
    done = shop.simulate(events, at(days=1))
    assert [s["at"] for s in done.sends] == [at(hours=1)]
    assert done.reasons("nudge").count("entered") == 1


def test_a_merge_by_which_the_person_is_no_longer_lapsing_ends_the_winback(shop: Lab) -> None:
    shop.segment("lapsing", "all:\n  - did: Product Viewed\n  - not: {did: Order Completed, within: 40d}")
    shop.journey(
        "winback",
        """
        enter: {segment: lapsing}
        exit: [{left: lapsing}]
        steps:
          - wait: 1h
          - send: {template: hello, channels: [email]}
        """,
    )
    events = [
        customer(),
        track("Order Completed", at(hours=-5), "u1"),
        cookie("Product Viewed", at()),
        identify(at(minutes=5), "u1", anonymousId="cookie"),
    ]
    assert not shop.simulate(events, at(days=1)).sends


def test_a_trait_a_journey_sets_moves_segments_and_starts_other_journeys(shop: Lab) -> None:
    shop.segment("reminded", "trait: reminded\nequals: true")
    shop.journey("one", "enter: {event: Product Added}\nsteps:\n  - update: {traits.reminded: true}")
    shop.journey("two", "enter: {segment: reminded}\nsteps:\n  - send: {template: hello, channels: [email]}")
    done = shop.simulate([customer(), track("Product Added", at())], at(days=1))
    assert [s["journey"] for s in done.sends] == ["two"]
    assert done.people[0]["traits"]["reminded"] is True


def test_withdrawn_consent_stops_what_waits(shop: Lab) -> None:
    shop.journey("cart", CART)
    gone = track("Unsubscribed", at(minutes=30), properties={"email": "u1@example.com"}, context={"channel": "email"})
    done = shop.simulate([customer(), track("Product Added", at()), gone], at(days=1))
    assert done.reasons("cart")[:2] == ["entered", "no consent"]


def test_a_person_created_and_targeted_at_once_gets_the_message(shop: Lab) -> None:
    shop.journey("welcome", "enter: {event: Identify}\nsteps:\n  - send: {template: hello, channels: [email]}")
    done = shop.simulate([customer(when=at())], at(days=1))
    assert [(s["at"], s["to"]) for s in done.sends] == [(at(), "u1@example.com")]


WELCOME = "enter: {event: Signed Up}\nsteps:\n  - send: {template: hello, channels: [email]}"


def lead(when: str) -> dict[str, Any]:
    """Somebody who left an address on the site before signing up."""
    return identify(when, None, anonymousId="cookie", traits={"email": "u1@example.com"}, context=granted("email"))


def test_the_event_that_tells_who_somebody_is_reaches_the_address_known_before(shop: Lab) -> None:
    shop.journey("welcome", WELCOME)
    signed = track("Signed Up", at(hours=1), "u1", anonymousId="cookie")
    done = shop.simulate([lead(at()), signed], at(days=1))
    assert [(s["at"], s["to"]) for s in done.sends] == [(at(hours=1), "u1@example.com")]
    assert "unreachable" not in done.reasons("welcome")


def test_what_was_waited_for_reaches_the_address_known_before(shop: Lab) -> None:
    shop.journey(
        "nudge",
        """
        enter: {event: Identify}
        steps:
          - wait_for: {event: Signed Up}
            timeout: 6h
            then: [{send: {template: hello, channels: [email]}}]
        """,
    )
    signed = track("Signed Up", at(hours=1), "u1", anonymousId="cookie")
    done = shop.simulate([lead(at()), signed], at(days=1))
    assert [(s["at"], s["to"]) for s in done.sends] == [(at(hours=1), "u1@example.com")]


def test_a_newcomer_without_an_address_is_unreachable_at_once(shop: Lab) -> None:
    shop.journey("welcome", WELCOME)
    done = shop.simulate([track("Signed Up", at(), "u9", anonymousId="cookie9")], at(days=1))
    assert [(d["at"], d["reason"]) for d in done.decisions][:2] == [(at(), "entered"), (at(), "unreachable")]
