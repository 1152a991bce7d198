"""Caps over channels, purposes and journeys, by rolling time and by the person's own day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.definitions.files import problems
from tests.journeys.lab import SEND, Lab, at

SMS = "  - send: {template: hello, channels: [sms]}\n"


def shop(lab: Lab, caps: str, **journeys: str) -> None:
    """A project with these caps; a journey starts by the event of its name."""
    lab.file("project.yaml", f"name: shop\ncaps: {caps}\n")
    for name, text in journeys.items():
        lab.journey(name, f"enter: {{event: {name}}}\n{text}")
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]


def test_a_cap_in_total_counts_all_channels(lab: Lab) -> None:
    shop(lab, "[{at_most: 2, per: 1d}]", a="steps:\n" + SEND, b="steps:\n" + SMS)
    for hour, name in enumerate("abab"):
        lab.event(name, at(hours=hour))
    lab.event("b", at(days=1))
    assert [(s.journey, s.at) for s in lab.sends()] == [("a", at()), ("b", at(hours=1)), ("b", at(days=1))]
    assert [d.detail for d in lab.decisions() if d.reason == "capped"] == ["2 of 2 per 1d in total"] * 2


def test_a_cap_of_some_channels_lets_others_pass(lab: Lab) -> None:
    both = "steps:\n  - send: {template: hello, channels: [sms, email]}\n"
    shop(lab, "[{at_most: 1, per: 7d, channels: [sms]}]", a=both)
    for hour in range(3):
        lab.event("a", at(hours=hour))
    assert [s.channel for s in lab.sends()] == ["sms", "email", "email"]
    assert [d.detail for d in lab.decisions() if d.reason == "capped"] == ["1 of 1 per 7d over sms"] * 2


def test_a_cap_of_a_purpose_counts_its_journeys_alone(lab: Lab) -> None:
    promo = "purpose: promotions\nsteps:\n"
    shop(lab, "[{at_most: 1, per: 1d, purpose: promotions}]", a=promo + SEND, b=promo + SMS, news="steps:\n" + SEND)
    for hour, name in enumerate(("a", "b", "news", "news")):
        lab.event(name, at(hours=hour))
    assert [s.journey for s in lab.sends()] == ["a", "news", "news"]
    assert [(d.journey, d.detail) for d in lab.decisions() if d.reason == "capped"] == [
        ("b", "1 of 1 per 1d for promotions")
    ]


def test_a_cap_of_journeys(lab: Lab) -> None:
    same = "steps:\n" + SEND
    shop(lab, "[{at_most: 1, per: 1d, journeys: [a, b]}]", a=same, b=same, c=same)
    for hour, name in enumerate("abcc"):
        lab.event(name, at(hours=hour))
    assert [s.journey for s in lab.sends()] == ["a", "c", "c"]


def test_transactional_messages_count_to_no_cap_and_ignore_all(lab: Lab) -> None:
    order = "category: transactional\nsteps:\n" + SEND
    shop(lab, "[{at_most: 1, per: 1d}]", order=order, a="steps:\n" + SEND)
    for hour, name in enumerate(("order", "order", "a", "a", "order")):
        lab.event(name, at(hours=hour))
    assert [s.journey for s in lab.sends()] == ["order", "order", "a", "order"]


def test_the_most_restrictive_of_all_caps_counts(lab: Lab) -> None:
    lab.file("channels.yaml", "email: {connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 1h}]}\n")
    lab.file("project.yaml", "name: shop\ncaps: [{at_most: 2, per: 1d}, {at_most: 3, per: 7d}]\n")
    lab.journey("a", "enter: {event: a}\nsteps:\n" + SEND)
    lab.customer()
    for hours in (0, 0.5, 1, 2, 24, 26, 24 * 7):
        lab.event("a", at(hours=hours))
    assert lab.sent() == [at(), at(hours=1), at(days=1), at(days=7)]


def test_a_waiting_send_gives_way_under_a_cap_of_the_project_too(lab: Lab) -> None:
    lab.file("channels.yaml", 'email: {connector: smtp, quiet: "11:00-15:00"}\nsms: {connector: smpp}\n')
    shop(lab, "[{at_most: 1, per: 1d}]", low="priority: 1\nsteps:\n" + SEND, high="priority: 2\nsteps:\n" + SMS)
    lab.event("low", at())
    lab.event("high", at(hours=1))
    lab.until(at(days=1))
    assert [s.journey for s in lab.sends()] == ["high"]
    assert "lost priority" in lab.reasons("low")


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2026, 3, 29, tzinfo=UTC), 23), (datetime(2026, 10, 25, tzinfo=UTC), 25)]
)
def test_a_day_of_the_calendar_is_as_long_as_it_is_in_the_persons_zone(lab: Lab, day: datetime, hours: int) -> None:
    """On the day the clocks change in Berlin."""
    shop(lab, "[{at_most: 1, per: calendar_day}]", a="steps:\n" + SEND)
    lab.profiles["user_id:u1"]["timezone"] = "Europe/Berlin"
    offset = 1 if hours == 23 else 2
    midnight = round(day.timestamp() * 1000) - offset * 3_600_000
    following = midnight + hours * 3_600_000
    for when in (midnight - 1, midnight, following - 1, following):
        lab.event("a", when)
    assert lab.sent() == [midnight - 1, midnight, following]


def test_an_intent_may_be_said_again_after_its_time(lab: Lab) -> None:
    lab.journey("a", "intent: hi\nintent_for: 7d\nenter: {event: a}\nsteps:\n" + SEND)
    lab.journey("b", "intent: hi\nintent_for: 1d\nenter: {event: b}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("a", at())
    lab.event("b", at(days=1) - 1)
    lab.event("b", at(days=1))
    for when in (at(days=7), at(days=8) - 1, at(days=8)):
        lab.event("a", when)
    assert lab.sent() == [at(), at(days=1), at(days=8)]
    assert "'hi' was sent by a over email" in [d.detail for d in lab.decisions() if d.reason == "duplicate intent"]


def test_intents_that_count_no_more_are_forgotten(lab: Lab) -> None:
    lab.journey("a", 'intent: "{{ entry.properties.n }}"\nintent_for: 7d\nenter: {event: a}\nsteps:\n' + SEND)
    lab.customer()
    for day in range(40):
        lab.event("a", at(days=day), properties={"n": day})
    person = lab.person()
    assert person is not None
    (held,) = person.slots.held.values()
    assert held.state is not None
    assert len(held.state.sent) == 7


@pytest.mark.parametrize(
    ("caps", "message"),
    [
        ("[{at_most: 1, per: 1d, channels: [emial]}]", "there is no channel 'emial'"),
        ("[{at_most: 1, per: 1d, channels: [web]}]", "nothing is sent over 'web'"),
        ("[{at_most: 1, per: 1d, journeys: [x]}]", "there is no journey 'x'"),
        ("[{at_most: 1, per: 1d, category: transactional}]", "is not allowed here"),
        ("[{at_most: 1}]", "per"),
    ],
)
def test_mistakes_in_caps_are_told(caps: str, message: str) -> None:
    channels = "email: {connector: smtp}\nweb: {kind: session}\n"
    told = problems(project=f"name: shop\ncaps: {caps}\n", channels=channels)
    assert any(message in str(problem) for problem in told), told
