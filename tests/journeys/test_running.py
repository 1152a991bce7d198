"""Entering, waiting, waiting for something, branching, ending."""

from __future__ import annotations

import orjson
import pytest

from schemas import reasons
from tests.journeys.lab import SEND, Lab, at

CART = "enter: {event: Product Added}\nexit: [{event: Order Completed}]\nsteps:\n  - wait: 1h\n" + SEND


def added(lab: Lab, when: int, **properties: object) -> str:
    return lab.event("Product Added", when, properties=properties)


def test_a_wait_ends_at_its_very_instant(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    added(lab, at())
    lab.until(at(hours=1) - 1)
    assert not lab.sends()
    lab.until(at(hours=1))
    (command,) = lab.sends()
    assert (command.at, command.to, command.identifier) == (at(hours=1), "u1@example.com", "email:u1@example.com")
    assert lab.reasons() == [reasons.ENTERED, reasons.SENT, reasons.FINISHED]
    assert lab.decisions()[1].send_id == command.send_id


def test_where_keeps_others_out(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Product Added", "Product Added, where: event.properties.price > 10"))
    lab.customer()
    added(lab, at(), price=10)
    added(lab, at(hours=2), price=11)
    added(lab, at(hours=4))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=3)]


def test_an_exit_inside_a_wait_is_immediate_and_opens_the_way_in(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    added(lab, at())
    lab.event("Order Completed", at(minutes=30))
    added(lab, at(minutes=40))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=100)]
    assert [(d.at, d.detail) for d in lab.decisions() if d.reason == reasons.EXITED] == [
        (at(minutes=30), "event Order Completed")
    ]


def test_an_event_at_the_instant_of_a_timer_comes_before_it(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    added(lab, at())
    lab.event("Order Completed", at(hours=1))
    lab.until(at(days=1))
    assert not lab.sends()


def test_a_timer_due_before_an_event_comes_before_it_however_late_it_was_fired(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    added(lab, at())
    # as if no wake had come: the event itself brings the time
    lab.line._wakes.clear()
    lab.event("Order Completed", at(hours=1, minutes=14))
    assert lab.sent() == [at(hours=1)]


def test_one_event_may_end_one_instance_and_start_the_next(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Order Completed", "Product Added"))
    lab.customer()
    added(lab, at())
    added(lab, at(minutes=30))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=90)]
    assert lab.reasons()[:3] == [reasons.ENTERED, reasons.EXITED, reasons.ENTERED]


def test_an_event_never_ends_or_satisfies_the_instance_it_started(lab: Lab) -> None:
    lab.journey(
        "cart",
        "enter: {event: Product Added}\nexit: [{event: Product Added}]\nsteps:\n"
        "  - wait_for: {event: Product Added}\n    timeout: 6h\n    then: [{exit: seen}]\n    on_timeout:\n    " + SEND,
    )
    lab.customer()
    added(lab, at())
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=6)]


def test_goals_come_before_ends_and_are_told(lab: Lab) -> None:
    lab.journey("cart", CART.replace("steps:", "goal: {event: Order Completed, within: 7d}\nsteps:"))
    lab.customer()
    added(lab, at())
    lab.event("Order Completed", at(minutes=30))
    assert [(d.reason, d.detail) for d in lab.decisions()[1:]] == [
        (reasons.GOAL, "event Order Completed, 30m after entering"),
        (reasons.EXITED, "event Order Completed; goal reached"),
    ]


def test_a_goal_counts_within_its_time_and_once(lab: Lab) -> None:
    lab.journey("cart", CART.replace("exit: [{event: Order Completed}]", "goal: {event: Won, within: 30m}"))
    lab.customer()
    added(lab, at())
    lab.event("Won", at(minutes=30) - 1)
    lab.event("Won", at(minutes=30) - 1)
    lab.until(at(days=1))
    added(lab, at(days=2))
    lab.event("Won", at(days=2, minutes=30))
    assert [d.at for d in lab.decisions() if d.reason == reasons.GOAL] == [at(minutes=30) - 1]


@pytest.mark.parametrize("repeat", ["ignore", "restart", "parallel"])
def test_a_further_entry_while_inside(lab: Lab, repeat: str) -> None:
    lab.journey("cart", CART.replace("Product Added", f"Product Added, on_repeat: {repeat}"))
    lab.customer()
    added(lab, at())
    added(lab, at(minutes=30))
    lab.until(at(days=1))
    expected = {
        "ignore": [at(hours=1)],
        "restart": [at(minutes=90)],
        "parallel": [at(hours=1), at(minutes=90)],
    }
    assert lab.sent() == expected[repeat]
    assert (reasons.NOT_ENTERED in lab.reasons()) == (repeat == "ignore")


