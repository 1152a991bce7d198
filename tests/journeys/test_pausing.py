"""Journeys that are paused, drained and resumed: nothing is done meanwhile, and nothing is lost or done twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.journeys import late
from schemas import reasons, topics
from schemas.definitions import parse
from schemas.journey_states import DRAINING, PAUSED, RUNNING
from schemas.records import JourneyState, PersonEnvelope, Update
from tests.journeys.lab import SEND, Lab, at
from tests.segments.lab import Line

ENTER = "enter: {event: Product Added}\n"
#: what is held back goes on within so many milliseconds, when it is a person's alone
SOON = 2_000


@pytest.fixture
def shop(lab: Lab) -> Lab:
    lab.journey("cart", ENTER + "exit: {event: Order Completed}\nsteps:\n  - {id: pause, wait: 1h}\n" + SEND)
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    return lab


def test_what_falls_due_meanwhile_is_done_when_it_goes_on(shop: Lab) -> None:
    shop.event("Product Added", at())
    shop.steer("cart", PAUSED, at(minutes=30))
    shop.until(at(hours=3))
    assert not shop.sends()
    shop.steer("cart", RUNNING, at(hours=3))
    shop.until(at(hours=4))
    (sent,) = shop.sent()
    assert at(hours=3) <= sent <= at(hours=3) + SOON


def test_what_is_not_due_yet_keeps_its_time(shop: Lab) -> None:
    shop.event("Product Added", at())
    shop.steer("cart", PAUSED, at(minutes=10))
    shop.steer("cart", RUNNING, at(minutes=50))
    shop.until(at(hours=4))
    assert shop.sent() == [at(hours=1)]


def test_whoever_comes_meanwhile_is_let_in_and_waits(lab: Lab) -> None:
    lab.journey("cart", ENTER + "exit: {event: Order Completed}\nsteps:\n" + SEND)
    lab.customer()
    lab.customer("user_id:u2")
    lab.steer("cart", PAUSED, at())
    lab.event("Product Added", at(minutes=1))
    lab.event("Product Added", at(minutes=2), "user_id:u2")
    lab.event("Order Completed", at(minutes=3), "user_id:u2")
    assert [(d.reason, d.at) for d in lab.decisions()] == [
        (reasons.ENTERED, at(minutes=1)),
        (reasons.ENTERED, at(minutes=2)),
        (reasons.EXITED, at(minutes=3)),
    ]
    lab.steer("cart", RUNNING, at(hours=1))
    lab.until(at(hours=2))
    (sent,) = lab.sends()
    assert sent.to == "u1@example.com"
    assert at(hours=1) <= sent.at <= at(hours=1) + SOON


def test_exits_and_goals_count_meanwhile(lab: Lab) -> None:
    goal = "exit: {event: Left}\ngoal: {event: Order Completed}\n"
    lab.journey("cart", ENTER + goal + "steps:\n  - wait: 1h\n" + SEND)
    lab.customer()
    lab.event("Product Added", at())
    lab.steer("cart", PAUSED, at(minutes=1))
    lab.event("Order Completed", at(hours=2))
    lab.event("Left", at(hours=3))
    assert lab.reasons() == [reasons.ENTERED, reasons.GOAL, reasons.EXITED]
    lab.steer("cart", RUNNING, at(hours=4))
    lab.until(at(days=1))
    assert not lab.sends()


def test_what_somebody_waits_for_counts_meanwhile_and_what_follows_comes_later(lab: Lab) -> None:
    waiting = "steps:\n  - wait_for: {event: Viewed}\n    timeout: 1h\n    on_timeout: [{exit: nothing}]\n" + SEND
    lab.journey("cart", ENTER + waiting)
    lab.customer()
    lab.event("Product Added", at())
    lab.steer("cart", PAUSED, at(minutes=1))
    lab.event("Viewed", at(hours=2))
    lab.until(at(hours=3))
    assert not lab.sends()
    lab.steer("cart", RUNNING, at(hours=3))
    lab.until(at(days=1))
    assert len(lab.sends()) == 1


def test_the_late_policy_of_a_wait_says_what_becomes_of_those_it_kept_too_long(lab: Lab) -> None:
    lab.journey("cart", ENTER + "steps:\n  - {wait: 1h, late: skip}\n" + SEND + "  - {emit: {event: Went On}}\n")
    lab.customer()
    lab.event("Product Added", at())
    lab.steer("cart", PAUSED, at(minutes=1))
    lab.steer("cart", RUNNING, at(hours=5))
    lab.until(at(days=1))
    assert not lab.sends()
    assert [event.name for event in lab.events()] == ["Went On"]
    assert reasons.LATE in lab.reasons()


def test_a_time_of_day_that_passed_is_not_put_off_to_the_next_day_by_a_new_profile(lab: Lab) -> None:
    lab.journey("cart", ENTER + 'steps:\n  - wait: {until: "13:00"}\n' + SEND)
    lab.customer()
    lab.event("Product Added", at())
    lab.steer("cart", PAUSED, at(minutes=1))
    lab.event("Page", at(hours=2))
    lab.steer("cart", RUNNING, at(hours=3))
    lab.until(at(days=3))
    (sent,) = lab.sent()
    assert at(hours=3) <= sent <= at(hours=3) + SOON


def test_what_was_held_back_is_released_at_the_rate_of_late_timers(lab: Lab) -> None:
    lab.file("project.yaml", "name: shop\ntimers: {per_second: 1}\n")
    lab.journey("cart", ENTER + "steps:\n  - wait: 1m\n" + SEND)
    for number in range(20):
        lab.customer(f"user_id:u{number}")
        lab.event("Product Added", at(seconds=number), f"user_id:u{number}")
    lab.steer("cart", PAUSED, at(seconds=30))
    lab.steer("cart", RUNNING, at(minutes=3))
    lab.until(at(hours=1))
    sent = lab.sent()
    assert len(sent) == 20
    assert at(minutes=3, seconds=18) <= sent[-1] <= at(minutes=3, seconds=22)
    assert all(sum(second <= one < second + 1_000 for one in sent) <= 3 for second in sent)


def test_draining_lets_nobody_in_and_those_inside_go_on(shop: Lab) -> None:
    shop.customer("user_id:u2")
    shop.event("Product Added", at())
    shop.steer("cart", DRAINING, at(minutes=10))
    shop.event("Product Added", at(minutes=20), "user_id:u2")
    shop.until(at(hours=2))
    assert shop.sent() == [at(hours=1)]
    assert [(d.reason, d.detail) for d in shop.decisions()][1] == (reasons.NOT_ENTERED, "nobody enters it any more")
    shop.steer("cart", RUNNING, at(hours=3))
    shop.event("Product Added", at(hours=4), "user_id:u2")
    shop.until(at(days=1))
    assert shop.sent() == [at(hours=1), at(hours=5)]


def test_drained_instead_of_resumed_those_inside_go_on(shop: Lab) -> None:
    shop.event("Product Added", at())
    shop.steer("cart", PAUSED, at(minutes=10))
    shop.steer("cart", DRAINING, at(hours=2))
    shop.until(at(days=1))
    assert len(shop.sends()) == 1


def test_another_version_changes_nothing_of_it(shop: Lab) -> None:
    shop.event("Product Added", at())
    shop.steer("cart", PAUSED, at(minutes=10))
    shop.file("segments/other.yaml", "name: other\nwhen: {trait: x, equals: 1}\n")
    another = parse(shop.files)
    shop.source.publish(another)
    shop.marker(another.version, at(minutes=20))
    shop.until(at(hours=2))
    assert not shop.sends()
    shop.steer("cart", RUNNING, at(hours=2))
    shop.until(at(hours=3))
    assert len(shop.sends()) == 1


def test_other_journeys_go_on(shop: Lab) -> None:
    shop.journey("other", ENTER + "steps:\n  - wait: 1h\n" + SEND)
    project = parse(shop.files)
    shop.source.publish(project)
    shop.marker(project.version, at(days=-1))
    shop.steer("cart", PAUSED, at(minutes=-10))
    shop.event("Product Added", at())
    shop.until(at(days=1))
    assert [(send.journey, send.at) for send in shop.sends()] == [("other", at(hours=1))]


def test_who_moves_to_another_person_meanwhile_goes_on_there(shop: Lab) -> None:
    shop.customer("user_id:u2")
    shop.event("Product Added", at(), "user_id:u2")
    shop.steer("cart", PAUSED, at(minutes=10))
    shop.move({"user_id:u2": 2}, "user_id:u2", "user_id:u1", at(hours=2))
    shop.arrived({"user_id:u2": 2}, "user_id:u1", at(hours=2))
    shop.steer("cart", RUNNING, at(hours=3))
    shop.until(at(days=1))
    assert len(shop.sends()) == 1


def test_a_state_that_nobody_knows_is_a_dead_letter(shop: Lab) -> None:
    told = JourneyState(journey="cart", state="asleep", at=at())
    shop.publish(Update(kind="journey", person_id="", at=at(), journey=told))
    assert len(shop.line.outputs[topics.DEAD_LETTERS]) == 1


def test_segments_pass_it_on_where_it_stood() -> None:
    told = JourneyState(journey="cart", state=PAUSED, at=at())
    line = Line()
    line.publish(PersonEnvelope(kind="journey", person_id="", journey=told), 0)
    assert line.updates == [Update(kind="journey", person_id="", at=at(), journey=told)]


# --- against a slow reckoning -----------------------------------------------------------------------------------

#: minutes
DAY = 200


@dataclass(frozen=True)
class Story:
    """Steps: ("wait", minutes), ("for", timeout) an event Go, or ("send", 0). All else are minutes of the day; in
    `pauses` every other one pauses."""

    steps: tuple[tuple[str, int], ...]
    enters: int
    goes: frozenset[int]
    pauses: tuple[int, ...]


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 40)), st.tuples(st.just("for"), st.integers(1, 40)), st.just(("send", 0))
)
MINUTES = st.integers(0, DAY)
STORIES = st.builds(
    Story,
    st.lists(STEPS, min_size=1, max_size=5).map(tuple),
    st.integers(0, 60),
    st.frozensets(MINUTES, max_size=6),
    st.lists(MINUTES, max_size=6, unique=True).map(lambda minutes: tuple(sorted(minutes))),
)


def reckoned(story: Story) -> list[int]:
    """The minutes in which something is sent, minute by minute: what happens in one, then what is due, then whether a
    pause begins or ends, then what that lets go on."""
    sent: list[int] = []
    place, since, paused = -1, 0, False

    def go_on(minute: int) -> None:
        nonlocal place, since
        while 0 <= place < len(story.steps):
            kind, length = story.steps[place]
            if paused or (kind != "send" and minute < since + length):
                return
            if kind == "send":
                sent.append(minute)
            place, since = place + 1, minute

    for minute in range(3 * DAY):
        if minute == story.enters:
            place, since = 0, minute
        elif minute in story.goes and 0 <= place < len(story.steps) and story.steps[place][0] == "for":
            place, since = place + 1, minute
        go_on(minute)
        if minute in story.pauses:
            paused = not paused
        if minute == DAY + 1:
            paused = False
        go_on(minute)
    return sent


@given(STORIES)
def test_pauses_at_any_instants_lose_and_double_nothing(story: Story) -> None:
    lab = Lab()
    words = {"wait": "  - wait: {0}m\n", "for": "  - {{wait_for: {{event: Go}}, timeout: {0}m}}\n", "send": SEND}
    text = "".join(words[kind].format(length) if kind != "send" else SEND for kind, length in story.steps)
    lab.journey("cart", ENTER + "steps:\n" + text)
    lab.customer()
    happens: list[tuple[int, str]] = [(at(minutes=story.enters), "Product Added")]
    happens += [(at(minutes=go), "Go") for go in story.goes if go != story.enters]
    happens += [(at(minutes=m), RUNNING if n % 2 else PAUSED) for n, m in enumerate(story.pauses)]
    happens.append((at(minutes=DAY + 1), RUNNING))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(late, "JITTER_MS", 0)
        for when, what in sorted(happens, key=lambda told: (told[0], told[1] in (PAUSED, RUNNING))):
            if what in (PAUSED, RUNNING):
                lab.steer("cart", what, when)
            else:
                lab.event(what, when)
        lab.until(at(minutes=3 * DAY))
    assert [(one - at()) / 60_000 for one in lab.sent()] == reckoned(story)
    assert len({send.send_id for send in lab.sends()}) == len(lab.sends())
