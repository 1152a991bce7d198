"""Persons who merge and split while they are inside journeys, and state that is on its way."""

from __future__ import annotations

import pytest

from processors.journeys.model import Belongings, Draw, Instance, Person, Sent, join
from schemas import reasons, topics
from schemas.erasure import mark
from schemas.identifiers import person_id, slot_of
from tests.journeys.lab import SEND, Lab, at

CART = "enter: {event: Product Added}\nexit: [{event: Order Completed}]\nsteps:\n  - wait: 1h\n" + SEND
COOKIE, USER = "anonymous_id:a1", "user_id:u1"


def visitor(lab: Lab, who: str = COOKIE) -> None:
    """Somebody without an e-mail address."""
    lab.customer(who)
    del lab.profiles[who]["addresses"]["email"]


def merge(lab: Lab, when: int, origin: str = COOKIE, to: str = USER, version: int = 2, **profile: object) -> None:
    """All of a person moves to another, and so does its profile."""
    lab.move({origin: version}, origin, to, when)
    type_, value = origin.split(":")
    addresses = {**lab.profiles[to]["addresses"], type_: [value]}
    lab.arrived({origin: version}, to, when, addresses=addresses, **profile)


def test_an_instance_moves_with_its_timer(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Logged In", at(minutes=10), USER, also=[COOKIE])
    merge(lab, at(minutes=10))
    lab.until(at(days=1))
    assert [(s.at, s.person_id, s.to) for s in lab.sends()] == [(at(hours=1), person_id(USER), "u1@example.com")]
    assert lab.reasons() == [reasons.ENTERED, reasons.SENT, reasons.FINISHED]


def test_an_exit_right_after_the_merge_ends_what_moved(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    merge(lab, at(minutes=10))
    lab.event("Order Completed", at(minutes=10), USER)
    lab.until(at(days=1))
    assert not lab.sends()


@pytest.mark.parametrize("moves", ["the visitor", "the buyer"])
def test_the_very_event_that_joins_two_persons_ends_the_instance_of_either(lab: Lab, moves: str) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer("email:u1@example.com")
    lab.event("Product Added", at(), COOKIE)
    order = "email:u1@example.com"
    lab.event("Order Completed", at(minutes=10), order, also=[COOKIE])
    if moves == "the visitor":
        merge(lab, at(minutes=10), COOKIE, order)
    else:
        merge(lab, at(minutes=10), order, COOKIE)
    lab.until(at(days=1))
    assert not lab.sends()
    assert lab.reasons() == [reasons.ENTERED, reasons.EXITED]


def test_the_event_that_joins_restarts_a_wait(lab: Lab) -> None:
    lab.journey("cart", CART.replace("wait: 1h", "wait: 1h\n    restart_on: Logged In"))
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Logged In", at(minutes=10), USER, also=[COOKIE])
    merge(lab, at(minutes=10))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=70)]


def test_what_the_other_did_before_they_were_joined_ends_nothing(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Order Completed", at(minutes=5), USER)
    lab.event("Logged In", at(minutes=10), USER, also=[COOKIE])
    merge(lab, at(minutes=10))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


def test_the_joining_event_may_end_one_instance_and_start_the_next(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Order Completed", "Product Added"))
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Product Added", at(minutes=10), USER, also=[COOKIE])
    merge(lab, at(minutes=10))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=70)]


def test_of_two_instances_of_one_journey_the_older_goes_on(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Product Added", at(minutes=10), USER)
    merge(lab, at(minutes=20))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]
    (merged,) = [d for d in lab.decisions() if d.reason == reasons.MERGED]
    assert (merged.at, merged.person_id) == (at(minutes=20), person_id(USER))


@pytest.mark.parametrize("enter", ["key: properties.cart", "on_repeat: parallel"])
def test_instances_of_other_keys_and_parallel_ones_go_on(lab: Lab, enter: str) -> None:
    lab.journey("cart", CART.replace("Product Added", f"Product Added, {enter}"))
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE, properties={"cart": "a"})
    lab.event("Product Added", at(minutes=10), USER, properties={"cart": "b"})
    merge(lab, at(minutes=20))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1), at(minutes=70)]


