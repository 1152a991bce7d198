"""Each step an instance comes to leaves a trace among the decisions, so that everybody can see where people are."""

from __future__ import annotations

from schemas import reasons
from tests.journeys.lab import SEND, Lab, at

JOURNEY = """
enter: {event: Product Added}
steps:
  - wait: 1h
    restart_on: [Product Viewed]
  - branch:
      - when: {trait: city, equals: Kyiv}
        steps: [{wait: {until: traits.renewal}}]
      - when: {trait: city, equals: Lviv}
        steps: [{update: {traits.seen: true}}]
      - otherwise: []
  - wait_for: [{segment: vip}, {event: Order Completed}]
    then: [{exit: bought}]
    timeout: 2h
"""


def story(lab: Lab) -> list[tuple[str, str, str, int | None]]:
    return [(found.step, found.reason, found.detail, found.due) for found in lab.traces()]


def test_waits_tell_when_they_end_also_when_the_end_moves(lab: Lab) -> None:
    lab.journey("cart", JOURNEY)
    lab.customer(city="Odesa")
    lab.event("Product Added", at())
    lab.event("Product Viewed", at(minutes=20))
    lab.until(at(hours=2))
    assert story(lab) == [
        ("1", reasons.WAITING, "", at(hours=1)),
        ("1", reasons.WAITING, "", at(minutes=80)),
        ("2", reasons.BRANCH, "otherwise", None),
        ("3", reasons.WAITING, "", at(minutes=200)),
    ]


def test_what_is_over_at_once_leaves_a_trace_too(lab: Lab) -> None:
    lab.journey("cart", JOURNEY)
    lab.customer(city="Kyiv", renewal="2020-01-01")
    lab.profiles["user_id:u1"]["segments"] = ["vip"]
    lab.event("Product Added", at())
    lab.until(at(hours=2))
    assert story(lab)[1:] == [
        ("2", reasons.BRANCH, "1", None),
        ("2.1.1", reasons.WAITING, "nothing to wait for", at(hours=1)),
        ("3", reasons.WAITING, "already in segment vip", at(hours=1)),
    ]
    assert lab.reasons() == [reasons.ENTERED, reasons.EXITED]


def test_traits_that_were_set_and_arms_that_do_not_hold(lab: Lab) -> None:
    lab.journey("cart", JOURNEY.replace("      - otherwise: []\n", ""))
    lab.customer("user_id:u1", city="Lviv")
    lab.customer("user_id:u2", city="Odesa")
    for who in ("user_id:u1", "user_id:u2"):
        lab.event("Product Added", at(), who)
    lab.until(at(hours=2))
    after = [found[:3] for found in story(lab) if found[0] != "1"]
    assert after.count(("2", reasons.BRANCH, "2")) == 1
    assert after.count(("2.2.1", reasons.UPDATED, '{"seen":true}')) == 1
    assert after.count(("2", reasons.BRANCH, "none")) == 1


def test_a_message_that_waits_tells_for_what(lab: Lab) -> None:
    lab.file(
        "channels.yaml",
        """
        email: {cost: 0.001, connector: smtp, consent: opt_in, quiet: "12:00-13:00"}
        sms: {cost: 0.05, connector: smpp, consent: opt_in}
        """,
    )
    cascade = "  - send: {template: hello, channels: [email, sms], until: opened, within: 6h}\n"
    lab.journey("cart", "enter: {event: Product Added}\nsteps:\n" + cascade)
    lab.journey("plain", "enter: {event: Order Completed}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("Product Added", at())
    lab.until(at(hours=2))
    assert story(lab) == [
        ("1", reasons.WAITING, "for the end of quiet hours", at(hours=1)),
        ("1", reasons.WAITING, "for a receipt", at(hours=7)),
    ]
