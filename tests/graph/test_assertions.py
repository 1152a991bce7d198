"""What people assert about identifiers: obeyed in any order of arrival, told with its reason, taken back as it was."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.graph.model import NODES
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.definitions.model import IdentityRules
from schemas.identifiers import person_id, split
from schemas.records import Assertion, LinkEnvelope
from tests.graph.rules import CODEC, assignments, graph, link, moves, persons, refusals, shop
from tests.graph.test_order import TYPES, Link, some_rules


class Word(NamedTuple):
    """An assertion."""

    verb: str
    a: str
    b: str
    at: int


def tell(line: MemoryLine, verb: str, a: str, b: str = "", at: int = 1_000, reason: str = "as told") -> None:
    """An assertion arrives."""
    assertion = Assertion(verb=verb, a=a, b=b, author="ann", reason=reason, at=at)
    line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=assertion)))
    line.drain()


@st.composite
def cases(draw: st.DrawFn) -> tuple[IdentityRules, list[Link | Word]]:
    identifier = st.builds(
        lambda type, value: f"{type}:{value}", st.sampled_from(TYPES), st.integers(1, draw(st.integers(1, 4)))
    )
    two = st.tuples(identifier, identifier).filter(lambda pair: pair[0] != pair[1])
    instant = st.integers(1, draw(st.sampled_from([2, 9])))
    links = st.builds(lambda pair, at: (*pair, at), two, instant)
    paired = st.builds(
        lambda verb, pair, at: Word(verb, *pair, at), st.sampled_from(["never", "always", "revoke"]), two, instant
    )
    single = st.builds(
        lambda verb, a, at: Word(verb, a, "", at), st.sampled_from(["unlink", "unlink", "revoke"]), identifier, instant
    )
    records = draw(st.lists(links | links | paired | single, min_size=1, max_size=16))
    return some_rules(draw, ()), records


def oracle(
    identity: IdentityRules, records: list[Link | Word]
) -> tuple[dict[str, set[str]], dict[tuple[str, str], str]]:
    """Persons by their ids and refused links, by sets that are rebuilt for every link."""

    def rank(identifier: str) -> int:
        return identity.types[split(identifier)[0]].rank

    def shared(identifier: str) -> str:
        return identity.types[split(identifier)[0]].shared

    def ordered(one: str, other: str) -> tuple[str, str]:
        return min((one, other), (other, one), key=lambda pair: (rank(pair[0]), pair[0]))

    sightings: dict[tuple[str, str], list[int]] = defaultdict(list)
    words: dict[tuple[str, str], tuple[int, str]] = {}
    seen: dict[str, int] = {}
    for record in records:
        *ends, at = (record.a, record.b, record.at) if isinstance(record, Word) else record
        for end in filter(None, ends):
            seen[end] = min(seen.get(end, at), at)
        if isinstance(record, Word):
            pair = ordered(record.a, record.b) if record.b else (record.a, "")
            words[pair] = max(words.get(pair, (at, record.verb)), (at, record.verb))
        else:
            sightings[ordered(*ends)].append(at)
    known = sorted(seen)
    unlinked = {pair[0]: at for pair, (at, verb) in words.items() if verb == "unlink"}
    never = sorted(pair for pair, (_, verb) in words.items() if verb == "never")
    always = sorted(
        (-at, pair)
        for pair, (at, verb) in words.items()
        if verb == "always" and all(unlinked.get(end, at - 1) < at for end in pair)
    )
    owners = {b: {a for a, other in sightings if other == b and rank(a) < rank(b)} for b in known}
    isolated = {b: f"hub: {identity.hub}" for b in known if identity.hub is not None and len(owners[b]) > identity.hub}

    def when(pair: tuple[str, str]) -> tuple[int, int, str, str]:
        a, b = pair
        at = -max(sightings[pair]) if shared(b) == "newest" else min(sightings[pair])
        return rank(b), at, a, b

    while True:
        people = [{identifier} for identifier in known]
        refused: dict[tuple[str, str], str] = {}
        found: dict[str, str] = {}
        owned: set[str] = set()
        told = [(pair, True) for _, pair in always]
        for (a, b), asserted in [*told, *((pair, False) for pair in sorted(sightings, key=when))]:
            if not asserted:
                hubs = [isolated[end] for end in (a, b) if isolated.get(end, "").startswith("hub")]
                alone = [f"unlinked: {end}" for end in (a, b) if max(sightings[a, b]) <= unlinked.get(end, -1)]
                apart = hubs or alone or [isolated[end] for end in (b, a) if end in isolated]
                if apart:
                    refused[a, b] = apart[0]
                    continue
            left = next(person for person in people if a in person)
            right = next(person for person in people if b in person)
            both = left | right
            if left is not right:
                enemies = [pair for pair in never if both.issuperset(pair)]
                broken = [
                    f"{type.name} {type.limit}"
                    for type in sorted(identity.types.values(), key=lambda type: type.rank)
                    if type.limit is not None
                    and not asserted
                    and sum(split(one)[0] == type.name for one in both) > type.limit
                    and all(any(split(one)[0] == type.name for one in side) for side in (left, right))
                ]
                if enemies:
                    if not asserted:
                        refused[a, b] = f"never: {' '.join(enemies[0])}"
                    continue
                if broken:
                    policy = shared(b) if b in owned else "keep"
                    refused[a, b] = ("superseded: " if policy == "newest" else "limit: ") + broken[0]
                    if policy == "separate":
                        found.setdefault(b, f"separate: {broken[0]}")
                    continue
            elif asserted:
                continue
            owned.add(b)
            people = [person for person in people if person is not left and person is not right] + [both]
        if not found:
            break
        isolated |= found
    named = {person_id(min(person, key=lambda one: (rank(one), seen[one], one))): person for person in people}
    return named, refused


def run(identity: IdentityRules, records: list[Link | Word]) -> MemoryLine:
    line = graph(identity)
    for record in records:
        if isinstance(record, Word):
            tell(line, *record)
        else:
            link(line, *record)
    return line


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_any_order_of_links_and_assertions_gives_the_persons_of_the_whole_set(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, records = case
    people, refused = oracle(identity, records)
    random.shuffle(records)
    line = run(identity, records)
    assert not line.outputs[topics.DEAD_LETTERS]
    found: dict[str, set[str]] = defaultdict(set)
    for identifier, assignment in assignments(line).items():
        found[assignment.periods[-1].person_id].add(identifier)
    assert found == people
    assert refusals(line) == refused


@given(cases())
@settings(max_examples=150, deadline=None)
def test_moves_follow_each_slot_to_where_assignments_say(case) -> None:  # type: ignore[no-untyped-def]
    line = run(*case)
    place: dict[str, tuple[str, int]] = {}
    for envelope in moves(line):
        assert envelope.move is not None
        for slot in envelope.move.slots:
            person, version = place.get(slot.slot, (person_id(slot.slot.rpartition("#")[0]), 1))
            assert (person, version + 1) == (envelope.person_id, slot.version)
            place[slot.slot] = (envelope.move.to, slot.version)
    for identifier, assignment in assignments(line).items():
        for period in assignment.periods:
            assert place.get(period.slot, (person_id(identifier), 1)) == (period.person_id, period.version)


def test_never_takes_two_apart_whom_a_third_joined_and_a_revocation_joins_them_again() -> None:
    line = run(shop(), [("user_id:1", "anonymous_id:k", 1), ("email:a@x.com", "anonymous_id:k", 2)])
    tell(line, "never", "email:a@x.com", "user_id:1", 10)
    assert persons(line) == [{"anonymous_id:k", "user_id:1"}, {"email:a@x.com"}]
    assert refusals(line) == {("email:a@x.com", "anonymous_id:k"): "never: user_id:1 email:a@x.com"}
    tell(line, "revoke", "user_id:1", "email:a@x.com", 20)
    assert persons(line) == [{"anonymous_id:k", "email:a@x.com", "user_id:1"}]
    assert refusals(line) == {}


def test_an_assertion_that_arrives_late_does_not_count_against_a_newer_one() -> None:
    line = run(shop(), [])
    tell(line, "always", "user_id:1", "user_id:2", 10)
    tell(line, "never", "user_id:2", "user_id:1", 9)
    assert persons(line) == [{"user_id:1", "user_id:2"}]
    tell(line, "revoke", "user_id:1", "user_id:2", 9)
    assert persons(line) == [{"user_id:1", "user_id:2"}]


def test_always_joins_two_users_beyond_the_limit_and_keeps_out_only_a_third() -> None:
    line = run(shop(), [("user_id:1", "email:a@x.com", 1), ("user_id:2", "email:b@x.com", 2)])
    tell(line, "always", "user_id:1", "user_id:2")
    link(line, "user_id:2", "anonymous_id:k", 2_000)
    link(line, "user_id:3", "anonymous_id:k", 3_000)
    assert persons(line) == [
        {"anonymous_id:k", "email:a@x.com", "email:b@x.com", "user_id:1", "user_id:2"},
        {"user_id:3"},
    ]
    assert refusals(line) == {("user_id:3", "anonymous_id:k"): "limit: user_id 1"}


def test_never_holds_against_always_that_would_join_the_two_through_others() -> None:
    line = run(shop(), [])
    tell(line, "never", "user_id:1", "user_id:3", 1)
    tell(line, "always", "user_id:1", "user_id:2", 2)
    tell(line, "always", "user_id:2", "user_id:3", 3)
    assert persons(line) == [{"user_id:1"}, {"user_id:2", "user_id:3"}]
    tell(line, "revoke", "user_id:1", "user_id:3", 4)
    assert persons(line) == [{"user_id:1", "user_id:2", "user_id:3"}]


def test_always_gives_a_shared_device_to_one_person_for_all_times() -> None:
    line = run(shop("newest"), [("user_id:1", "anonymous_id:k", 1), ("user_id:2", "anonymous_id:k", 5)])
    tell(line, "always", "user_id:1", "anonymous_id:k")
    assert {period.person_id for period in assignments(line)["anonymous_id:k"].periods} == {person_id("user_id:1")}
    link(line, "user_id:2", "anonymous_id:k", 2_000)
    assert assignments(line)["anonymous_id:k"].periods[-1].person_id == person_id("user_id:1")


def test_unlink_lets_an_identifier_stand_alone_until_it_is_seen_later() -> None:
    line = run(shop(), [("user_id:1", "email:a@x.com", 1), ("email:a@x.com", "anonymous_id:k", 2)])
    tell(line, "unlink", "email:a@x.com", at=10)
    assert persons(line) == [{"anonymous_id:k"}, {"email:a@x.com"}, {"user_id:1"}]
    assert set(refusals(line).values()) == {"unlinked: email:a@x.com"}
    assert assignments(line)["user_id:1"].superseded == ["email:a@x.com"]
    link(line, "user_id:1", "email:a@x.com", 10)
    assert persons(line) == [{"anonymous_id:k"}, {"email:a@x.com"}, {"user_id:1"}]
    link(line, "user_id:1", "email:a@x.com", 11)
    assert persons(line) == [{"anonymous_id:k"}, {"email:a@x.com", "user_id:1"}]
    assert assignments(line)["user_id:1"].superseded == []


def test_unlink_ends_what_was_asserted_before_and_not_what_is_asserted_after() -> None:
    line = run(shop(), [])
    tell(line, "always", "user_id:1", "email:a@x.com", 5)
    tell(line, "unlink", "email:a@x.com", at=10)
    assert persons(line) == [{"email:a@x.com"}, {"user_id:1"}]
    tell(line, "always", "user_id:1", "email:a@x.com", 15)
    assert persons(line) == [{"email:a@x.com", "user_id:1"}]


@pytest.mark.parametrize(
    ("verb", "a", "b", "why"),
    [
        ("sometimes", "user_id:1", "user_id:2", "no assertion known here: sometimes"),
        ("never", "user_id:1", "", "never is about another number of identifiers than 1"),
        ("unlink", "user_id:1", "user_id:2", "unlink is about another number of identifiers than 2"),
        ("always", "user_id:1", "user_id:1", "always user_id:1 with itself"),
        ("always", "user_id:1", "user_id:null", "user_id:null: blocked value"),
        ("never", "shoe_size:1", "user_id:1", "shoe_size:1: unknown identifier type"),
    ],
)
def test_what_can_not_be_obeyed_is_a_dead_letter_with_the_reason(verb: str, a: str, b: str, why: str) -> None:
    line = run(shop(), [("user_id:1", "email:a@x.com", 1)])
    tell(line, verb, a, b)
    (letter,) = line.outputs[topics.DEAD_LETTERS]
    assert dict(letter.headers)["message"].decode() == why
    assert persons(line) == [{"email:a@x.com", "user_id:1"}]


def test_who_decided_and_why_is_kept() -> None:
    line = run(shop(), [])
    tell(line, "never", "user_id:1", "user_id:2", 7, "two brothers")
    for one, other in (("user_id:1", "user_id:2"), ("user_id:2", "user_id:1")):
        node = line.state("graph", NODES, one)
        assert node is not None
        said = node.assertions[other]
        assert (said.verb, said.at, said.author, said.reason) == ("never", 7, "ann", "two brothers")
