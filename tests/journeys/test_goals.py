"""Goals: reached while inside or after, within their time, and recorded with the send they follow."""

from __future__ import annotations

from schemas import reasons
from schemas.identifiers import person_id
from schemas.records import Decision
from tests.journeys.lab import SEND, Lab, at

SHORT = "enter: {event: Go}\ngoal: {event: Order, within: 7d}\nsteps:\n" + SEND


def goals(lab: Lab) -> list[Decision]:
    return [d for d in lab.decisions() if d.reason == reasons.GOAL]


def test_a_goal_is_reached_after_the_last_step_too_and_names_the_send_it_follows(lab: Lab) -> None:
    lab.journey("j", SHORT)
    lab.customer()
    lab.event("Go", at())
    lab.event("Order", at(days=3))
    (goal,) = goals(lab)
    (send,) = lab.sends()
    assert (goal.at, goal.send_id, goal.step, goal.channel) == (at(days=3), send.send_id, "1", "email")
    assert goal.detail == "event Order, 3d after entering"


def test_of_several_sends_the_newest_one_before_the_goal_is_named(lab: Lab) -> None:
    lab.journey("j", SHORT + "  - wait: 5d\n" + SEND + "  - wait: 5d\n" + SEND)
    lab.customer()
    lab.event("Go", at())
    lab.event("Order", at(days=6))
    assert [g.send_id for g in goals(lab)] == [lab.sends()[1].send_id]


def test_a_goal_without_a_send_before_it_names_none(lab: Lab) -> None:
    lab.journey("j", "enter: {event: Go}\ngoal: {event: Order, within: 7d}\nsteps:\n  - wait: 1h\n")
    lab.event("Go", at())
    lab.event("Order", at(days=1))
    assert [(g.send_id, g.step) for g in goals(lab)] == [(None, "")]


def test_a_goal_counts_once_and_not_at_the_end_of_its_time(lab: Lab) -> None:
    lab.journey("j", SHORT)
    for who, when in (("user_id:u1", at(days=7) - 1), ("user_id:u2", at(days=7))):
        lab.customer(who)
        lab.event("Go", at(), who)
        lab.event("Order", when, who)
        lab.event("Order", when + 1, who)
    assert [g.at for g in goals(lab)] == [at(days=7) - 1]


def test_an_exit_by_something_else_leaves_the_goal_open(lab: Lab) -> None:
    lab.journey("j", "exit: [{event: Unsubscribed}]\n" + SHORT + "  - wait: 9d\n")
    lab.customer()
    lab.event("Go", at())
    lab.event("Unsubscribed", at(days=1))
    lab.event("Order", at(days=2))
    assert [g.at for g in goals(lab)] == [at(days=2)]


def test_without_a_time_a_goal_counts_while_inside(lab: Lab) -> None:
    lab.journey("j", SHORT.replace(", within: 7d", ""))
    lab.customer()
    lab.event("Go", at())
    lab.event("Order", at(days=1))
    assert not goals(lab)


def test_a_goal_of_one_key_is_not_reached_by_another(lab: Lab) -> None:
    lab.journey("j", SHORT.replace("event: Go", "event: Go, key: properties.cart"))
    lab.customer()
    for cart in ("a", "b"):
        lab.event("Go", at(), properties={"cart": cart})
    lab.event("Order", at(days=1), properties={"cart": "b"})
    lab.event("Order", at(days=2))
    assert [g.at for g in goals(lab)] == [at(days=1), at(days=2)]


def test_a_goal_open_after_the_end_moves_with_the_person(lab: Lab) -> None:
    lab.journey("j", SHORT)
    lab.customer("anonymous_id:a")
    lab.customer("user_id:u1")
    lab.event("Go", at(), "anonymous_id:a")
    lab.move({"anonymous_id:a": 2}, "anonymous_id:a", "user_id:u1", at(hours=1))
    lab.arrived({"anonymous_id:a": 2}, "user_id:u1", at(hours=1))
    lab.event("Order", at(days=1))
    (goal,) = goals(lab)
    assert goal.person_id == person_id("user_id:u1")


def test_what_no_goal_waits_for_any_more_is_forgotten(lab: Lab) -> None:
    lab.journey("j", SHORT)
    lab.customer()
    for day in range(0, 40, 10):
        lab.event("Go", at(days=day))
    person = lab.person()
    assert person is not None
    (held,) = person.slots.held.values()
    assert held.state is not None
    assert len(held.state.ended) == 1
    assert len(held.state.sent) <= 2