def test_one_instance_for_each_key(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Product Added", "Product Added, key: properties.cart_id"))
    lab.customer()
    added(lab, at(), cart_id="a")
    added(lab, at(minutes=10), cart_id="b")
    added(lab, at(minutes=20), cart_id="a")
    added(lab, at(minutes=25), cart_id=7)
    lab.event("Order Completed", at(minutes=30), properties={"cart_id": "a"})
    lab.until(at(minutes=75))
    assert lab.sent() == [at(minutes=70)]
    lab.event("Order Completed", at(minutes=80))  # carries no key: concerns all
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=70)]


def test_at_most_every_counts_per_person_and_is_over_at_its_end(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Product Added", "Product Added, key: properties.cart_id, at_most_every: 1d"))
    lab.customer()
    added(lab, at(), cart_id="a")
    added(lab, at(hours=2), cart_id="b")
    added(lab, at(days=1) - 1, cart_id="c")
    added(lab, at(days=1), cart_id="d")
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=1), at(days=1, hours=1)]


def test_once_is_for_ever(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Product Added", "Product Added, once: true"))
    lab.customer()
    added(lab, at())
    added(lab, at(days=300))
    lab.until(at(days=400))
    assert lab.sent() == [at(hours=1)]
    assert lab.decisions()[-1].detail == "was inside once"


def test_old_events_and_history_start_nothing(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Product Added", "Product Added, max_age: 1d"))
    lab.customer()
    lab.event("Product Added", at(days=2), occurred_at=at(days=1) - 1)
    assert lab.reasons() == [reasons.NOT_ENTERED]
    lab.event("Product Added", at(days=2), occurred_at=at(days=1), historical=True)
    assert lab.reasons() == [reasons.NOT_ENTERED]
    lab.event("Product Added", at(days=2), occurred_at=at(days=1))
    assert lab.reasons() == [reasons.NOT_ENTERED, reasons.ENTERED]


def test_history_ends_no_running_instance(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    added(lab, at())
    lab.event("Order Completed", at(minutes=1), occurred_at=at(days=-300), historical=True)
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


# --- by segment ------------------------------------------------------------------------------------------------------

BUYERS = "enter: {segment: buyers}\nexit: [{left: buyers}]\nsteps:\n  - wait: 1d\n" + SEND


def test_each_new_entry_into_a_segment_starts_again_and_leaving_ends(lab: Lab) -> None:
    lab.journey("winback", BUYERS)
    lab.customer()
    lab.event("Order Completed", at(), changes=[("buyers", "entered")])
    lab.change("buyers", "left", at(hours=20))
    lab.change("buyers", "entered", at(days=2))
    lab.until(at(days=9))
    assert lab.sent() == [at(days=3)]
    assert [d.at for d in lab.decisions() if d.reason == reasons.EXITED] == [at(hours=20)]


@pytest.mark.parametrize("cause", ["merge", "split", "backfill", "definition"])
@pytest.mark.parametrize("existing", [False, True])
def test_other_causes_start_only_journeys_that_take_existing_members(lab: Lab, cause: str, existing: bool) -> None:
    lab.journey("winback", BUYERS.replace("buyers}", f"buyers, existing: {str(existing).lower()}}}", 1))
    lab.customer()
    lab.event("Page Viewed", at())
    lab.change("buyers", "entered", at(hours=1), cause=cause, kind="handoff" if cause == "merge" else "timer")
    lab.until(at(days=2))
    assert lab.sent() == ([at(days=1, hours=1)] if existing else [])


def test_leaving_a_segment_can_start_a_journey(lab: Lab) -> None:
    lab.journey("goodbye", "enter: {left: buyers}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("Order Completed", at(), changes=[("buyers", "entered")])
    lab.change("buyers", "left", at(days=3))
    assert lab.sent() == [at(days=3)]


def test_two_people_who_enter_a_segment_at_one_instant_get_a_message_each(lab: Lab) -> None:
    lab.journey("winback", BUYERS)
    for who in ("user_id:u1", "user_id:u2"):
        lab.customer(who)
        lab.event("Order Completed", at(), who, changes=[("buyers", "entered")])
    lab.until(at(days=2))
    assert len({command.send_id for command in lab.sends()}) == 2


# --- wait_for --------------------------------------------------------------------------------------------------------

NUDGE = """
enter: {event: Product Added, key: properties.cart_id}
steps:
  - wait_for:
      - {event: Product Viewed, as: view, where: event.properties.price > entry.properties.price}
      - {segment: vip}
    timeout: 6h
    then: [{send: {template: seen, channels: [email]}}]
    on_timeout: [{send: {template: hello, channels: [email]}}]
"""
SEEN = "subject: You saw it\nbody: You saw it\n"


def nudge(lab: Lab) -> None:
    lab.file("templates/seen.yaml", SEEN)
    lab.journey("nudge", NUDGE)
    lab.customer()


def test_what_is_waited_for_or_the_timeout(lab: Lab) -> None:
    nudge(lab)
    added(lab, at(), price=5, cart_id="a")
    added(lab, at(), price=50, cart_id="b")
    lab.event("Product Viewed", at(hours=1), properties={"price": 9})
    lab.until(at(days=1))
    assert [(s.at, s.template) for s in lab.sends()] == [(at(hours=1), "seen"), (at(hours=6), "hello")]


def test_a_caught_event_is_known_by_its_name(lab: Lab) -> None:
    nudge(lab)
    lab.file("templates/seen.yaml", 'subject: "You saw {{ view.properties.name }}"\nbody: x\n')
    lab.journey("nudge", NUDGE.replace("      - {segment: vip}\n", ""))
    added(lab, at(), price=5)
    lab.event("Product Viewed", at(hours=1), properties={"price": 9, "name": "Lamp"})
    assert b"You saw Lamp" in lab.sends()[0].content


def test_a_waited_for_segment_passes_when_entered_or_at_once(lab: Lab) -> None:
    nudge(lab)
    added(lab, at(), price=5)
    lab.change("vip", "entered", at(hours=2))
    added(lab, at(hours=3), price=5)
    lab.until(at(days=1))
    assert [(s.at, s.template) for s in lab.sends()] == [(at(hours=2), "seen"), (at(hours=3), "seen")]


def test_an_event_of_another_key_satisfies_nothing(lab: Lab) -> None:
    nudge(lab)
    added(lab, at(), price=5, cart_id="a")
    lab.event("Product Viewed", at(hours=1), properties={"price": 9, "cart_id": "b"})
    lab.event("Product Viewed", at(hours=2), properties={"price": 9, "cart_id": "a"})
    assert lab.sent() == [at(hours=2)]


def test_one_event_satisfies_one_wait_of_an_instance(lab: Lab) -> None:
    step = "  - wait_for: {event: Product Viewed}\n"
    lab.journey("nudge", "enter: {event: Product Added}\nsteps:\n" + step + step + SEND)
    lab.customer()
    added(lab, at())
    lab.event("Product Viewed", at(hours=1))
    assert not lab.sends()
    lab.event("Product Viewed", at(hours=2))
    assert lab.sent() == [at(hours=2)]


def test_what_ends_an_instance_by_satisfying_its_last_wait_can_enter_again(lab: Lab) -> None:
    lab.journey("loop", "enter: {event: Product Added}\nsteps:\n  - wait_for: {event: Product Added}\n" + SEND)
    lab.customer()
    for hour in range(4):
        added(lab, at(hours=hour))
    assert lab.sent() == [at(hours=1), at(hours=2), at(hours=3)]
    assert lab.reasons().count(reasons.ENTERED) == 4
    assert reasons.NOT_ENTERED not in lab.reasons()


# --- branches, exit, update -------------------------------------------------------------------------------------------


def test_the_first_arm_that_holds_and_steps_after_the_branch(lab: Lab) -> None:
    for name in ("vip", "big", "rest", "end"):
        lab.file(f"templates/{name}.yaml", f"subject: {name}\nbody: {name}\n")
    lab.journey(
        "cart",
        """
        enter: {event: Product Added}
        steps:
          - branch:
              - when: {in: vip}
                steps: [{send: {template: vip, channels: [email]}}]
              - when: {any: [{trait: city, one_of: [Kyiv, Lviv]}, {cel: entry.properties.price > 100}]}
                steps: [{wait: 1h}, {send: {template: big, channels: [email]}}]
              - when: {not: {consent: email}}
                steps: [{exit: no consent}]
              - otherwise: [{send: {template: rest, channels: [email]}}]
          - send: {template: end, channels: [email]}
        """,
    )
    lab.customer("user_id:vip")
    lab.profiles["user_id:vip"]["segments"] = ["vip"]
    lab.customer("user_id:kyiv", city="Kyiv")
    lab.customer("user_id:rich")
    lab.customer("user_id:none", consent=())
    lab.customer("user_id:rest")
    for name in ("vip", "kyiv", "rich", "none", "rest"):
        price = 500 if name == "rich" else 5
        lab.event("Product Added", at(), f"user_id:{name}", properties={"price": price})
    lab.until(at(days=1))
    got = {(s.to.split("@")[0], s.template, s.at) for s in lab.sends()}
    assert got == {
        ("vip", "vip", at()),
        ("vip", "end", at()),
        ("kyiv", "big", at(hours=1)),
        ("kyiv", "end", at(hours=1)),
        ("rich", "big", at(hours=1)),
        ("rich", "end", at(hours=1)),
        ("rest", "rest", at()),
        ("rest", "end", at()),
    }
    assert [d.detail for d in lab.decisions() if d.reason == reasons.EXITED] == ["no consent"]


def test_an_update_keeps_numbers_and_lists_as_what_they_are(lab: Lab) -> None:
    """So that a segment may ask whether the last price was at least 100; the same as in `emit`."""
    lab.journey(
        "a",
        """
        enter: {event: Product Added}
        steps:
          - update:
              traits.price: "{{ entry.properties.price }}"
              traits.tags: "{{ entry.properties.tags }}"
              traits.text: "for {{ entry.properties.price }}"
          - branch:
              - when: {trait: price, at_least: 100}
                steps: [{exit: dear}]
        """,
    )
    lab.customer()
    lab.event("Product Added", at(), properties={"price": 150.5, "tags": ["a", "b"]})
    told = orjson.loads(lab.events()[0].traits)
    assert told == {"price": 150.5, "tags": ["a", "b"], "text": "for 150.5"}
    assert lab.decisions()[-1].detail == "dear"


def test_an_update_counts(lab: Lab) -> None:
    lab.journey(
        "a",
        """
        enter: {event: Product Added}
        steps:
          - update:
              traits.times: "{{ person.traits.times | default: 0 | plus: 1 }}"
              traits.with_tax: "{{ entry.properties.price | times: 1.2 }}"
              traits.colours: "{{ entry.properties.colours | split: ' ' }}"
              traits.shout: "{{ entry.properties.colours | upcase }}"
              traits.huge: "{{ entry.properties.price | times: 1000000000000000000000 }}"
          - branch:
              - when: {trait: times, at_least: 2}
                steps: [{exit: again}]
        """,
    )
    lab.customer(times=1)
    lab.event("Product Added", at(), properties={"price": 150, "colours": "red blue"})
    told = orjson.loads(lab.events()[0].traits)
    assert told.pop("huge") == "150000000000000000000000"
    assert told == {"times": 2, "with_tax": 180.0, "colours": ["red", "blue"], "shout": "RED BLUE"}
    assert lab.decisions()[-1].detail == "again"


def test_an_update_travels_as_an_event_and_is_seen_at_once(lab: Lab) -> None:
    lab.journey(
        "cart",
        """
        enter: {event: Product Added}
        steps:
          - update: {traits.reminded: true, traits.last_cart: "{{ entry.properties.cart_id }}"}
          - branch:
              - when: {trait: reminded, equals: true}
                steps: [{send: {template: hello, channels: [email]}}]
        """,
    )
    lab.customer()
    added(lab, at(), cart_id="c7")
    (event,) = lab.events()
    assert (event.type, event.identifiers, event.occurred_at) == ("identify", ["user_id:u1"], at())
    assert event.traits == b'{"reminded":true,"last_cart":"c7"}'
    assert lab.sent() == [at()]


def test_traits_that_a_journey_has_set_start_none_by_themselves(lab: Lab) -> None:
    lab.journey("a", "enter: {event: Identify}\nsteps:\n  - update: {traits.x: 1}\n")
    lab.customer()
    lab.event("Identify", at(), event_id="outside")
    (event,) = lab.events()
    lab.event("Identify", at(hours=1), source="journey", type="identify")
    assert len(lab.events()) == 1
    assert event.source == "journey"


def test_two_runs_give_the_same_decisions() -> None:
    runs = []
    for _ in range(2):
        lab = Lab()
        lab.journey("cart", CART)
        lab.customer()
        added(lab, at())
        lab.until(at(days=1))
        runs.append((lab.decisions(), lab.sends()))
    assert runs[0] == runs[1]
