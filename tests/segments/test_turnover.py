"""New definitions while the line runs: the answer is the one of definitions that had been there from the start."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.runtime.partitioner import partition_of
from processors.segments import turnover
from processors.segments.keeping import lack
from processors.segments.model import IN_FORCE, KEPT, PEOPLE, TURNOVER, State
from processors.segments.plan import prepare
from schemas import topics
from schemas.definitions.expressions import compile
from schemas.definitions.model import All, Condition, Did, EventRule, InSegment, Not, TraitIs, Window
from schemas.records import Erasure, Marker, PersonEnvelope
from tests.segments.lab import D, Line, event, identify, project
from tests.segments.oracle import Happened, members
from tests.segments.test_oracle import ORDERS, SLOTS, TOPICS, Story, T, histories, traits_in

#: parts of a slot's state that are there whatever the definitions are
ALWAYS = {"first_seen", "traits", "choices", "used", "suppressed", "died", "alive", "zone", "place", "lists"}
PARTITIONS = 2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnover, "BUSY_MS", 1)


def test_every_part_of_the_state_is_always_kept_or_asked_for_by_definitions() -> None:
    assert set(State.__struct_fields__) == ALWAYS | set(KEPT)


VIEWED, TWICE = Did(("View",)), Did(("View",), at_least=2)
U1, COOKIE = "user_id:u1#0", "anonymous_id:c#0"


def changing(*segments: dict[str, Condition], events: tuple[EventRule, ...] = (), partitions: int = 1) -> Line:
    """A line that began with the first of these definitions; the others are there to be applied."""
    projects = [project(some, events, f"v{number}") for number, some in enumerate(segments)]
    line = Line(*projects, partitions=partitions, history=True)
    line.apply("v0", T)
    return line


def filled(line: Line, at: int) -> None:
    """Nobody is busy any more."""
    line.stage.allowed = None
    line.until(at)


def test_a_new_segment_counts_what_happened_before_it_and_says_so() -> None:
    line = changing({"viewed": VIEWED}, {"viewed": VIEWED, "twice": TWICE})
    line.happen(event("View", T + 1), event("View", T + 2))
    line.apply("v1", T + 10)
    line.until(T + 11)
    assert line.story("twice") == [(T + 10, "entered", "backfill")]
    assert line.story("viewed") == [(T + 1, "entered", "event")]
    (change,) = [change for _, change in line.changes if change.segment == "twice"]
    assert change.reason == "history was filled in; View: 2"
    assert "twice" in line.profile()["segments"]


def test_until_its_history_is_there_a_segment_gives_no_half_answers() -> None:
    window = Window(far=10 * D)
    old = {"changed": VIEWED, "still": Not(InSegment("changed"))}
    new = {"changed": Did(("View",), at_least=3), "still": Not(InSegment("changed")), "new": TWICE, "trait": VIEWED}
    new |= {"seldom": Did(("View",), at_least=0, at_most=2, window=window), "kyiv": TraitIs("city", "equals", "Kyiv")}
    line = changing(old, new)
    line.happen(event("View", T + 1), identify(T + 2, traits={"city": "Kyiv"}), event("View", T + 3))
    line.stage.allowed = 0
    line.apply("v1", T + 10)
    line.happen(event("View", T + 20))
    assert line.story("changed") == [(T + 1, "entered", "event")]
    assert line.person().filling == ("changed", "new", "seldom", "still")
    assert line.story("kyiv") == [(T + 10, "entered", "definition")], "what needs no history does not wait for it"
    assert line.story("trait") == [(T + 10, "entered", "definition")], "another segment had the same condition"
    filled(line, T + 30)
    assert [line.story(name)[1:] for name in ("changed", "still")] == [[], []], "three by now: nothing has changed"
    assert line.story("new") == [(T + 20, "entered", "backfill")]
    line.until(T + 20 * D)
    assert line.story("seldom") == [(T + 1 + 10 * D, "entered", "timer")]


def test_who_is_never_touched_again_leaves_what_is_gone_and_keeps_no_state_of_it() -> None:
    line = changing({"viewed": VIEWED, "twice": TWICE}, {"viewed": VIEWED})
    line.happen(event("View", T + 1), event("View", T + 2))
    line.apply("v1", T + 10)
    line.until(T + 11)
    assert line.story("twice") == [(T + 2, "entered", "event"), (T + 10, "left", "definition")]
    state = line.person().slots.held[U1].state
    assert state is not None
    assert len(state.counted) == 1


def test_who_nothing_changes_for_is_not_written_again() -> None:
    line = changing({"viewed": VIEWED}, {"viewed": VIEWED, "kyiv": TraitIs("city", "equals", "Kyiv")})
    line.happen(event("View", T + 1))
    line.apply("v1", T + 10)
    line.until(T + 11)
    assert line.person().version == "v0"
    line.happen(event("View", T + 20))
    assert line.person().version == "v1"


def test_history_follows_its_slot_to_the_person_it_has_gone_to() -> None:
    line = changing({}, {"twice": TWICE}, partitions=3)
    line.happen(event("View", T + 1, identifiers=["anonymous_id:c"]), person="C", slot=COOKIE)
    line.happen(event("View", T + 2))
    line.move("C", "D", {COOKIE: 2}, at=T + 3)
    line.move("D", "P", {COOKIE: 3}, at=T + 4)
    line.apply("v1", T + 10)
    line.until(T + 11)
    assert line.story("twice") == [(T + 10, "entered", "backfill")]
    line.move("P", "C", {COOKIE: 4}, at=T + 20, reason="split")
    assert line.story("twice")[1:] == [(T + 20, "left", "split")]


def test_a_move_while_history_is_read_takes_along_what_is_there_and_the_rest_follows() -> None:
    line = changing({}, {"thrice": Did(("View",), at_least=3)}, partitions=3)
    for at in (1, 2):
        line.happen(event("View", T + at, identifiers=["anonymous_id:c"]), person="C", slot=COOKIE)
    line.happen(event("View", T + 3))
    line.stage.allowed = 1
    line.apply("v1", T + 10)
    line.move("C", "P", {COOKIE: 2}, at=T + 12)
    filled(line, T + 20)
    assert line.story("thrice") == [(T + 12, "entered", "backfill")]


@pytest.mark.parametrize("seed", range(12))
def test_nobody_answers_while_history_is_still_on_its_way_from_person_to_person(seed: int) -> None:
    projects = [project({}, version="v0"), project({"once": Did(("View",), at_most=1)}, version="v1")]
    line = Line(*projects, partitions=8, history=True, draw=Random(seed))
    line.apply("v0", T)
    homes = [f"person {number}" for number in range(6)]
    for number in range(4):
        slot, at = f"anonymous_id:{number}#0", T + 10 * number
        line.happen(event("View", at, identifiers=[f"anonymous_id:{number}"]), person=homes[0], slot=slot)
        for version, (origin, to) in enumerate(pairwise(homes), 2):
            line.move(origin, to, {slot: version}, at=at + version)
    assert line.person(homes[-1]).slots.held.keys() == {f"anonymous_id:{number}#0" for number in range(4)}
    for number in range(8):
        marker = PersonEnvelope(kind="marker", person_id="", marker=Marker(version="v1", at=T + 99))
        line.line.publish(topics.PEOPLE, "", line.codec.encode(marker), number)
    line.until(T + 100)
    assert all(line.story("once", person) == [] for person in homes)
    assert all(force.version == "v1" and not force.earlier for _, force in line.line.states("segments", IN_FORCE))


def erase(line: Line, person: str, slot: str, at: int) -> None:
    erasure = Erasure(identifiers=[slot.split("#")[0]], slots=[slot], at=at)
    line.publish(PersonEnvelope(kind="erasure", person_id=person, erasure=erasure))


@pytest.mark.parametrize("reads", [0, 1, None])
def test_who_is_erased_while_history_is_read_does_not_come_back(reads: int | None) -> None:
    line = changing({}, {"viewed": VIEWED}, partitions=2)
    for at in (1, 2, 3, 4):
        line.happen(event("View", T + at, identifiers=["anonymous_id:c"]), person="C", slot=COOKIE)
    line.move("C", "P", {COOKIE: 2}, at=T + 5)
    line.stage.allowed = reads
    line.apply("v1", T + 10)
    line.until(T + 11)
    for person in ("C", "P"):
        erase(line, person, COOKIE, T + 12)
    told = len(line.changes)
    filled(line, T + 20)
    assert line.changes[told:] == []
    assert all(not person.slots.held for _, person in line.line.states("segments", PEOPLE))


def test_what_is_applied_while_history_is_read_begins_anew_and_a_rollback_too() -> None:
    line = changing({"viewed": VIEWED}, {"twice": TWICE}, {"thrice": Did(("View",), at_least=3), "viewed": VIEWED})
    line.happen(*(event("View", T + at) for at in (1, 2, 3)))
    line.stage.allowed = 1
    line.apply("v1", T + 10)
    line.until(T + 11)
    line.apply("v2", T + 12)
    assert line.story("viewed")[1:] == [(T + 10, "left", "definition")]
    line.until(T + 13)
    line.apply("v0", T + 14)
    line.happen(event("View", T + 15))
    filled(line, T + 30)
    assert line.story("thrice") == line.story("twice") == []
    assert line.story("viewed")[2:] == [(T + 15, "entered", "backfill")]
    line.apply("v1", T + 40)
    line.until(T + 41)
    assert line.story("viewed")[3:] == [(T + 40, "left", "definition")]
    assert line.story("twice") == [(T + 40, "entered", "backfill")]


def test_a_worker_that_dies_while_it_reads_history_leaves_it_to_the_next() -> None:
    line = changing({}, {"twice": TWICE})
    line.happen(*(event("View", T + at) for at in (1, 2, 3)))
    line.line.performing = False
    line.apply("v1", T + 10)
    line.until(T + 20)
    assert line.story("twice") == []
    line.line.performing = True
    line.line.restart([line.stage])
    line.until(T + 21)
    assert line.story("twice") == [(T + 20, "entered", "backfill")]


def test_reports_kept_for_one_segment_are_completed_for_another_that_asks_more_of_them() -> None:
    rule = EventRule("Order", same="properties.order_id", revenue="properties.total", undo=("Refund",))
    dear = Did(("Order",), where=compile("event.properties.total > 20"))
    gift = Did(("Order",), where=compile("event.properties.gift == true && event.properties.total > 20"))
    line = changing({"dear": dear}, {"dear": dear, "gift": gift}, events=(rule,))
    properties = {"order_id": 1, "total": 30, "gift": True}
    line.happen(event("Order", T + 1, properties=properties))
    line.stage.allowed = 0
    line.apply("v1", T + 10)
    line.happen(event("View", T + 12))
    assert line.person().filling == ("gift",)
    filled(line, T + 20)
    assert line.story("gift") == [(T + 12, "entered", "backfill")]
    line.happen(event("Refund", T + 30, properties={"order_id": 1}))
    assert line.story("gift")[1:] == line.story("dear")[1:] == [(T + 30, "left", "event")]


class Changing(Story):
    """A story during which other versions are applied, in one partition after the other."""

    def __init__(self, versions: list[dict[str, Condition]]) -> None:
        super().__init__(versions[0])
        self.versions_of = {f"v{number}": segments for number, segments in enumerate(versions)}
        projects = [
            project(segments, [ORDERS], name, traits=traits_in(segments)) for name, segments in self.versions_of.items()
        ]
        self.plans = {one.version: prepare(one) for one in projects}
        self.line = Line(*projects, partitions=PARTITIONS, history=True)
        self.checks: list[tuple[int, str, dict[str, list[Happened]], str, set[str]]] = []
        self.behind: list[tuple[str, int, int]] = []
        self.applied, self.since = "v0", self.now
        self.line.apply("v0", self.now)

    def follow(self, script: list[dict[str, Any]]) -> None:
        for number, step in enumerate(script):
            self.remember(step["wait"])
            self.line.stage.allowed = step["reads"]
            if step["apply"] is not None:
                self._apply(step["apply"])
            elif step["name"] == "Move":
                self._move(step["slot"], step["to"])
            else:
                self._event(number, step)
            if step["catch up"]:
                self._catch_up()
        self._catch_up()
        self.line.stage.allowed = None
        self.remember(60)

    def _apply(self, version: str) -> None:
        self._catch_up()
        if version != self.applied:
            self._skip()
            self.applied, self.since = version, self.now
            self.line.mark(version, self.now, 0)
            self.behind = [(version, self.now, number) for number in range(1, PARTITIONS)]

    def _skip(self) -> None:
        """Who has not followed the version in force yet goes over to the next one directly."""
        if list(self.line.line.states("segments", TURNOVER)):
            states = dict(self.line.line.states("segments", PEOPLE))
            late = {name for name, state in states.items() if state.version != self.applied or state.filling}
            self.checks = [one for one in self.checks if one[0] < self.since or one[1] not in late]

    def _catch_up(self) -> None:
        for version, at, number in self.behind:
            self.line.mark(version, at, number)
        self.behind = []

    def remember(self, wait: int) -> None:
        owned: dict[str, list[Happened]] = defaultdict(list)
        for one in self.events:
            owned[self.homes[one.slot]].append(one)
        for instant in range(self.now, self.now + wait):
            self.line.until(instant)
            for person in set(SLOTS.values()):
                unsure = self._unsure(person)
                if unsure is not None:
                    self.checks.append((instant, person, owned, self.applied, unsure))
        self.now += wait

    def _unsure(self, person: str) -> set[str] | None:
        """Segments that can't be told yet; None when the version of the person's partition is not the one applied."""
        number = partition_of(person.encode(), PARTITIONS)
        if any(number == late for _, _, late in self.behind):
            return None
        force = list(self.line.line.states("segments", IN_FORCE))[number][1]
        if force.filled is not None:
            return set()
        return set(lack(self.plans[force.version], [self.plans[one] for one in force.earlier]).waiting)

    def judge(self) -> None:
        published: dict[str, list[tuple[int, str, str, str]]] = defaultdict(list)
        for person, change in self.line.changes:
            published[person].append((change.at, change.segment, change.change, change.cause))
        for person, told in published.items():
            inside: set[str] = set()
            for _, segment, change, _ in told:
                assert (segment in inside) == (change == "left"), "entered and left alternate"
                (inside.remove if change == "left" else inside.add)(segment)
            times = [at for at, *_ in told]
            assert times == sorted(times), person
        for instant, person, owned, version, unsure in self.checks:
            inside = set()
            for at, segment, change, _ in published[person]:
                if at <= instant:
                    (inside.remove if change == "left" else inside.add)(segment)
            segments = self.versions_of[version]
            expected = members(segments, owned.get(person, []), instant, traits_in(segments))
            assert inside - unsure == expected - unsure, f"{person} at {instant - T} under {version}"
        assert not list(self.line.line.states("segments", TURNOVER))
        assert all(force.earlier == () for _, force in self.line.line.states("segments", IN_FORCE))
        for _, person in self.line.line.states("segments", PEOPLE):
            assert not person.filling
            for slot in person.slots.held.values():
                names = {(part, name) for part in KEPT for name in getattr(slot.state, part, ())}
                assert names <= self.plans[self.applied].kept.keys()


@st.composite
def changes(draw: st.DrawFn, topic: str) -> tuple[list[dict[str, Condition]], list[dict[str, Any]]]:
    """Three versions, and what happens while they are applied."""
    segments, script = draw(histories(topic))
    other, _ = draw(histories(topic))
    # a version that has some of the first one as it was, and some of its names with other meanings
    third = {"one": other["one"], "three": segments["one"], "new": other["three"]}
    third["new"] = All((other["one"], Not(InSegment("one")))) if draw(st.booleans()) else other["one"]
    versions = [segments, {**other}, third]
    for step in script:
        step["apply"] = draw(st.sampled_from([None] * 5 + ["v0", "v1", "v2"]))
        step["reads"] = draw(st.sampled_from([0, 1, 1, 2, None]))
        step["catch up"] = draw(st.booleans())
    return versions, script


@pytest.mark.parametrize("topic", TOPICS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_is_applied_when_the_answers_are_those_of_definitions_from_the_start(
    topic: str, data: st.DataObject
) -> None:
    versions, script = data.draw(changes(topic))
    story = Changing(versions)
    story.follow(script)
    story.judge()
