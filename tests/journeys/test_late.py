"""Timers that fell due while the line was down, and dates that were past already."""

from __future__ import annotations

from collections import Counter

import pytest

from processors.journeys.step import JourneysStage
from schemas.identifiers import person_id
from tests.journeys.lab import SEND, Lab, at

HOUR = "enter: {event: Go}\nexit: [{event: Stop}]\nsteps:\n  - wait: 1h\n" + SEND


def down_until(lab: Lab, when: int) -> None:
    """Nothing runs until this instant."""
    lab.clock.at = when


def go(lab: Lab, wait: str, **properties: object) -> None:
    """Somebody waits like this from START on; a message follows, and another step."""
    lab.journey("j", f"enter: {{event: Go}}\nsteps:\n  - {wait}\n{SEND}  - exit: through\n")
    lab.customer()
    lab.event("Go", at(), properties=properties)


def told(lab: Lab) -> list[tuple[str, str]]:
    return [(d.reason, d.detail) for d in lab.decisions() if d.reason in ("late", "exited")]


@pytest.mark.parametrize(("minutes", "sent"), [(14, at(hours=1)), (16, at(hours=1, minutes=16))])
def test_what_is_late_by_more_than_the_tolerance_happens_now(lab: Lab, minutes: int, sent: int) -> None:
    lab.journey("j", HOUR)
    lab.customer()
    lab.event("Go", at())
    down_until(lab, at(hours=1, minutes=minutes))
    lab.until(at(hours=2))
    (found,) = lab.sent()
    assert sent <= found <= sent + 1_000


def test_an_exit_that_came_while_the_line_was_down_counts(lab: Lab) -> None:
    lab.journey("j", HOUR)
    for who in ("user_id:u1", "user_id:u2"):
        lab.customer(who)
        lab.event("Go", at(), who)
    down_until(lab, at(hours=5))
    lab.event("Stop", at(hours=4))
    lab.until(at(hours=6))
    assert [s.to for s in lab.sends()] == ["u2@example.com"]


def test_quiet_hours_are_those_of_now(lab: Lab) -> None:
    lab.file("channels.yaml", 'email: {connector: smtp, consent: opt_in, quiet: "21:00-08:00"}\n')
    lab.journey("j", HOUR)
    lab.customer()
    lab.event("Go", at())
    down_until(lab, at(hours=11))  # 23:00
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=20)]


