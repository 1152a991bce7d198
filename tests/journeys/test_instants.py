"""What happens at one instant: events first, then timers; of several sends the higher priority goes first."""

from __future__ import annotations

import pytest

from tests.journeys.lab import SEND, Lab, at

CAPPED = """
email: {cost: 0.001, connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 1d}]}
sms: {cost: 0.05, connector: smpp, consent: opt_in}
"""


@pytest.fixture
def rivals(lab: Lab) -> Lab:
    """A journey of low and one of high priority, of which one message goes out a day."""
    lab.file("channels.yaml", CAPPED)
    lab.journey("low", "priority: 10\nenter: {event: Low}\nsteps:\n" + SEND)
    lab.journey("high", "priority: 90\nenter: {event: High}\nexit: [{event: Stop}]\nsteps:\n" + SEND)
    lab.customer()
    return lab


def test_of_two_events_at_one_instant_the_one_of_the_higher_priority_gets_its_message(rivals: Lab) -> None:
    rivals.event("Low", at())
    rivals.event("High", at())
    assert [(s.journey, s.at) for s in rivals.sends()] == [("high", at())]
    assert rivals.reasons("low") == ["entered", "capped", "finished"]


def test_a_timer_of_a_higher_priority_comes_before_the_send_of_an_event_at_its_instant(rivals: Lab) -> None:
    rivals.journey("high", "priority: 90\nenter: {event: High}\nsteps:\n  - wait: 1h\n" + SEND)
    rivals.event("High", at())
    rivals.event("Low", at(hours=1))
    assert [(s.journey, s.at) for s in rivals.sends()] == [("high", at(hours=1))]
    assert rivals.decisions("low")[1].at == at(hours=1)


def test_a_later_event_of_the_instant_may_still_end_what_would_have_taken_the_place(rivals: Lab) -> None:
    steps = "steps:\n  - wait: 1h\n" + SEND
    rivals.journey("high", "priority: 90\nenter: {event: High}\nexit: [{event: Stop}]\n" + steps)
    rivals.event("High", at())
    rivals.event("Low", at(hours=1))
    rivals.event("Stop", at(hours=1))
    assert [s.journey for s in rivals.sends()] == ["low"]
    assert rivals.reasons("high") == ["entered", "exited"]


def test_an_intent_is_said_by_the_higher_priority(lab: Lab) -> None:
    for name, priority in (("low", 10), ("high", 90)):
        lab.journey(name, f"priority: {priority}\nintent: same\nenter: {{event: {name}}}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("low", at())
    lab.event("high", at())
    assert [s.journey for s in lab.sends()] == ["high"]
    assert "duplicate intent" in lab.reasons("low")


def test_what_can_not_be_overtaken_is_sent_with_its_event(lab: Lab) -> None:
    lab.file("channels.yaml", CAPPED)
    lab.journey("order", "priority: 1\ncategory: transactional\nenter: {event: Order}\nsteps:\n" + SEND)
    lab.journey("highest", "priority: 90\nenter: {event: High}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("Order", at())
    lab.event("High", at(hours=1))
    assert lab.line.next_wake() is None
    assert [s.journey for s in lab.sends()] == ["order", "highest"]


@pytest.mark.parametrize("waiting", [False, True])
def test_a_message_knows_the_event_that_led_to_it_however_long_it_waits(lab: Lab, waiting: bool) -> None:
    quiet = ', quiet: "11:00-15:00"' if waiting else ""
    lab.file("channels.yaml", CAPPED.replace("per: 1d}]", "per: 1d}]" + quiet, 1))
    lab.file("templates/hello.yaml", "subject: Hi\nbody: '{{ event.name }} {{ event.properties.n }}'\n")
    steps = "steps:\n  - wait_for: {event: Viewed}\n    timeout: 1d\n" + SEND
    branch = '  - branch:\n    - when: {cel: "event.properties.n == 7.0"}\n      steps: [{exit: seven}]\n'
    lab.journey("low", "priority: 10\nenter: {event: Low}\n" + steps + branch)
    lab.journey("high", "priority: 90\nenter: {event: High}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("Low", at())
    lab.event("Viewed", at(hours=1), properties={"n": 7})
    lab.event("Other", at(hours=2))
    lab.until(at(days=1))
    assert [s.content for s in lab.sends()] == [b'{"subject":"Hi","html":"<p>Viewed 7</p>","text":"Viewed 7"}']
    assert [d.detail for d in lab.decisions("low") if d.reason == "exited"] == ["seven"]


def test_a_journey_entered_again_by_the_event_that_ends_it_waits_for_no_turn(rivals: Lab) -> None:
    rivals.journey("low", "priority: 10\nenter: {event: Low}\nsteps:\n  - wait_for: {event: Low}\n" + SEND)
    rivals.event("Low", at())
    rivals.event("Low", at(hours=1))
    assert [(s.journey, s.at) for s in rivals.sends()] == [("low", at(hours=1))]
    assert rivals.reasons("low") == ["entered", "sent", "finished", "entered"]
