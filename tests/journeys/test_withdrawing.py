"""Messages in an inbox are taken back when the journey ends early or has its goal and nobody has seen them."""

from __future__ import annotations

import pytest

from schemas import reasons
from tests.journeys.lab import SEND, Lab, at
from tests.journeys.test_moving import COOKIE, USER, merge

INBOX = "  - send: {template: hello, channels: [app_inbox]}\n"
CART = "enter: {event: Product Added}\nexit: [{event: Order Completed}]\nsteps:\n" + INBOX + "  - wait: 5d\n"


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.file(
        "channels.yaml",
        "app_inbox: {cost: 0, consent: none, expires: 10d, identifiers: [user_id, anonymous_id]}\n"
        "email: {cost: 0.001, connector: smtp, consent: opt_in}\n",
    )
    made.customer()
    return made


def withdrawn(lab: Lab) -> list[tuple[int, str, str, str]]:
    """(at, detail, channel, send_id)"""
    told = [d for d in lab.decisions() if d.reason == reasons.WITHDRAWN]
    return [(d.at, d.detail, d.channel, d.send_id or "") for d in told]


def report(lab: Lab, what: str, when: int, who: str = USER) -> None:
    """The person does something with the newest message."""
    lab.event(f"App Inbox {what}", when, who, send_id=lab.sends()[-1].send_id)


def test_an_exit_takes_back_what_nobody_has_seen(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.event("Product Added", at())
    lab.event("Order Completed", at(hours=1))
    lab.event("Order Completed", at(hours=2))
    [sent] = lab.sends()
    assert (sent.channel, sent.to) == ("app_inbox", "u1")
    assert withdrawn(lab) == [(at(hours=1), "event Order Completed", "app_inbox", sent.send_id)]
    decision = next(d for d in lab.decisions() if d.reason == reasons.WITHDRAWN)
    assert (decision.step, decision.instance_id) == (sent.step, sent.instance_id)
    assert [d.reason for d in lab.decisions()][-2:] == [reasons.WITHDRAWN, reasons.EXITED]


@pytest.mark.parametrize("what", ["Opened", "Seen", "Link Clicked", "Dismissed"])
def test_what_was_seen_stays(lab: Lab, what: str) -> None:
    lab.journey("cart", CART)
    lab.event("Product Added", at())
    report(lab, what, at(minutes=5))
    lab.event("Order Completed", at(hours=1))
    assert withdrawn(lab) == []


@pytest.mark.parametrize("what", ["Sent", "Delivered"])
def test_what_only_arrived_was_not_seen(lab: Lab, what: str) -> None:
    lab.journey("cart", CART)
    lab.event("Product Added", at())
    report(lab, what, at(minutes=5))
    lab.event("Order Completed", at(hours=1))
    assert len(withdrawn(lab)) == 1


def test_the_receipt_that_ends_the_journey_has_seen_it_before(lab: Lab) -> None:
    lab.journey("cart", CART.replace("Order Completed", "App Inbox Opened"))
    lab.event("Product Added", at())
    report(lab, "Opened", at(minutes=5))
    assert (lab.reasons()[-1], withdrawn(lab)) == (reasons.EXITED, [])


@pytest.mark.parametrize("over", [False, True], ids=["while it runs", "after its last step"])
def test_a_goal_takes_it_back_too(lab: Lab, over: bool) -> None:
    steps = INBOX if over else INBOX + "  - wait: 5d\n"
    lab.journey(
        "cart", f"enter: {{event: Product Added}}\ngoal: {{event: Order Completed, within: 7d}}\nsteps:\n{steps}"
    )
    lab.event("Product Added", at())
    lab.event("Order Completed", at(hours=1))
    assert [row[:3] for row in withdrawn(lab)] == [(at(hours=1), "goal: event Order Completed", "app_inbox")]
    lab.event("Order Completed", at(hours=2))
    assert len(withdrawn(lab)) == 1


def test_only_what_lies_in_an_inbox_can_be_taken_back(lab: Lab) -> None:
    lab.journey("cart", CART.replace(INBOX, SEND + INBOX))
    lab.event("Product Added", at())
    lab.event("Order Completed", at(hours=1))
    assert [s.channel for s in lab.sends()] == ["email", "app_inbox"]
    assert [row[2] for row in withdrawn(lab)] == ["app_inbox"]


def test_what_has_left_the_inbox_by_itself_is_not_taken_back(lab: Lab) -> None:
    lab.journey("cart", CART.replace("5d", "20d"))
    lab.event("Product Added", at())
    lab.event("Order Completed", at(days=10))
    assert (lab.reasons()[-1], withdrawn(lab)) == (reasons.EXITED, [])


def test_an_exit_step_takes_back_nothing_of_its_own_instant(lab: Lab) -> None:
    lab.journey("now", "enter: {event: Product Added}\nsteps:\n" + INBOX + "  - exit: told\n")
    lab.journey("later", "enter: {event: Product Added}\nsteps:\n" + INBOX + "  - wait: 1d\n  - exit: no answer\n")
    lab.event("Product Added", at())
    lab.until(at(days=2))
    assert [(row[0], row[1]) for row in withdrawn(lab)] == [(at(days=1), "no answer")]


def test_after_a_merge_it_is_taken_back_from_whoever_the_person_is_now(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer(COOKIE)
    for minute, who in enumerate((COOKIE, USER)):
        lab.event("Product Added", at(minutes=minute), who)
    report(lab, "Opened", at(minutes=5))
    merge(lab, at(minutes=10))
    # the older run goes on, the other ends by the merge: that takes nothing back
    assert (lab.reasons().count(reasons.MERGED), withdrawn(lab)) == (1, [])
    lab.event("Order Completed", at(hours=1))
    first = lab.sends()[0]
    assert (first.to, [row[3] for row in withdrawn(lab)]) == ("a1", [first.send_id])
