"""Ways into a journey: requests of programs, several ways side by side, and the rules of each."""

from __future__ import annotations

from schemas import reasons
from schemas.requests import ENTRY_REQUESTED
from tests.journeys.lab import SEND, Lab, at

CALLED = "enter: {api: true}\nsteps:\n  - wait: 1h\n" + SEND


def request(lab: Lab, when: int, journey: object = "callback", **properties: object) -> str:
    return lab.event(ENTRY_REQUESTED, when, properties={"journey": journey, **properties})


def test_a_request_starts_the_journey_that_it_names(lab: Lab) -> None:
    lab.journey("callback", CALLED.replace("1h", "{until: properties.call_at}"))
    lab.journey("other", CALLED)
    lab.customer()
    request(lab, at(), call_at="2026-03-02T15:00:00Z")
    lab.until(at(days=1))
    assert [(s.at, s.journey) for s in lab.sends()] == [(at(hours=3), "callback")]
    assert (lab.decisions()[0].reason, lab.decisions()[0].detail) == (reasons.ENTERED, "request")


def test_the_same_request_again_while_inside_or_under_another_key(lab: Lab) -> None:
    lab.journey("callback", CALLED.replace("api: true", "api: true, key: properties.ticket, at_most_every: 2h"))
    lab.customer()
    request(lab, at(), ticket=1)
    request(lab, at(minutes=1), ticket=1)
    request(lab, at(minutes=2), ticket=2)
    request(lab, at(hours=3), ticket=2)
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1), at(hours=4)]
    refused = [d.detail for d in lab.decisions() if d.reason == reasons.NOT_ENTERED]
    assert refused == ["already inside", "last entered 2m ago, at most every 2h"]


def test_a_request_that_where_keeps_out_or_that_came_too_late(lab: Lab) -> None:
    lab.journey(
        "callback", CALLED.replace("api: true", 'api: true, where: event.properties.tier == "gold", max_age: 1h')
    )
    lab.customer()
    request(lab, at(), tier="tin")
    lab.event(
        ENTRY_REQUESTED, at(hours=1), properties={"journey": "callback", "tier": "gold"}, occurred_at=at(hours=-1)
    )
    lab.until(at(days=1))
    assert [d.detail for d in lab.decisions()] == ["the event is 2h old, at most 1h is allowed"]


def test_a_request_that_nothing_can_come_of_says_so(lab: Lab) -> None:
    lab.journey("callback", CALLED)
    lab.journey("cart", CALLED.replace("api: true", "event: Product Added"))
    lab.customer()
    request(lab, at(), "cart")
    request(lab, at(), "kallback")
    request(lab, at(), 7)
    assert [(d.journey, d.reason, d.detail) for d in lab.decisions()] == [
        ("cart", reasons.NOT_ENTERED, "nobody enters it by request (enter: {api: true})"),
        ("kallback", reasons.NOT_ENTERED, "there is no such journey"),
        ("", reasons.NOT_ENTERED, "there is no such journey"),
    ]


SEVERAL = """
    enter:
      - {event: Product Added, key: properties.cart_id, on_repeat: restart}
      - {segment: vip, once: true}
      - {api: true}
    exit: [{event: Order Completed}]
    steps:
      - wait: 1h
      - send: {template: hello, channels: [email]}
"""


def test_each_of_several_ways_in_has_its_own_rules(lab: Lab) -> None:
    lab.journey("j", SEVERAL)
    lab.customer()
    lab.event("Product Added", at(), properties={"cart_id": 7})
    lab.event("Product Added", at(minutes=30), properties={"cart_id": 7})
    lab.event("Seen", at(hours=2), changes=[("vip", "entered")])
    request(lab, at(hours=4), "j")
    request(lab, at(hours=4, minutes=1), "j")
    lab.event("Seen", at(hours=6), changes=[("vip", "left")])
    lab.event("Seen", at(hours=7), changes=[("vip", "entered")])
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1, minutes=30), at(hours=5)]
    assert [d.detail for d in lab.decisions() if d.reason == reasons.NOT_ENTERED] == [
        "was inside once",
        "already inside",
        "was inside once",
    ]


def test_the_key_is_that_of_the_way_by_which_an_instance_came_in(lab: Lab) -> None:
    lab.journey("j", SEVERAL)
    lab.customer()
    request(lab, at(), "j")
    lab.event("Product Added", at(), properties={"cart_id": 7})
    lab.event("Order Completed", at(minutes=30), properties={"cart_id": 8})
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)], "only the cart has another key"


def test_an_event_that_opens_two_ways_into_a_journey_enters_once(lab: Lab) -> None:
    two = "enter: [{event: A, on_repeat: parallel}, {event: [A, B], on_repeat: parallel}]\n"
    lab.journey("j", two + "steps:\n  - wait: 1h\n" + SEND)
    lab.customer()
    lab.event("A", at())
    lab.event("B", at(minutes=1))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1), at(hours=1, minutes=1)]


def test_the_same_event_delivered_again_starts_nothing_more_whatever_the_rules(lab: Lab) -> None:
    lab.journey("j", "enter: {event: A, on_repeat: parallel}\nsteps:\n  - wait: 1h\n" + SEND)
    lab.customer()
    lab.event("A", at(), event_id="the same")
    lab.event("A", at(minutes=1), event_id="the same")
    lab.event("A", at(hours=2), event_id="the same", also=["email:u1@example.com"])
    lab.event("A", at(hours=3), event_id="another")
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1), at(hours=4)]
