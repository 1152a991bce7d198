"""Broadcasts: who is in a segment at the instants of a rule enters, once each, at a rate."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.journeys.model import AGENDA, PERSONS
from processors.journeys.step import JourneysStage
from processors.runtime.memory import MemoryLine
from schemas import reasons
from schemas.definitions import parse
from schemas.definitions.expressions import iso
from schemas.identifiers import person_id
from tests.examples import few
from tests.journeys.lab import SEND, Lab, at

DAILY = "enter: {schedule: FREQ=DAILY;BYHOUR=14, of: vip}\nsteps:\n" + SEND
#: the first occurrence; the lab's story begins at 12:00 UTC
FIRST = at(hours=2)


def people(lab: Lab, count: int, when: int = 0, segment: str = "vip") -> list[str]:
    """So many members of a segment."""
    found = [f"user_id:u{n}" for n in range(count)]
    for who in found:
        lab.customer(who)
        lab.event("Seen", when or at(), who, changes=[(segment, "entered")])
    return found


def test_members_enter_at_each_occurrence_and_others_do_not(lab: Lab) -> None:
    lab.journey("news", DAILY)
    people(lab, 3)
    lab.customer("user_id:other")
    lab.event("Seen", at(), "user_id:other")
    lab.until(at(days=2))
    assert lab.sent() == [FIRST] * 3 + [at(days=1, hours=2)] * 3
    assert "user_id:other" not in {send.identifier for send in lab.sends()}
    assert {d.detail for d in lab.decisions() if d.reason == reasons.ENTERED} == {
        "schedule of segment vip at 2026-03-02T14:00:00.000Z",
        "schedule of segment vip at 2026-03-03T14:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("zone", "own", "hour"),
    [("UTC", "", 14), ("Europe/Kyiv", "", 12), ("Europe/Kyiv", ", timezone: America/New_York", 19)],
)
def test_the_rule_is_read_on_the_projects_clock_or_its_own(lab: Lab, zone: str, own: str, hour: int) -> None:
    lab.file("project.yaml", f"name: shop\ntimezone: {zone}\n")
    lab.journey("news", DAILY.replace("of: vip", f"of: vip{own}"))
    people(lab, 1)
    lab.until(at(days=1) - 1)
    assert lab.sent() == [at(hours=hour - 12)]


def test_who_is_a_member_at_the_very_instant_counts(lab: Lab) -> None:
    lab.journey("news", DAILY)
    stays, leaves = people(lab, 2)
    late, in_time = "user_id:late", "user_id:in_time"
    for who in (late, in_time):
        lab.customer(who)
        lab.event("Seen", at(), who)
    lab.event("Seen", FIRST - 1, leaves, changes=[("vip", "left")])
    lab.event("Seen", FIRST, in_time, changes=[("vip", "entered")])
    # before anybody was looked at, but too late
    lab.event("Seen", FIRST + 1, late, changes=[("vip", "entered")])
    lab.event("Seen", FIRST + 1, stays, changes=[("vip", "left")])
    lab.until(at(hours=20))
    assert sorted(send.person_id for send in lab.sends()) == sorted([person_id(stays), person_id(in_time)])
    assert set(lab.sent()) == {FIRST}


def test_somebody_new_in_the_moment_between_is_not_taken_for_a_member(lab: Lab) -> None:
    lab.journey("news", DAILY)
    people(lab, 1)
    lab.customer("user_id:new")
    lab.event("Seen", FIRST + 1, "user_id:new", changes=[("vip", "entered")])
    lab.until(at(hours=20))
    assert len(lab.sends()) == 1


def test_people_enter_at_the_rate_and_what_they_do_meanwhile_counts(lab: Lab) -> None:
    lab.journey(
        "news", DAILY.replace("of: vip", "of: vip, rate: 60/h").replace("steps:", "exit: [{event: Bought}]\nsteps:")
    )
    found = people(lab, 10)
    lab.until(FIRST + 90_000)
    assert lab.sent() == [FIRST, FIRST + 60_000]
    waiting = sorted(map(person_id, found))[2:]
    # the next one buys, the one behind leaves the segment
    names = {person_id(who): who for who in found}
    lab.event("Bought", FIRST + 100_000, names[waiting[0]])
    lab.event("Seen", FIRST + 100_001, names[waiting[1]], changes=[("vip", "left")])
    lab.until(at(hours=20))
    assert lab.sent() == [FIRST + n * 60_000 for n in range(10) if n != 2]


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_rate_is_that_of_all_partitions_together(lab: Lab, partitions: int) -> None:
    lab.journey("news", DAILY.replace("of: vip", "of: vip, rate: 10/m"))
    stage = JourneysStage(lab.source, lab.codec, partitions=partitions)
    lab._line = MemoryLine([stage], lab.clock, partitions=partitions)
    people(lab, 60)
    lab.until(at(hours=20))
    sent = lab.sent()
    assert len(sent) == len({send.person_id for send in lab.sends()}) == 60
    assert all(sum(1 for other in sent if when <= other < when + 60_000) <= 10 for when in sent)


def test_a_schedule_that_nobody_touches_goes_through_everybody(lab: Lab) -> None:
    lab.journey("news", DAILY)
    people(lab, 450)
    lab.until(at(hours=20))
    assert Counter(lab.sent()) == {FIRST: 450}


def test_a_restart_in_the_middle_neither_loses_nor_doubles(lab: Lab) -> None:
    lab.journey("news", DAILY.replace("of: vip", "of: vip, rate: 3600/h"))
    people(lab, 450)
    for seconds in range(0, 500, 7):
        lab.until(FIRST + seconds * 1000)
        lab.line.restart([JourneysStage(lab.source, lab.codec)])
    assert lab.sent() == [FIRST + n * 1000 for n in range(450)]


def test_persons_who_become_one_during_a_broadcast_enter_once(lab: Lab) -> None:
    lab.journey("news", DAILY.replace("of: vip", "of: vip, rate: 1/h"))
    one, two = people(lab, 2)
    lab.profiles[two]["segments"] = ["vip"]
    lab.until(FIRST + 5_000)
    slots = {one: 2}
    lab.move(slots, one, two, FIRST + 10_000)
    lab.arrived(slots, two, FIRST + 10_000)
    lab.until(at(hours=20))
    assert lab.sent() == [FIRST], "what waited for its turn is not sent a second time"
    assert lab.reasons().count(reasons.FINISHED) == lab.reasons().count(reasons.MERGED) == 1


def test_of_two_runs_that_wait_for_their_turn_and_meet_one_goes_on(lab: Lab) -> None:
    lab.journey("news", DAILY.replace("of: vip", "of: vip, rate: 1/h, on_repeat: parallel"))
    found = people(lab, 3)
    first, one, two = sorted(found, key=person_id)
    lab.profiles[two]["segments"] = ["vip"]
    lab.until(FIRST + 5_000)
    slots = {one: 2}
    lab.move(slots, one, two, FIRST + 10_000)
    lab.arrived(slots, two, FIRST + 10_000)
    lab.until(at(hours=20))
    assert [send.person_id for send in lab.sends()] == [person_id(first), person_id(two)]


def test_somebody_absorbed_before_being_looked_at_is_in_it_all_the_same(lab: Lab) -> None:
    lab.journey("news", DAILY)
    one, two = people(lab, 2)
    lab.event("Seen", at(minutes=5), two, changes=[("vip", "left")])
    # the occurrence is past, nobody was looked at yet
    slots = {one: 2}
    lab.move(slots, one, two, FIRST + 10)
    lab.arrived(slots, two, FIRST + 10)
    lab.until(at(hours=20))
    assert lab.sent() == [FIRST]


def test_a_person_whose_state_is_on_its_way_is_looked_at_when_it_is_there(lab: Lab) -> None:
    lab.journey("news", DAILY)
    (who,) = people(lab, 1)
    # an update that waits for a slot's state
    lab.event("Seen", FIRST - 5, who, version=3, changes=[])
    lab.until(at(hours=20))
    assert lab.sent() == [FIRST]


def test_an_occurrence_that_the_next_one_has_overtaken_is_left_out(lab: Lab) -> None:
    lab.journey("news", DAILY)
    people(lab, 2)
    wakes, lab.line._wakes = lab.line._wakes, []
    # the worker is down for three days; what is due is kept
    lab.until(at(days=3))
    lab.line.restart([JourneysStage(lab.source, lab.codec)])
    lab.until(at(days=3, hours=1))
    assert wakes
    assert [d.detail for d in lab.decisions() if d.reason == reasons.ENTERED] == [
        "schedule of segment vip at 2026-03-04T14:00:00.000Z"
    ] * 2
    assert {send.at for send in lab.sends()} & {at(days=2, hours=2)} == set(), "it is too late to say it was then"


def test_limits_hold_for_schedules_too(lab: Lab) -> None:
    lab.journey("news", DAILY.replace("of: vip", "of: vip, at_most_every: 36h"))
    people(lab, 1)
    lab.until(at(days=4))
    assert lab.sent() == [FIRST, at(days=2, hours=2)]


def test_a_run_that_is_over_at_the_instant_of_the_next_occurrence_makes_room_for_it(lab: Lab) -> None:
    lab.journey("news", DAILY + "  - wait: 1d\n" + SEND)
    people(lab, 1)
    lab.until(at(days=2))
    assert Counter(lab.sent()) == {FIRST: 1, at(days=1, hours=2): 2}


def test_other_definitions_move_the_schedule_from_their_marker_on(lab: Lab) -> None:
    lab.journey("news", DAILY)
    first = parse(lab.files)
    lab.journey("news", DAILY.replace("14", "16"))
    second = parse(lab.files)
    lab.journey("news", DAILY)
    lab.marker(first.version, at(days=-1))
    people(lab, 3)
    lab.source.publish(second)
    lab.marker(second.version, at(hours=1))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=4)] * 3
    without = {name: text for name, text in lab.files.items() if not name.startswith("journeys/")}
    lab.source.publish(gone := parse(without))
    lab.marker(gone.version, at(days=1))
    lab.until(at(days=3))
    assert len(lab.sends()) == 3


def test_a_version_that_says_the_same_leaves_an_occurrence_as_it_is(lab: Lab) -> None:
    lab.journey("news", DAILY.replace("of: vip", "of: vip, rate: 60/h"))
    first = parse(lab.files)
    second = parse({**lab.files, "templates/other.yaml": "body: x\n"})
    lab.marker(first.version, at(days=-1))
    people(lab, 5)
    lab.until(FIRST + 130_000)
    lab.source.publish(second)
    lab.marker(second.version, FIRST + 140_000)
    lab.until(at(days=1))
    assert lab.sent() == [FIRST + n * 60_000 for n in range(5)]


def test_nothing_is_remembered_where_time_brings_nothing(lab: Lab) -> None:
    lab.journey("plain", "enter: {event: A}\nsteps:\n" + SEND)
    people(lab, 1)
    assert list(lab.line.states("journeys", AGENDA)) == []
    (person,) = (person for _, person in lab.line.states("journeys", PERSONS))
    assert person.version == ""


@few(8)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 30)), max_size=25),
    st.sampled_from([None, "2/h", "6/h"]),
    st.booleans(),
)
def test_everybody_who_was_a_member_at_an_instant_enters_once(
    happened: list[tuple[int, bool, int]], rate: str | None, prompt: bool
) -> None:
    """Against the memberships as they were told, for whoever is touched in between and whoever is not."""
    lab = Lab()
    rated = "" if rate is None else f", rate: {rate}"
    lab.journey(
        "j",
        f"enter: {{schedule: FREQ=HOURLY, of: vip{rated}, on_repeat: parallel}}\nsteps:\n  - emit: {{event: In}}\n",
    )
    member: dict[str, bool] = {}
    expected: Counter[tuple[str, int]] = Counter()
    now = at(minutes=1)
    hour = at(hours=1)

    def pass_to(when: int) -> None:
        nonlocal hour
        while hour < when:
            expected.update((who, hour) for who, inside in member.items() if inside)
            hour += 3_600_000

    for number, inside, minutes in happened:
        now += minutes * 60_000
        pass_to(now)
        who = f"user_id:u{number}"
        if who not in member:
            lab.customer(who)
        changes = [("vip", "entered" if inside else "left")] if member.get(who, False) != inside else []
        member[who] = inside
        if not prompt:
            # the wakes come late: what happens brings the time
            due, lab.line._wakes = lab.line._wakes, []
            lab.event("Seen", now, who, changes=changes)
            lab.line._wakes = sorted({*due, *lab.line._wakes})
            lab.line.advance(now)
        else:
            lab.event("Seen", now, who, changes=changes)
    end = now + 5 * 60_000
    pass_to(end)
    lab.until(end + 60 * 3_600_000)
    entered = Counter(
        (d.person_id, d.detail) for d in lab.decisions() if d.reason == reasons.ENTERED and d.at < min(hour, end)
    )
    assert entered == Counter(
        {
            (person_id(who), f"schedule of segment vip at {iso(when)}"): count
            for (who, when), count in expected.items()
            if when < min(hour, end)
        }
    )
