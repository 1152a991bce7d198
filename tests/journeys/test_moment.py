"""Messages that choose their time of day: the hour in which the person answers most, or one that is written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.definitions.files import journey, problems
from tests.journeys.lab import Lab, at
from tests.line import project as whole
from tests.line.project import granted, identify, track


def send(more: str) -> str:
    step = f"send: {{template: hello, channels: [email], {more}}}"
    return f"enter: {{event: Go}}\nexit: [{{event: Stop}}]\nsteps:\n  - {step}\n"


def person(lab: Lab, hours: list[int], who: str = "user_id:u1", zone: str | None = None) -> None:
    lab.customer(who)
    lab.profiles[who].update(hours=hours, timezone=zone)


def hour_of(when: int) -> int:
    return when // 3_600_000 % 24


def test_a_message_waits_for_the_persons_best_hour(lab: Lab) -> None:
    lab.journey("j", send("at: best_hour"))
    person(lab, [18, 9])
    lab.event("Go", at())
    lab.until(at(days=2))
    (sent,) = lab.sent()
    assert at(hours=6) <= sent < at(hours=7)
    assert ("waiting", "for its time of day") in [(d.reason, d.detail) for d in lab.traces()]


@pytest.mark.parametrize("minutes", [0, 59])
def test_who_is_in_that_hour_already_gets_it_at_once(lab: Lab, minutes: int) -> None:
    lab.journey("j", send("at: best_hour"))
    person(lab, [12])
    lab.event("Go", at(minutes=minutes))
    assert lab.sent() == [at(minutes=minutes)]


def test_the_hour_is_one_of_the_persons_own_day(lab: Lab) -> None:
    lab.journey("j", send("at: best_hour"))
    person(lab, [18], zone="Asia/Tokyo")  # 21:00 there
    lab.event("Go", at())
    lab.until(at(days=2))
    assert at(hours=21) <= lab.sent()[0] < at(hours=22)


def test_those_of_one_hour_do_not_come_in_a_burst(lab: Lab) -> None:
    lab.journey("j", send("at: best_hour"))
    for n in range(600):
        person(lab, [18], f"user_id:p{n}")
        lab.event("Go", at(), f"user_id:p{n}")
    lab.until(at(days=2))
    a_minute = Counter((t - at(hours=6)) // 60_000 for t in lab.sent())
    assert len(a_minute) == 60
    assert max(a_minute.values()) <= 30


@pytest.mark.parametrize(
    ("hours", "more", "hour"),
    [
        ([3, 21, 10], 'between: "09:00-21:00"', 10),  # the hour from 21:00 on begins behind the end
        ([3, 20, 10], 'between: "09:00-21:00"', 20),
        ([23], 'between: "22:00-02:00"', 23),
        ([1], 'between: "22:00-02:00"', 1),
        ([2], 'between: "22:00-02:00", otherwise: "22:00"', 22),
        ([], 'otherwise: "19:00"', 19),
        ([3], 'between: "14:00-21:00"', 14),
        ([], 'between: "09:00-21:00"', 12),  # within it already
        ([], "", 12),
    ],
)
def test_which_hours_come_into_question(lab: Lab, hours: list[int], more: str, hour: int) -> None:
    lab.journey("j", send("at: best_hour" + (f", {more}" if more else "")))
    person(lab, hours)
    lab.event("Go", at())
    lab.until(at(days=2))
    assert [hour_of(t) for t in lab.sent()] == [hour]


def test_a_time_of_day_may_be_written(lab: Lab) -> None:
    lab.journey("j", send('at: "18:30"'))
    person(lab, [9], zone="Europe/Kyiv")
    lab.event("Go", at())
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=4, minutes=30)]


def test_an_exit_while_it_waits_is_at_once_and_consent_is_that_of_its_time(lab: Lab) -> None:
    lab.journey("j", send("at: best_hour"))
    for who in ("user_id:u1", "user_id:u2"):
        person(lab, [18], who)
        lab.event("Go", at(), who)
    lab.event("Stop", at(hours=3), "user_id:u1")
    lab.profiles["user_id:u2"]["consents"] = []
    lab.event("Other", at(hours=3), "user_id:u2")
    lab.until(at(days=2))
    assert not lab.sends()
    assert {d.reason for d in lab.decisions()} >= {"exited", "no consent"}


def test_quiet_hours_hold_at_the_best_hour_too(lab: Lab) -> None:
    lab.file("channels.yaml", 'email: {connector: smtp, consent: opt_in, quiet: "17:00-20:00"}\n')
    lab.journey("j", send("at: best_hour"))
    person(lab, [18])
    lab.event("Go", at())
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=8)], "and no further day is waited for the hour"


def test_a_higher_priority_may_take_the_place_while_it_waits(lab: Lab) -> None:
    lab.file("channels.yaml", "email: {connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 1d}]}\n")
    lab.journey("low", "priority: 1\n" + send("at: best_hour"))
    lab.journey("high", "priority: 2\n" + send('at: "15:00"').replace("event: Go", "event: Now"))
    person(lab, [18])
    lab.event("Go", at())
    lab.event("Now", at(hours=1))
    lab.until(at(days=1))
    assert [s.journey for s in lab.sends()] == ["high"]
    assert "lost priority" in lab.reasons("low")


def test_the_hour_is_learned_from_what_the_person_answers(tmp_path: Path) -> None:
    lab = whole.Lab(tmp_path)
    lab.journey("j", send("at: best_hour"))
    opens = [track("Email Opened", whole.at(days=-day, hours=7)) for day in (2, 3, 4)]
    customer = identify(whole.at(days=-9), traits={"email": "u1@example.com"}, context=granted("email"))
    done = lab.simulate([customer, *reversed(opens), track("Go", whole.at())], whole.at(days=2))
    assert [s["at"][:14] for s in done.sends] == ["2026-03-02T19:"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("at: besthour", "did you mean best_hour?"),
        ('at: "25:00"', "is not a time of day"),
        ('between: "09:00-21:00"', "between and otherwise belong to at: best_hour"),
        ('at: "18:00", otherwise: "11:00"', "between and otherwise belong to at: best_hour"),
        ('at: best_hour, between: "09:00"', "is not a span of the day"),
        ('at: best_hour, otherwise: "9"', "is not a time of day"),
    ],
)
def test_mistakes_are_told(more: str, message: str) -> None:
    told = problems(journeys__j=journey(f"- send: {{template: hello, channels: [email], {more}}}"))
    assert any(message in str(problem) for problem in told), told