def test_limits_caps_and_intents_count_over_all_slots(lab: Lab) -> None:
    lab.file("channels.yaml", "email: {connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 7d}]}")
    lab.journey("daily", "enter: {event: Go, at_most_every: 1d}\nsteps:\n" + SEND)
    lab.journey("other", "enter: {event: Other}\nsteps:\n" + SEND)
    lab.customer("email:u1@example.com")
    lab.profiles["email:u1@example.com"]["addresses"] = {"email": ["u1@example.com"]}
    lab.customer()
    lab.event("Go", at(), "email:u1@example.com")
    merge(lab, at(hours=1), "email:u1@example.com")
    lab.event("Go", at(hours=2))
    lab.event("Other", at(hours=3))
    assert lab.sent() == [at()]
    assert [d.reason for d in lab.decisions()[3:]] == [
        reasons.NOT_ENTERED,
        reasons.ENTERED,
        reasons.CAPPED,
        reasons.FINISHED,
    ]


def test_an_arm_is_kept_through_a_merge(lab: Lab) -> None:
    lab.journey(
        "j",
        """
        enter: {event: Go}
        steps:
          - split: {a: 50, b: 50}
            a: [{send: {template: hello, channels: [email]}}]
            b: [{exit: b}]
        """,
    )
    arms = []
    for n in range(20):
        cookie, user = f"anonymous_id:c{n}", f"user_id:m{n}"
        lab.customer(cookie)
        lab.customer(user)
        lab.event("Go", at(), cookie)
        lab.event("Page", at(), user)
        merge(lab, at(), cookie, user)
        lab.event("Go", at(), user)
        arms.append([d.reason for d in lab.decisions() if d.person_id in (person_id(cookie), person_id(user))])
    assert all(told[: len(told) // 2] == told[len(told) // 2 :] for told in arms)
    assert len({len(told) for told in arms}) == 2  # both arms were drawn


def test_a_split_gives_back_what_a_merge_brought(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.profiles[COOKIE]["addresses"]["email"] = ["cookie@example.com"]
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Page", at(), USER)
    merge(lab, at(minutes=10))
    lab.move({COOKIE: 3}, USER, COOKIE, at(minutes=20), reason="split")
    lab.arrived({COOKIE: 3}, COOKIE, at(minutes=20), cause="split")
    lab.until(at(days=1))
    assert [(s.at, s.person_id, s.to) for s in lab.sends()] == [(at(hours=1), person_id(COOKIE), "cookie@example.com")]


def test_what_an_absorbed_person_leaves_ends_nothing_and_starts_nothing(lab: Lab) -> None:
    lab.journey("winback", "enter: {segment: vip}\nexit: [{left: vip}]\nsteps:\n  - wait: 1d\n" + SEND)
    lab.journey("gone", "enter: {left: vip, existing: true}\nsteps:\n" + SEND)
    visitor(lab)
    lab.customer()
    lab.event("Go", at(), COOKIE, changes=[("vip", "entered")])
    lab.event("Page", at(), USER)
    lab.move({COOKIE: 2}, COOKIE, USER, at(hours=1))
    lab.arrived(
        {COOKIE: 2},
        USER,
        at(hours=1),
        [("vip", "entered")],
        addresses={**lab.profiles[USER]["addresses"], "anonymous_id": ["a1"]},
    )
    lab.until(at(days=3))
    assert [(s.journey, s.at) for s in lab.sends()] == [("winback", at(days=1))]


def test_what_the_merged_person_is_no_longer_in_ends_the_instance_that_came_along(lab: Lab) -> None:
    lab.journey("winback", "enter: {segment: vip}\nexit: [{left: vip}]\nsteps:\n  - wait: 1d\n" + SEND)
    visitor(lab)
    lab.customer()
    lab.event("Go", at(), COOKIE, changes=[("vip", "entered")])
    lab.event("Page", at(), USER)
    merge(lab, at(hours=1))  # the whole is not vip
    lab.until(at(days=3))
    assert not lab.sends()
    assert lab.decisions()[-1].detail == "left segment vip"


def test_a_segment_either_was_in_is_no_new_entry(lab: Lab) -> None:
    lab.journey("welcome", "enter: {segment: vip, existing: true}\nsteps:\n" + SEND)
    lab.customer(COOKIE)
    lab.customer()
    lab.event("Go", at(), COOKIE, changes=[("vip", "entered")])
    lab.event("Page", at(), USER)
    lab.move({COOKIE: 2}, COOKIE, USER, at(hours=1))
    addresses = {**lab.profiles[USER]["addresses"], "anonymous_id": ["a1"]}
    lab.arrived({COOKIE: 2}, USER, at(hours=1), [("vip", "entered")], addresses=addresses)
    assert [s.at for s in lab.sends()] == [at()]


def test_a_waited_for_segment_the_merged_person_is_in_passes(lab: Lab) -> None:
    lab.journey("j", "enter: {event: Go}\nsteps:\n  - wait_for: {segment: vip}\n" + SEND)
    visitor(lab)
    lab.customer()
    lab.event("Go", at(), COOKIE)
    lab.event("Page", at(), USER, changes=[("vip", "entered")])
    merge(lab, at(hours=1))
    assert lab.sent() == [at(hours=1)]


def test_updates_wait_for_state_on_its_way_so_that_no_exit_is_missed(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    # the resolver already knows the new owner of the cookie, its state has not come yet
    order = {"person": person_id(USER), "slot": slot_of(COOKIE), "version": 2}
    lab.profiles[USER]["addresses"]["anonymous_id"] = ["a1"]
    lab.event("Order Completed", at(minutes=10), COOKIE, **order)
    lab.event("Product Added", at(minutes=10) + 500, USER)
    assert lab.reasons() == [reasons.ENTERED]
    lab.move({COOKIE: 2}, COOKIE, USER, at(minutes=10) + 1000)
    assert lab.reasons() == [reasons.ENTERED, reasons.EXITED, reasons.ENTERED]
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=70) + 500]


def test_updates_wait_no_longer_than_thirty_seconds(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    late = {"person": person_id(USER), "slot": slot_of(COOKIE), "version": 2}
    lab.event("Product Added", at(), COOKIE, **late)
    lab.until(at(seconds=29))
    assert not lab.reasons()
    lab.until(at(seconds=30))
    assert [(d.reason, d.at) for d in lab.decisions()] == [(reasons.ENTERED, at())]
    lab.event("Order Completed", at(minutes=5), COOKIE, **late)
    assert lab.reasons()[-1] == reasons.EXITED


def test_a_move_that_says_nothing_is_on_its_way_does_not_wait_itself(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    back = {"person": person_id(USER), "slot": slot_of(USER), "version": 3}
    lab.event("Product Added", at(), USER, **back)
    assert not lab.reasons()
    lab.move({USER: 2}, USER, COOKIE, at(seconds=1))
    assert not lab.reasons()
    lab.move({USER: 3}, COOKIE, USER, at(seconds=2))
    assert lab.reasons() == [reasons.ENTERED]


def test_timers_of_what_arrived_wait_for_the_profile_it_belongs_to(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Page", at(), USER, profile=False)  # journeys do not know the address yet
    lab.move({COOKIE: 2}, COOKIE, USER, at(hours=1) - 1)
    lab.until(at(hours=1) + 5_000)
    assert not lab.sends()
    addresses = {**lab.profiles[USER]["addresses"], "anonymous_id": ["a1"]}
    lab.clock.at = at(hours=1) + 5_000
    lab.arrived({COOKIE: 2}, USER, at(hours=1), addresses=addresses)
    lab.until(at(hours=2))
    assert lab.sent() == [at(hours=1)]


def test_a_slot_that_left_again_is_handed_on(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.customer("user_id:u2")
    lab.event("Product Added", at(), COOKIE)
    lab.event("Page", at(), "user_id:u2")
    # the second move overtakes the first
    lab.move({COOKIE: 3}, USER, "user_id:u2", at(minutes=1))
    lab.move({COOKIE: 2}, COOKIE, USER, at(minutes=2))
    addresses = {**lab.profiles["user_id:u2"]["addresses"], "anonymous_id": ["a1"]}
    lab.arrived({COOKIE: 3}, "user_id:u2", at(minutes=2), addresses=addresses)
    lab.until(at(days=1))
    assert [(s.person_id, s.at) for s in lab.sends()] == [(person_id("user_id:u2"), at(hours=1))]


def test_large_state_travels_in_parts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.journeys.moving.PART_BYTES", 100)
    lab.journey("cart", CART.replace("Product Added", "Product Added, on_repeat: parallel"))
    lab.customer()
    cookies = [f"anonymous_id:c{n}" for n in range(5)]
    for cookie in cookies:
        lab.event("Product Added", at(), cookie, slot=slot_of(cookie), person=person_id(cookies[0]), profile=False)
    lab.event("Page", at(), USER)
    lab.move(dict.fromkeys(cookies, 2), cookies[0], USER, at(minutes=1))
    assert [(h.part, h.parts) for h in lab.handoffs()] == [(n, 5) for n in range(1, 6)]
    lab.until(at(days=1))
    assert len(lab.sends()) == 5


def test_the_forgotten_are_forgotten(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.event("Product Added", at())
    lab.erase(USER, at(minutes=1))
    assert lab.person() == Person(erased=(mark(slot_of(USER)),))
    lab.until(at(days=1))
    assert not lab.sends()


def test_unreadable_state_becomes_a_dead_letter(lab: Lab) -> None:
    from schemas.records import HandedSlot, Handoff

    lab.journey("cart", CART)
    broken = Handoff(
        person_id=person_id(USER),
        origin="x",
        reason="merge",
        at=at(),
        slots=[HandedSlot(slot="s", version=2, complete=True, state=b"\xc1")],
    )
    lab.line.publish(topics.JOURNEYS_HANDOFF, broken.person_id, lab.codec.encode(broken))
    lab.line.drain()
    assert len(lab.line.outputs[topics.DEAD_LETTERS]) == 1


def test_joining_states_of_one_slot_is_commutative_and_associative() -> None:
    def state(n: int) -> Belongings:
        instance = Instance(
            id=f"i{n % 2}", journey="j", version="v", key="", entered_at=n, entry=b"{}", acted="", since=n
        )
        sent = Sent(send_id=f"s{n}", instance_id="i", step="1", channel="c", address="a", at=n, priority=1, counts=True)
        return Belongings(
            instances={instance.id: instance},
            sent={sent.send_id: sent},
            entries={"j": n},
            draws={"d": Draw(n, n)},
            was_in=(f"w{n}",),
        )

    a, b, c = state(1), state(2), state(3)
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(a, c).instances["i1"].since == 3  # the one that is further on


def test_the_profile_may_come_before_the_instances_it_belongs_to(lab: Lab) -> None:
    """Whatever comes first: no exit is missed, and what either was in is no new entry."""
    lab.journey("cart", CART)
    lab.journey("welcome", "enter: {segment: vip, existing: true}\nsteps:\n" + SEND)
    lab.customer(COOKIE)
    lab.customer()
    lab.event("Product Added", at(), COOKIE, changes=[("vip", "entered")])
    lab.event("Page", at(), USER)
    addresses = {**lab.profiles[USER]["addresses"], "anonymous_id": ["a1"]}
    lab.clock.at = at(minutes=10)
    lab.arrived({COOKIE: 2}, USER, at(minutes=10), [("vip", "entered")], addresses=addresses)
    lab.event("Order Completed", at(minutes=10) + 100, USER)
    lab.move({COOKIE: 2}, COOKIE, USER, at(minutes=10) + 200)
    lab.until(at(days=1))
    assert [(s.journey, s.at) for s in lab.sends()] == [("welcome", at())]
    assert lab.reasons("cart") == [reasons.ENTERED, reasons.EXITED]


def test_persons_joined_again_see_no_event_twice(lab: Lab) -> None:
    wait = "  - wait_for: {event: Signed Up}\n"
    lab.journey("j", "enter: {event: Product Added}\nsteps:\n" + wait + wait + SEND)
    visitor(lab)
    lab.customer()
    lab.event("Product Added", at(), COOKIE)
    lab.event("Signed Up", at(minutes=1), USER, also=[COOKIE])
    merge(lab, at(minutes=1))
    lab.move({COOKIE: 3}, USER, COOKIE, at(minutes=2), reason="split")
    lab.arrived({COOKIE: 3}, COOKIE, at(minutes=2), cause="split")
    merge(lab, at(minutes=3), version=4)
    assert not lab.sends()
    lab.event("Signed Up", at(minutes=4), USER)
    assert lab.sent() == [at(minutes=4)]


def test_what_a_person_leaves_as_a_part_of_it_merges_into_another_ends_nothing_that_stays(lab: Lab) -> None:
    lab.journey("j", "enter: {event: Product Added}\nexit: [{left: vip}]\nsteps:\n  - wait: 1h\n" + SEND)
    lab.customer()
    lab.event("Product Added", at(), changes=[("vip", "entered")])
    lab.event("Page", at(), USER, person=person_id(USER), slot=slot_of(COOKIE))
    lab.customer("user_id:u2")
    lab.move({COOKIE: 2}, USER, "user_id:u2", at(minutes=1))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


def test_an_event_fires_no_timer_of_what_arrived_before_its_profile(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    visitor(lab, USER)
    lab.event("Product Added", at(), COOKIE)
    lab.event("Page", at(), USER)
    lab.move({COOKIE: 2}, COOKIE, USER, at(hours=1) - 1)
    lab.event("Page", at(hours=1) + 1, USER)
    assert reasons.UNREACHABLE not in lab.reasons()
    addresses = {"user_id": ["u1"], "anonymous_id": ["a1"], "email": ["a1@example.com"]}
    lab.arrived({COOKIE: 2}, USER, at(hours=1) + 1, addresses=addresses)
    lab.until(at(hours=2))
    assert [(s.at, s.to) for s in lab.sends()] == [(at(hours=1), "a1@example.com")]


def test_timers_that_fell_due_while_updates_waited_fire_after_them(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.event("Product Added", at(), USER)
    late = {"person": person_id(USER), "slot": slot_of(COOKIE), "version": 3}
    lab.event("Page", at(hours=1) - 1_000, COOKIE, **late)
    lab.until(at(hours=1) + 2_000)
    assert not lab.sends()
    lab.move({COOKIE: 2}, USER, "user_id:u2", at(hours=1) + 2_000)  # the first state of the slot never left
    lab.move({COOKIE: 3}, "user_id:u2", USER, at(hours=1) + 2_000)
    lab.arrived({COOKIE: 3}, USER, at(hours=1) + 2_000)
    lab.until(at(hours=1) + 3_000)
    assert lab.sent() == [at(hours=1)]


def test_no_timer_overtakes_what_has_happened_and_waits_in_segments(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.event("Product Added", at(), USER)
    lab.until(at(hours=1) - 5_000)
    lab.await_state(COOKIE, 2, USER, at(hours=1) - 5_000)
    lab.until(at(hours=1) + 2_000)
    assert not lab.sends()
    lab.move({COOKIE: 2}, COOKIE, USER, at(hours=1) - 6_000)
    lab.arrived({COOKIE: 2}, USER, at(hours=1) - 6_000)
    lab.event("Order Completed", at(hours=1) - 4_000, USER)
    lab.until(at(days=1))
    assert not lab.sends()
    assert lab.reasons() == [reasons.ENTERED, reasons.EXITED]


def test_however_many_events_wait_in_segments_one_record_of_them_waits_here(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.event("Page", at(), USER)
    for n in range(100):
        lab.await_state(COOKIE if n % 2 else USER, 2 if n % 2 else 1, USER, at(seconds=1))
    person = lab.person(USER)
    assert person is not None
    assert len(person.held) == 1
    lab.move({COOKIE: 2}, COOKIE, USER, at(seconds=1))
    lab.arrived({COOKIE: 2}, USER, at(seconds=1))
    lab.event("Product Added", at(seconds=2), USER)
    assert lab.reasons() == [reasons.ENTERED]


def test_patience_begins_anew_with_each_slot_on_its_way(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    for n, start in enumerate((at(), at(minutes=10))):
        cookie = f"anonymous_id:c{n}"
        late = {"person": person_id(USER), "slot": slot_of(cookie), "version": 2}
        lab.event("Page", start, cookie, **late)
        lab.event("Product Added", start + 1_000, USER)
        lab.until(start + 29_999)
        assert lab.reasons().count(reasons.ENTERED) == n
        lab.until(start + 30_000)
        assert lab.reasons().count(reasons.ENTERED) == n + 1
        lab.move({cookie: 2}, cookie, USER, start + 31_000)
        lab.event("Order Completed", start + 32_000, USER)


def test_an_event_ends_no_instance_that_began_after_it(lab: Lab) -> None:
    lab.journey("cart", CART)
    visitor(lab)
    lab.customer()
    lab.event("Order Completed", at(), USER, also=[COOKIE])
    lab.event("Product Added", at(seconds=1), COOKIE)  # the graph was slow
    merge(lab, at(seconds=2))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1, seconds=1)]


def test_what_an_absorbed_person_was_in_is_known_at_the_end_of_a_chain(lab: Lab) -> None:
    lab.journey("welcome", "enter: {segment: vip, existing: true}\nsteps:\n" + SEND)
    for who in (COOKIE, USER, "user_id:u2"):
        lab.customer(who)
    lab.event("Go", at(), COOKIE, changes=[("vip", "entered")])
    lab.event("Page", at(), USER)
    lab.event("Page", at(), "user_id:u2")
    lab.move({COOKIE: 2}, COOKIE, USER, at(minutes=1))  # and on, before its profile has come
    lab.move({COOKIE: 3, USER: 2}, USER, "user_id:u2", at(minutes=1))
    lab.arrived({COOKIE: 3, USER: 2}, "user_id:u2", at(minutes=1), [("vip", "entered")])
    lab.until(at(days=1))
    assert lab.sent() == [at()]


def test_a_worker_that_was_away_waits_anew_and_nobody_is_thanked_twice(lab: Lab) -> None:
    lab.journey("thanks", "enter: {event: Order Completed, once: true}\nsteps:\n" + SEND)
    visitor(lab)
    lab.customer()
    lab.event("Order Completed", at(), COOKIE)
    lab.event("Page", at(seconds=1), COOKIE, person=person_id(USER), slot=slot_of(COOKIE), version=2)
    lab.event("Order Completed", at(seconds=2), USER)
    lab.clock.at = at(seconds=40)  # nobody was there when the time was over
    lab.until(at(seconds=41))
    lab.move({COOKIE: 2}, COOKIE, USER, at(seconds=41))
    lab.arrived({COOKIE: 2}, USER, at(seconds=41))
    lab.until(at(days=1))
    assert lab.reasons().count(reasons.ENTERED) == 1


def test_a_worker_that_was_away_waits_anew_for_the_profile(lab: Lab) -> None:
    lab.journey("vip", f"enter: {{event: Go}}\nexit: [{{segment: vip}}]\nsteps:\n  - wait: 10s\n{SEND}")
    visitor(lab)
    lab.customer()
    lab.event("Go", at(), COOKIE)
    lab.move({COOKIE: 2}, COOKIE, USER, at(seconds=1))
    lab.clock.at = at(seconds=40)
    lab.until(at(seconds=41))
    lab.arrived({COOKIE: 2}, USER, at(seconds=1), [("vip", "entered")])
    lab.until(at(days=1))
    assert lab.reasons() == [reasons.ENTERED, reasons.EXITED]


def test_who_was_waited_for_in_vain_is_not_waited_for_again(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.event("Page", at(), COOKIE, person=person_id(USER), slot=slot_of(COOKIE), version=2)
    lab.until(at(minutes=5))
    lab.event("Product Added", at(minutes=5), USER)
    assert lab.reasons() == [reasons.ENTERED]
