"""New definitions while the line runs: the answer is the one of definitions that had been there from the start."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.runtime.partitioner import partition_of
from processors.segments import turnover
from processors.segments.keeping import lack
from processors.segments.model import IN_FORCE, KEPT, PEOPLE, TURNOVER, State
from processors.segments.plan import prepare
from schemas.definitions.model import All, Condition, InSegment, Not
from tests.segments.lab import Line, project
from tests.segments.oracle import Happened, members
from tests.segments.test_oracle import ORDERS, SLOTS, TOPICS, Story, T, histories

#: parts of a slot's state that are there whatever the definitions are
ALWAYS = {"first_seen", "traits", "choices", "used", "suppressed", "zone", "lists"}
PARTITIONS = 2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnover, "BUSY_MS", 1)


def test_every_part_of_the_state_is_always_kept_or_asked_for_by_definitions() -> None:
    assert set(State.__struct_fields__) == ALWAYS | set(KEPT)


class Changing(Story):
    """A story during which other versions are applied, in one partition after the other."""

    def __init__(self, versions: list[dict[str, Condition]]) -> None:
        super().__init__(versions[0])
        self.versions_of = {f"v{number}": segments for number, segments in enumerate(versions)}
        projects = [project(segments, [ORDERS], name) for name, segments in self.versions_of.items()]
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
            expected = members(self.versions_of[version], owned.get(person, []), instant)
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
