"""What is fixed about the meaning of journeys, seen through `pathline simulate`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.line.project import Lab, at, granted, identify, track

CART = """
enter: {event: Product Added, where: event.properties.price > 10}
exit: [{event: Order Completed}]
steps:
  - wait: 1h
  - send: {template: hello, channels: [email]}
"""


def customer(user: str = "u1", **traits: Any) -> dict[str, Any]:
    """A customer who may be mailed."""
    traits = {"email": f"{user}@example.com", **traits}
    return identify(at(days=-1), user, traits=traits, context=granted("email", "sms"))


def added(when: str, user: str = "u1", price: float = 20, **more: Any) -> dict[str, Any]:
    return track("Product Added", when, user, properties={"price": price, **more})


def test_a_wait_ends_to_the_second_and_the_mail_goes_to_the_address(lab: Lab) -> None:
    lab.journey("cart", CART)
    done = lab.simulate([customer(), added(at())], at(days=1))
    assert [(s["at"], s["channel"], s["template"], s["to"]) for s in done.sends] == [
        (at(hours=1), "email", "hello", "u1@example.com")
    ]
    assert done.reasons("cart") == ["entered", "sent"] or done.reasons("cart")[:2] == ["entered", "sent"]


def test_where_of_the_entry(lab: Lab) -> None:
    lab.journey("cart", CART)
    done = lab.simulate([customer(), added(at(), price=10)], at(days=1))
    assert not done.sends


def test_an_exit_is_immediate_in_the_middle_of_a_wait_and_the_way_in_is_open_again(lab: Lab) -> None:
    lab.journey("cart", CART)
    events = [
        customer(),
        added(at()),
        track("Order Completed", at(minutes=30)),
        added(at(minutes=40)),
    ]
    done = lab.simulate(events, at(days=1))
    assert [s["at"] for s in done.sends] == [at(minutes=100)]
    assert [(d["at"], d["reason"]) for d in done.decisions if d["reason"] == "exited"] == [(at(minutes=30), "exited")]


def test_an_exit_event_at_the_instant_of_the_timer_comes_first(lab: Lab) -> None:
    lab.journey("cart", CART)
    done = lab.simulate([customer(), added(at()), track("Order Completed", at(hours=1))], at(days=1))
    assert not done.sends


def test_while_inside_a_further_entry_is_ignored(lab: Lab) -> None:
    lab.journey("cart", CART)
    done = lab.simulate([customer(), added(at()), added(at(minutes=30))], at(days=1))
    assert [s["at"] for s in done.sends] == [at(hours=1)]


def test_a_key_makes_one_instance_per_value(lab: Lab) -> None:
    lab.journey("cart", CART.replace("10}", "10, key: properties.cart_id}"))
    events = [
        customer(),
        added(at(), cart_id="a"),
        added(at(minutes=10), cart_id="b"),
        added(at(minutes=20), cart_id="a"),
    ]
    done = lab.simulate(events, at(days=1))
    assert [s["at"] for s in done.sends] == [at(minutes=60), at(minutes=70)]


def test_an_exit_concerns_the_instance_with_its_key(lab: Lab) -> None:
    lab.journey("cart", CART.replace("10}", "10, key: properties.cart_id}"))
    events = [
        customer(),
        added(at(), cart_id="a"),
        added(at(minutes=10), cart_id="b"),
        track("Order Completed", at(minutes=30), properties={"cart_id": "a"}),
    ]
    done = lab.simulate(events, at(days=1))
    assert [s["at"] for s in done.sends] == [at(minutes=70)]


def test_restart_on_repeat(lab: Lab) -> None:
    lab.journey("cart", CART.replace("10}", "10, on_repeat: restart}"))
    done = lab.simulate([customer(), added(at()), added(at(minutes=30))], at(days=1))
    assert [s["at"] for s in done.sends] == [at(minutes=90)]


def test_at_most_every_counts_per_person(lab: Lab) -> None:
    lab.journey("cart", CART.replace("10}", "10, at_most_every: 1d}"))
    events = [customer(), added(at()), added(at(hours=2)), added(at(hours=24))]
    done = lab.simulate(events, at(days=2))
    assert [s["at"] for s in done.sends] == [at(hours=1), at(hours=25)]


def test_without_consent_nothing_is_sent_and_the_reason_stands(lab: Lab) -> None:
    lab.journey("cart", CART)
    events = [identify(at(days=-1), traits={"email": "u1@example.com"}), added(at())]
    done = lab.simulate(events, at(days=1))
    assert not done.sends
    assert "no consent" in done.reasons("cart")


def test_without_an_address_the_person_is_unreachable(lab: Lab) -> None:
    lab.journey("cart", CART)
    done = lab.simulate([identify(at(days=-1), context=granted("email")), added(at())], at(days=1))
    assert not done.sends
    assert "unreachable" in done.reasons("cart")


def test_a_channel_that_may_not_be_used_gives_way_to_the_next(lab: Lab) -> None:
    lab.journey("cart", CART.replace("[email]", "[email, sms]"))
    events = [identify(at(days=-1), traits={"phone": "+380501234567"}, context=granted("sms")), added(at())]
    done = lab.simulate(events, at(days=1))
    assert [(s["channel"], s["to"]) for s in done.sends] == [("sms", "+380501234567")]


def test_cheapest_goes_by_cost(lab: Lab) -> None:
    lab.journey("cart", CART.replace("[email]", "cheapest"))
    done = lab.simulate([customer(phone="+380501234567"), added(at())], at(days=1))
    assert [s["channel"] for s in done.sends] == ["email"]


def test_a_bounced_address_is_suppressed(lab: Lab) -> None:
    lab.journey("cart", CART)
    bounce = track("Email Bounced", at(minutes=1), properties={"email": "u1@example.com"}, context={"channel": "email"})
    done = lab.simulate([customer(), added(at()), bounce], at(days=1))
    assert not done.sends
    assert "suppressed" in done.reasons("cart")


def test_entering_by_segment_happens_at_each_new_entry(lab: Lab) -> None:
    lab.segment("lapsing", "all:\n  - did: Order Completed\n  - not: {did: Order Completed, within: 10d}")
    lab.journey(
        "winback",
        """
        enter: {segment: lapsing}
        exit: [{left: lapsing}]
        steps:
          - wait: 1d
          - send: {template: hello, channels: [email]}
        """,
    )
    events = [
        customer(),
        track("Order Completed", at()),
        track("Order Completed", at(days=20)),
        track("Order Completed", at(days=30, hours=12)),
    ]
    done = lab.simulate(events, at(days=45))
    assert [s["at"] for s in done.sends] == [at(days=11), at(days=41, hours=12)]


def test_a_merge_starts_no_journey_unless_existing_is_true(lab: Lab) -> None:
    lab.segment("both", "all:\n  - did: Product Viewed\n  - did: Order Completed")
    for name, existing in (("strict", "false"), ("lenient", "true")):
        lab.journey(
            name,
            f"enter: {{segment: both, existing: {existing}}}\nsteps:\n  - send: {{template: hello, channels: [email]}}",
        )
    events = [
        customer(),
        track("Product Viewed", at(), None, anonymousId="cookie"),
        track("Order Completed", at(hours=1)),
        identify(at(hours=2), "u1", anonymousId="cookie"),
    ]
    done = lab.simulate(events, at(days=1))
    assert [s["journey"] for s in done.sends] == ["lenient"]


def test_an_instance_moves_with_the_anonymous_visitor_who_logs_in(lab: Lab) -> None:
    lab.journey("cart", CART)
    events = [
        customer(),
        track("Product Added", at(), None, anonymousId="cookie", properties={"price": 50}),
        identify(at(minutes=10), "u1", anonymousId="cookie"),
    ]
    done = lab.simulate(events, at(days=1))
    assert [(s["at"], s["to"]) for s in done.sends] == [(at(hours=1), "u1@example.com")]


def test_an_exit_after_the_merge_ends_the_instance_that_moved(lab: Lab) -> None:
    lab.journey("cart", CART)
    events = [
        customer(),
        track("Product Added", at(), None, anonymousId="cookie", properties={"price": 50}),
        identify(at(minutes=10), "u1", anonymousId="cookie"),
        track("Order Completed", at(minutes=10), "u1"),
    ]
    assert not lab.simulate(events, at(days=1)).sends


WAIT_FOR = """
enter: {event: Product Added}
steps:
  - wait_for: {event: Product Viewed, as: view}
    timeout: 6h
    then: [{send: {template: viewed, channels: [email]}}]
    on_timeout: [{send: {template: hello, channels: [email]}}]