def test_late_timers_are_released_at_a_bounded_rate_in_their_order(lab: Lab) -> None:
    lab.file("project.yaml", "name: shop\ntimers: {per_second: 50}\n")
    lab.journey("j", HOUR)
    for n in range(1_000):
        lab.customer(who := f"user_id:p{n:03}")
        lab.event("Go", at() + n, who)
    down_until(lab, at(hours=9))
    lab.until(at(days=1))
    times = lab.sent()
    assert len(times) == 1_000
    a_second = Counter((t - at(hours=9)) // 1_000 for t in times)
    assert len(a_second) == 21
    assert max(a_second.values()) <= 75, "50 and what jitter brings together"
    order = [int(s.to[1:4]) for s in lab.sends()]
    assert all(abs(place - n) < 100 for place, n in enumerate(order))


def test_all_that_is_late_for_a_person_has_its_turn_together_so_that_priorities_count(lab: Lab) -> None:
    lab.file("channels.yaml", "email: {connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 1d}]}\n")
    lab.journey("low", "priority: 1\n" + HOUR)
    lab.journey("high", "priority: 2\n" + HOUR.replace("1h", "2h"))
    lab.customer()
    lab.event("Go", at())
    down_until(lab, at(hours=5))
    lab.until(at(hours=6))
    assert [s.journey for s in lab.sends()] == ["high"]


def test_waits_for_events_and_receipts_are_released_too(lab: Lab) -> None:
    lab.journey(
        "j", "enter: {event: Go}\nsteps:\n  - wait_for: {event: Seen}\n    timeout: 1h\n    on_timeout:\n    " + SEND
    )
    for who in ("user_id:u1", "user_id:u2"):
        lab.customer(who)
        lab.event("Go", at(), who)
    down_until(lab, at(hours=5))
    lab.event("Seen", at(minutes=30))
    lab.until(at(hours=6))
    assert [s.to for s in lab.sends()] == ["u2@example.com"]
    assert at(hours=5) <= lab.sent()[0] <= at(hours=5) + 1_000


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_the_step_behind_may_be_left_out(lab: Lab, where: str) -> None:
    go(lab, "wait: 1h\n    late: skip" if where == "beside" else "wait: {for: 1h, late: skip}")
    down_until(lab, at(hours=3))
    lab.until(at(days=9))
    assert not lab.sends()
    (late, exited) = told(lab)
    assert late[0] == "late"
    assert late[1].startswith("2h")
    assert late[1].endswith("late, the step behind the wait is left out")
    assert exited == ("exited", "through")
    assert [d.step for d in lab.decisions() if d.reason == "late"] == ["2"]


def test_the_instance_may_end(lab: Lab) -> None:
    go(lab, "wait: 1h\n    late: exit")
    down_until(lab, at(hours=3))
    lab.until(at(days=9))
    assert not lab.sends()
    assert lab.reasons() == ["entered", "late", "exited"]


@pytest.mark.parametrize(
    ("wait", "goes_at"),
    [
        ("{for: 1h, late: next_window}", at(days=1, hours=1)),  # the same time of day
        ('{until: "14:00", late: next_window}', at(days=1, hours=2)),
        ('{until: "14:00", days: [mon, thu], late: next_window}', at(days=3, hours=2)),
        ("{until: properties.day, late: next_window}", at(days=1, hours=1)),
    ],
)
def test_the_next_time_of_the_kind_may_be_awaited(lab: Lab, wait: str, goes_at: int) -> None:
    go(lab, f"wait: {wait}", day="2026-03-02T13:00:00Z")
    down_until(lab, at(hours=6))
    lab.until(at(days=9))
    assert lab.sent() == [goes_at]
    assert [reason for reason, _ in told(lab)] == ["late", "exited"]


def test_a_wait_has_a_tolerance_of_its_own(lab: Lab) -> None:
    go(lab, "wait: 1h\n    late: exit\n    late_after: 6h")
    down_until(lab, at(hours=7))
    lab.until(at(hours=8))
    assert lab.sent() == [at(hours=1)]


@pytest.mark.parametrize(
    ("late", "days", "reasons"),
    [
        ("now", [0], ["exited"]),
        ("exit", [], ["late", "exited"]),
        ("skip", [], ["late", "exited"]),
        ("next_window", [1], ["late", "exited"]),
    ],
)
def test_a_date_that_is_past_at_the_beginning_is_late_too(
    lab: Lab, late: str, days: list[int], reasons: list[str]
) -> None:
    go(lab, f"wait: {{until: properties.day, before: 1d, late: {late}}}", day="2026-03-03T12:00:00Z")
    assert lab.sent() == [at()], "exactly in time"
    lab.event("Go", at(hours=1), properties={"day": "2026-03-03T12:00:00Z"})
    lab.until(at(days=9))
    assert [(t - at()) // 86_400_000 for t in lab.sent()[1:]] == days
    assert [reason for reason, _ in told(lab)][1:] == reasons


def test_a_date_that_becomes_past_is_late(lab: Lab) -> None:
    lab.journey("j", "enter: {event: Go}\nsteps:\n  - wait: {until: traits.day, late: exit}\n" + SEND)
    lab.customer(day="2026-03-20")
    lab.event("Go", at())
    lab.profiles["user_id:u1"]["traits"]["day"] = "2026-02-20"
    lab.event("Other", at(hours=1))
    assert lab.reasons() == ["entered", "late", "exited"]


# --- what must not happen ---------------------------------------------------------------------------------------------


def test_a_second_outage_during_the_release_delays_nothing_for_ever(lab: Lab) -> None:
    lab.file("project.yaml", "name: shop\ntimers: {per_second: 1}\n")
    lab.journey("j", HOUR)
    for n in range(100):
        lab.customer(who := f"user_id:p{n}")
        lab.event("Go", at(), who)
    down_until(lab, at(hours=5))
    lab.until(at(hours=5, seconds=50))
    assert 49 <= len(lab.sends()) <= 51
    down_until(lab, at(hours=8))
    lab.until(at(hours=8, seconds=5))
    times = lab.sent()
    assert len(times) == 100
    assert all(at(hours=5) <= t <= at(hours=5, seconds=51) for t in times[:49])
    assert all(at(hours=8) <= t for t in times[51:]), "said to be of the time at which it happens"


def test_an_event_that_restarts_a_wait_takes_it_out_of_the_release(lab: Lab) -> None:
    lab.file("project.yaml", "name: shop\ntimers: {per_second: 0.001}\n")
    go(lab, "wait: 1h\n    restart_on: [Again]\n    late: exit")
    lab.customer("user_id:u2")
    lab.event("Go", at(), "user_id:u2")
    down_until(lab, at(hours=5))
    lab.until(at(hours=5, seconds=2))
    (first,) = [d.person_id for d in lab.decisions() if d.reason == "late"]
    other = "user_id:u1" if first == person_id("user_id:u2") else "user_id:u2"
    lab.event("Again", at(hours=5, seconds=3), other)
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=6, seconds=3)]


def test_on_a_line_whose_clock_runs_fast_late_is_late_by_the_wall_clock() -> None:
    class Fast(JourneysStage):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, speed=100.0)  # type: ignore[arg-type]

    class FastLab(Lab):
        stage = Fast

    lab = FastLab()
    lab.journey("j", HOUR)
    lab.customer()
    lab.event("Go", at())
    down_until(lab, at(hours=25))
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=1)]


def test_a_round_that_came_after_midnight_leaves_the_next_evening_its_own(lab: Lab) -> None:
    rounds = "  - repeat:\n      times: 2\n      steps:\n        - wait: {until: '23:50'}\n      " + SEND
    lab.journey("j", "enter: {event: Go}\nsteps:\n" + rounds)
    lab.customer()
    lab.event("Go", at())
    down_until(lab, at(hours=13))  # the first one comes at one o'clock at night
    lab.until(at(days=3))
    assert [when // 3_600_000 for when in lab.sent()] == [at(hours=13) // 3_600_000, at(hours=35) // 3_600_000]
