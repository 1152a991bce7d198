"""A change of the rules: whatever the graph has kept is judged by them, as if they had held from the start."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.graph import settle, step
from processors.graph.model import NODES
from processors.graph.review import REVIEW, fingerprint
from processors.graph.step import GraphStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions.model import IdentityRules, Project
from schemas.identifiers import person_id
from schemas.records import PersonEnvelope, Refusal
from tests.graph.rules import CODEC, assignments, link, moves, project, rules
from tests.graph.test_assertions import Word, tell
from tests.graph.test_assertions import cases as records
from tests.graph.test_order import TYPES, Link

Records = list[Link | Word]


class Graph:
    """The graph in memory, whose rules can be changed."""

    def __init__(self, identity: IdentityRules) -> None:
        self.source = FixedDefinitions(project(identity))
        self.line = MemoryLine([GraphStage(self.source, CODEC)], VirtualClock())

    def take(self, *many: Link | Word) -> None:
        for record in many:
            if isinstance(record, Word):
                tell(self.line, *record)
            else:
                link(self.line, *record)

    def change(self, identity: IdentityRules) -> None:
        """Other rules are published; the graph sees them with its next record."""
        version = fingerprint(identity)
        self.source.publish(Project("test", "UTC", "", None, identity, {}, {}, {}, {}, {}, version, {}))

    def step(self) -> None:
        """One step of the review, if it is under way."""
        due = self.line.next_wake()
        if due is not None:
            self.line.advance(due)

    def finish(self) -> None:
        while self.line.next_wake() is not None:
            self.step()

    def persons(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for identifier, assignment in assignments(self.line).items():
            found[assignment.periods[-1].person_id].add(identifier)
        return found

    def refused(self) -> dict[frozenset[str], str]:
        """Reasons of the links that do not count as the nodes have them."""
        nodes = dict(self.line.states("graph", NODES))
        return {
            frozenset((one, other)): known.refused
            for one, node in nodes.items()
            for other, known in node.links.items()
            if known.refused
        }

    def reported(self) -> set[frozenset[str]]:
        """Links that do not count as the refusals tell it."""
        found: set[frozenset[str]] = set()
        for record in self.line.outputs[topics.REFUSALS]:
            refusal = CODEC.decode(Refusal, record.value)
            (found.add if refusal.refused else found.discard)(frozenset((refusal.a, refusal.b)))
        return found


@st.composite
def changes(draw: st.DrawFn) -> tuple[IdentityRules, IdentityRules, Records, int]:
    """Rules, others, records, and how many of these come before the change."""
    _, taken = draw(records())
    limit, shared = st.sampled_from([None, 1, 2, 3]), st.sampled_from(["keep", "keep", "newest", "separate"])
    before, after = (
        rules(
            draw(st.sampled_from([None, 1, 2, 3])),
            **{name: {"limit": draw(limit), "shared": draw(shared)} for name in draw(st.permutations(TYPES))},
        )
        for _ in range(2)
    )
    return before, after, taken, draw(st.integers(1, len(taken)))


@given(changes(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_after_a_change_the_persons_are_those_of_the_new_rules(case, random: Random) -> None:  # type: ignore[no-untyped-def]
    before, after, taken, at = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "STEP", random.choice([1, 3, 1_000]))
        changed = Graph(before)
        changed.take(*taken[:at])
        changed.change(after)
        changed.take(taken[0])
        for record in taken[at:]:
            if random.random() < 0.5:
                changed.step()
            changed.take(record)
        changed.finish()
    fresh = Graph(after)
    fresh.take(*taken)
    assert changed.persons() == fresh.persons()
    assert changed.refused() == fresh.refused()
    assert changed.reported() == set(changed.refused())
    place: dict[str, tuple[str, int]] = {}
    for envelope in moves(changed.line):
        assert envelope.move is not None
        for slot in envelope.move.slots:
            person, version = place.get(slot.slot, (person_id(slot.slot.rpartition("#")[0]), 1))
            assert (person, version + 1) == (envelope.person_id, slot.version)
            place[slot.slot] = (envelope.move.to, slot.version)


def test_the_same_rules_published_again_change_nothing() -> None:
    graph = Graph(rules(user_id={"limit": 1}, anonymous_id={}))
    graph.take(("user_id:1", "anonymous_id:k", 1))
    graph.change(rules(user_id={"limit": 1}, anonymous_id={}))
    graph.take(("user_id:2", "anonymous_id:l", 2))
    assert graph.line.next_wake() is None


def test_steps_are_bounded_and_new_links_are_taken_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "STEP", 20)
    graph = Graph(rules(user_id={"limit": 1}, anonymous_id={}))
    for number in range(100):
        graph.take(
            (f"user_id:{number}", f"anonymous_id:{number}", number), ("user_id:0", f"anonymous_id:{number}", 900)
        )
    assert len(graph.persons()) == 100
    graph.change(rules(user_id={}, anonymous_id={}))
    graph.take(("user_id:a", "anonymous_id:a", 1))
    steps = 0
    while graph.line.next_wake() is not None:
        graph.step()
        steps += 1
        assert {"user_id:a", "anonymous_id:a"} in graph.persons().values()
    assert steps > 10
    assert len(graph.persons()) == 2
    review = graph.line.state("graph", REVIEW, "")
    assert review is not None
    assert (review.stage, review.identifiers, review.moved) == ("", 202, 198)


def test_an_identifier_that_is_blocked_now_stands_alone() -> None:
    graph = Graph(rules(email={}, anonymous_id={}))
    graph.take(("email:info@x.com", "anonymous_id:k", 1), ("email:info@x.com", "anonymous_id:l", 2))
    blocked = rules(email={}, anonymous_id={})
    graph.change(IdentityRules(blocked.types, frozenset({"info@x.com"}), hub=blocked.hub))
    graph.take(("email:a@x.com", "anonymous_id:k", 3))
    graph.finish()
    assert sorted(map(sorted, graph.persons().values())) == [
        ["anonymous_id:k", "email:a@x.com"],
        ["anonymous_id:l"],
        ["email:info@x.com"],
    ]
    assert set(graph.refused().values()) == {"blocked value"}


def test_a_hub_that_is_none_any_more_joins_again_also_what_it_did_not_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "KEPT", 5)
    graph = Graph(rules(3, user_id={}, email={}, anonymous_id={}))
    graph.take(*((f"user_id:{number}", "email:e@x.com", number) for number in range(10)))
    graph.take(*(("email:e@x.com", f"anonymous_id:{number}", number) for number in range(20)))
    assert len(graph.persons()) == 31
    graph.change(rules(10, user_id={}, email={}, anonymous_id={}))
    graph.take(("user_id:0", "email:e@x.com", 0))
    graph.finish()
    assert [len(person) for person in graph.persons().values()] == [31]
    assert {CODEC.decode(PersonEnvelope, record.value).kind for record in graph.line.outputs[topics.PEOPLE]} == {"move"}


def test_what_is_a_hub_now_joins_nobody() -> None:
    graph = Graph(rules(None, user_id={}, phone={}, anonymous_id={}))
    graph.take(*((f"user_id:{number}", "phone:1", number) for number in range(3)), ("phone:1", "anonymous_id:k", 9))
    assert len(graph.persons()) == 1
    graph.change(rules(2, user_id={}, phone={}, anonymous_id={}))
    graph.take(("user_id:0", "phone:1", 0))
    graph.finish()
    assert len(graph.persons()) == 5
    assert set(graph.refused().values()) == {"hub: 2"}