"""


def test_wait_for_takes_the_event_or_the_timeout(lab: Lab) -> None:
    lab.template("viewed", "You saw {{ view.properties.name }}", "Still {{ view.properties.name }}?")
    lab.journey("nudge", WAIT_FOR)
    view = track("Product Viewed", at(hours=2), "u1", properties={"name": "Lamp"})
    done = lab.simulate([customer(), customer("u2"), added(at()), added(at(), "u2"), view], at(days=1))
    assert [(s["at"], s["template"], s["to"]) for s in done.sends] == [
        (at(hours=2), "viewed", "u1@example.com"),
        (at(hours=6), "hello", "u2@example.com"),
    ]


def test_the_entry_event_does_not_satisfy_the_wait_it_leads_to(lab: Lab) -> None:
    lab.template("viewed", "Seen", "Seen")
    lab.journey("nudge", WAIT_FOR.replace("Product Viewed, as: view", "Product Added"))
    done = lab.simulate([customer(), added(at())], at(days=1))
    assert [s["at"] for s in done.sends] == [at(hours=6)]


def test_a_waited_for_segment_the_person_is_in_passes_at_once(lab: Lab) -> None:
    lab.segment("adders", "did: Product Added")
    lab.journey(
        "nudge", WAIT_FOR.replace("{event: Product Viewed, as: view}", "{segment: adders}").replace("viewed", "hello")
    )
    done = lab.simulate([customer(), added(at())], at(days=1))
    assert [s["at"] for s in done.sends] == [at()]


def test_branches_by_segment_by_cel_and_by_history(lab: Lab) -> None:
    lab.segment("vip", "trait: vip\nequals: true")
    for name in ("vip", "big", "buyer", "rest"):
        lab.template(f"t_{name}", name, name)
    lab.journey(
        "cart",
        """
        enter: {event: Product Added}
        steps:
          - branch:
              - when: {in: vip}
                steps: [{send: {template: t_vip, channels: [email]}}]
              - when: {cel: "entry.properties.price > 100"}
                steps: [{send: {template: t_big, channels: [email]}}]
              - when: {did: Order Completed, within: 5d}
                steps: [{send: {template: t_buyer, channels: [email]}}]
              - otherwise: [{send: {template: t_rest, channels: [email]}}]
        """,
    )
    events = [
        customer("a", vip=True),
        customer("b"),
        customer("c"),
        customer("d"),
        track("Order Completed", at(days=-6), "d"),
        track("Order Completed", at(days=-3), "c"),
        *(added(at(), user, price) for user, price in (("a", 500), ("b", 500), ("c", 5), ("d", 5))),
    ]
    done = lab.simulate(events, at(days=1))
    assert [(s["to"][0], s["template"]) for s in done.sends] == [
        ("a", "t_vip"),
        ("b", "t_big"),
        ("c", "t_buyer"),
        ("d", "t_rest"),
    ]
    assert all(not m["segment"].startswith("~") for m in done.memberships)


def test_a_template_with_an_unknown_property_sends_nothing_and_says_so(lab: Lab) -> None:
    lab.template("hello", "Hi {{ person.traits.first_name }}", "Hello")
    lab.journey("cart", CART)
    done = lab.simulate([customer(), added(at())], at(days=1))
    assert not done.sends
    assert "template error" in done.reasons("cart")


def test_rolling_caps(lab: Lab) -> None:
    lab.files({"channels.yaml": "email: {cost: 0.1, connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 1d}]}"})
    lab.journey("cart", CART.replace("wait: 1h", "wait: 0s"))
    events = [customer(), added(at()), added(at(hours=23, minutes=59)), added(at(hours=24))]
    done = lab.simulate(events, at(days=3))
    assert [s["at"] for s in done.sends] == [at(), at(hours=24)]
    assert "capped" in done.reasons("cart")


def test_quiet_hours_wait_for_their_end_in_the_persons_own_zone(lab: Lab) -> None:
    lab.files({"channels.yaml": 'email: {cost: 0.1, connector: smtp, consent: opt_in, quiet: "21:00-08:00"}'})
    lab.journey("cart", CART)
    # noon UTC is 21:00 in Tokyo and 12:00 in Accra
    events = [
        customer("t", timezone="Asia/Tokyo"),
        customer("a", timezone="Africa/Accra"),
        added(at(hours=-1), "t"),
        added(at(hours=-1), "a"),
    ]
    done = lab.simulate(events, at(days=2))
    assert [(s["to"][0], s["at"]) for s in done.sends] == [("a", at()), ("t", at(hours=11))]


def test_an_exit_during_quiet_hours_sends_nothing(lab: Lab) -> None:
    lab.files({"channels.yaml": 'email: {cost: 0.1, connector: smtp, consent: opt_in, quiet: "12:30-15:00"}'})
    lab.journey("cart", CART)
    done = lab.simulate([customer(), added(at()), track("Order Completed", at(hours=2))], at(days=1))
    assert not done.sends


def test_transactional_needs_no_consent_but_respects_a_refusal(lab: Lab) -> None:
    lab.journey(
        "receipt",
        """
        enter: {event: Order Completed}
        category: transactional
        steps: [{send: {template: hello, channels: [email]}}]
        """,
    )
    events = [
        identify(at(days=-1), "a", traits={"email": "a@example.com"}),
        identify(at(days=-1), "b", traits={"email": "b@example.com"}, context=granted(refused=("email",))),
        track("Order Completed", at(), "a"),
        track("Order Completed", at(), "b"),
    ]
    assert [s["to"] for s in lab.simulate(events, at(days=1)).sends] == ["a@example.com"]


def test_an_intent_is_said_once_over_all_journeys(lab: Lab) -> None:
    for name, priority in (("low", 10), ("high", 90)):
        lab.journey(name, f'priority: {priority}\nintent: "cart:{{{{ entry.properties.cart_id }}}}"\n' + CART.strip())
    done = lab.simulate([customer(), added(at(), cart_id="x")], at(days=1))
    assert [s["journey"] for s in done.sends] == ["high"]
    assert "duplicate intent" in done.reasons("low")


def test_an_event_older_than_max_age_starts_nothing(lab: Lab) -> None:
    lab.journey("cart", CART.replace("10}", "10, max_age: 1d}"))
    assert len(lab.simulate([customer(), added(at())], at(days=1)).sends) == 1


@pytest.mark.parametrize("counted", [False, True])
def test_only_the_first_report_of_an_order_starts_a_journey(lab: Lab, counted: bool) -> None:
    lab.files({"events.yaml": "Order Completed: {same: properties.order_id, undo: [Order Cancelled]}"})
    lab.journey("thanks", "enter: {event: Order Completed}\nsteps: [{send: {template: hello, channels: [email]}}]")
    if counted:
        lab.segment("buyers", "did: Order Completed\nwithin: 30d")
    orders = [
        track("Order Completed", at(days=day), user, properties=properties, anonymousId="cookie")
        for day, user, properties in (
            (0, "u1", {"order_id": 7}),
            (1, None, {"order_id": "7", "total": 5}),
            (2, "u1", {"order_id": 8}),
            (3, "u1", {}),
            (4, "u1", {}),
            (90, "u1", {"order_id": 7}),
        )
    ]
    done = lab.simulate([customer(), *orders], at(days=99))
    assert [s["at"] for s in done.sends] == [at(), at(days=2), at(days=3), at(days=4)]
    refused = [d["at"] for d in done.decisions if d["reason"] == "not entered"]
    assert refused == [at(days=1), at(days=90)]


def test_two_runs_give_the_same_ids(lab: Lab) -> None:
    lab.journey("cart", CART)
    first, second = (lab.simulate([customer(), added(at())], at(days=1)) for _ in range(2))
    assert first.sends == second.sends
    assert first.decisions == second.decisions
