"""Quiet hours: what waits is spread over time, or is not sent, by choice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.definitions.files import problems
from tests.journeys.lab import SEND, Lab, at

NOW = "enter: {event: Go}\nsteps:\n" + SEND


def quiet(lab: Lab, rule: str, more: str = "") -> None:
    """E-mail with such quiet hours, and SMS without."""
    lab.file(
        "channels.yaml",
        f"email: {{connector: smtp, consent: opt_in, quiet: {rule}{more}}}\nsms: {{connector: smpp}}\n",
    )


def test_what_waited_goes_out_over_a_while_and_not_in_a_burst(lab: Lab) -> None:
    quiet(lab, '{hours: "11:00-15:00", spread: 30m}')
    lab.journey("j", NOW)
    people = [f"user_id:p{n}" for n in range(600)]
    for who in people:
        lab.customer(who)
        lab.event("Go", at(), who)
    lab.until(at(days=1))
    times = [s.at for s in lab.sends()]
    assert len(times) == 600
    assert all(at(hours=3) <= t < at(hours=3, minutes=30) and t % 1_000 == 0 for t in times)
    a_minute = Counter((t - at(hours=3)) // 60_000 for t in times)
    assert len(a_minute) == 30
    assert max(a_minute.values()) <= 45


def test_all_that_waits_for_a_person_goes_at_one_instant_so_that_priorities_count(lab: Lab) -> None:
    quiet(lab, '{hours: "11:00-15:00", spread: 1h}', ", caps: [{at_most: 1, per: 1d}]")
    lab.journey("low", "priority: 1\n" + NOW)
    lab.journey("high", "priority: 2\nenter: {event: Late}\nsteps:\n" + SEND)
    for n in range(20):
        lab.customer(who := f"user_id:p{n}")
        lab.event("Go", at(), who)
        lab.event("Late", at(minutes=n + 1), who)
    lab.until(at(days=1))
    assert [s.journey for s in lab.sends()] == ["high"] * 20
    assert lab.reasons("low").count("capped") == 20


def test_what_comes_after_the_end_does_not_wait(lab: Lab) -> None:
    quiet(lab, '{hours: "11:00-12:00", spread: 8h}')
    lab.journey("j", NOW)
    lab.customer()
    lab.event("Go", at())
    assert lab.sent() == [at()]


def test_the_turns_are_the_same_on_any_run() -> None:
    def run() -> list[int]:
        lab = Lab()
        quiet(lab, '{hours: "11:00-15:00", spread: 30m}')
        lab.journey("j", NOW)
        for n in range(9):
            lab.customer(f"user_id:p{n}")
            lab.event("Go", at(), f"user_id:p{n}")
        lab.until(at(days=1))
        return lab.sent()

    first = run()
    assert first == run()
    assert len(set(first)) > 5


@pytest.mark.parametrize("where", ["channel", "send"])
def test_a_message_in_quiet_hours_may_be_left_out(lab: Lab, where: str) -> None:
    quiet(lab, '{hours: "11:00-15:00", then: skip}' if where == "channel" else '"11:00-15:00"')
    send = SEND if where == "channel" else SEND.replace("[email]", "[email], quiet: skip")
    lab.journey("j", "enter: {event: Go}\nsteps:\n" + send + "  - wait: 6h\n" + send)
    lab.customer()
    lab.event("Go", at())
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=6)]
    told = [(d.reason, d.detail, d.channel) for d in lab.decisions() if d.reason == "quiet hours"]
    assert told == [("quiet hours", "is not sent", "email")]


def test_a_send_may_wait_where_its_channel_would_not(lab: Lab) -> None:
    quiet(lab, '{hours: "11:00-15:00", then: skip}')
    lab.journey("j", NOW.replace("[email]", "[email], quiet: wait"))
    lab.customer()
    lab.event("Go", at())
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=3)]


def test_of_several_quiet_channels_one_that_waits_is_awaited(lab: Lab) -> None:
    lab.file(
        "channels.yaml",
        """
        email: {connector: smtp, consent: opt_in, quiet: {hours: "11:00-13:00", then: skip}}
        sms: {connector: smpp, consent: opt_in, quiet: "11:00-15:00"}
        """,
    )
    lab.journey("j", NOW.replace("[email]", "[email, sms]"))
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())
    lab.until(at(days=1))
    assert [(s.channel, s.at) for s in lab.sends()] == [("email", at(hours=3))], "by then the first may be used again"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('"21:00"', "is not a span of the day"),
        ('{hours: "9-10"}', "is not a time of day"),
        ("{then: skip}", "hours"),
        ('{hours: "21:00-08:00", then: drop}', "allowed: skip, wait"),
        ('{hours: "21:00-08:00", then: skip, spread: 1h}', "spread is about what waits"),
        ("5", "text is expected"),
    ],
)
def test_mistakes_in_quiet_hours_are_told(rule: str, message: str) -> None:
    told = problems(channels=f"email: {{quiet: {rule}}}\n")
    assert any(message in str(problem) for problem in told), told


def test_a_channel_that_gives_way_as_it_is_quiet_is_told_of(lab: Lab) -> None:
    """Else nobody knows why the dearer SMS was taken."""
    lab.file("channels.yaml", 'email: {connector: smtp, quiet: "11:00-13:00"}\nsms: {connector: smpp}\n')
    lab.journey("j", "enter: {event: Go}\nsteps:\n  - send: {template: hello, channels: [email, sms]}\n")
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())
    told = [(d.reason, d.channel) for d in lab.decisions() if d.channel]
    assert told == [("quiet hours", "email"), ("sent", "sms")]
