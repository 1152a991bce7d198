"""Persons are a function of the set of links: any order of arrival, one result, that of a slow obvious oracle."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.graph.model import NODES
from processors.graph.policy import Edge, resolve
from processors.runtime.memory import MemoryLine
from schemas.definitions.durations import spoken
from schemas.definitions.model import IdentifierType, IdentityRules
from schemas.identifiers import person_id, split
from tests.graph.rules import assignments, graph, link, moves, persons, refusals, rules

Link = tuple[str, str, int]

TYPES = ("user_id", "email", "phone", "anonymous_id")


def some_rules(draw: st.DrawFn, periods: tuple[int, ...] = ()) -> IdentityRules:
    limit = st.sampled_from([None, 1, 2, 3])
    shared = st.sampled_from(["keep", "keep", "newest", "separate"])
    per = st.sampled_from([None, None, None, *periods])
    return rules(
        draw(st.sampled_from([None, 1, 2, 3])),
        **{name: {"limit": draw(limit), "shared": draw(shared), "per": draw(per)} for name in TYPES},
    )


@st.composite
def cases(draw: st.DrawFn, until: int = 9, periods: tuple[int, ...] = (2, 4)) -> tuple[IdentityRules, list[Link]]:
    identifier = st.builds(
        lambda type, value: f"{type}:{value}", st.sampled_from(TYPES), st.integers(1, draw(st.integers(1, 4)))
    )
    pairs = st.tuples(identifier, identifier, st.integers(1, draw(st.sampled_from([2, until]))))
    links = draw(st.lists(pairs.filter(lambda link: link[0] != link[1]), min_size=1, max_size=14))
    return some_rules(draw, periods), links


def oracle(identity: IdentityRules, links: list[Link]) -> tuple[list[set[str]], dict[tuple[str, str], str]]:
    """Persons and refused links, by sets that are rebuilt for every link."""

    def rank(identifier: str) -> int:
        return identity.types[split(identifier)[0]].rank

    def shared(identifier: str) -> str:
        return identity.types[split(identifier)[0]].shared

    def per(identifier: str) -> int | None:
        return identity.types[split(identifier)[0]].per

    sightings: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one, other, at in links:
        a, b = sorted((one, other), key=lambda identifier: (rank(identifier), identifier))
        sightings[a, b].append(at)
    for pair, seen in sightings.items():
        periods = [period for end in pair if (period := per(end)) is not None]
        if periods:
            spans: dict[int, int] = {}
            for at in seen:
                number = at // max(min(periods) // 16, 1)
                spans[number] = min(at, spans.get(number, at))
            sightings[pair] = sorted(spans.values())
    known = sorted({identifier for pair in sightings for identifier in pair})
    owners = {b: {a for a, other in sightings if other == b and rank(a) < rank(b)} for b in known}
    isolated = {b: f"hub: {identity.hub}" for b in known if identity.hub is not None and len(owners[b]) > identity.hub}

    since: dict[str, int] = defaultdict(int)
    for one in known:
        period = per(one)
        if period is not None and one not in isolated:
            pairs = [(a, b) for a, b in sightings if b == one and rank(a) < rank(b) and a not in isolated]
            times = sorted((at, pair[0]) for pair in pairs for at in sightings[pair])
            for number, (at, owner) in enumerate(times[1:], 1):
                life = {owner for at, owner in times[:number] if at >= since[one]}
                if at - times[number - 1][0] >= period and owner not in life:
                    since[one] = at
    outdated = {
        (a, b): f"superseded: {split(end)[0]} per {spoken(per(end) or 0)}"
        for a, b in sightings
        for end in (a, b)
        if max(sightings[a, b]) < since[end]
    }

    def takes(pair: tuple[str, str]) -> list[tuple[int, int, str, str, int]]:
        a, b = pair
        counting = [at for at in sightings[pair] if at >= max(since[a], since[b])]
        if shared(b) == "newest":
            return [(rank(b), -max(counting), a, b, max(counting))]
        times = counting if per(a) is not None or per(b) is not None else [min(counting)]
        return [(rank(b), at, a, b, at) for at in times]

    def crowded(type: IdentifierType, both: set[str], at: int) -> bool:
        same = [one for one in both if split(one)[0] == type.name]
        if type.limit is None or type.per is None:
            return type.limit is not None and len(same) > type.limit
        found = [dates.get(one, at) for one in same]
        return any(sum(begin <= date < begin + type.per for date in found) > type.limit for begin in found)

    def spelt(type: IdentifierType) -> str:
        return f"{type.name} {type.limit}" + (f" per {spoken(type.per)}" if type.per is not None else "")

    while True:
        people = [{identifier} for identifier in known]
        refused: dict[tuple[str, str], str] = {}
        found: dict[str, str] = {}
        owned: set[str] = set()
        dates: dict[str, int] = {}
        for pair in sightings.keys() & outdated.keys():
            if not any(isolated.get(end, "").startswith("hub") for end in pair):
                refused[pair] = outdated[pair]
        order = sorted(take for pair in sightings if pair not in refused for take in takes(pair))
        for _, _, a, b, at in order:
            hubs = [isolated[end] for end in (a, b) if isolated.get(end, "").startswith("hub")]
            apart = hubs or [isolated[end] for end in (b, a) if end in isolated]
            if apart:
                refused[a, b] = apart[0]
                continue
            left = next(person for person in people if a in person)
            right = next(person for person in people if b in person)
            both = left | right
            strongest = sorted(identity.types.values(), key=lambda type: type.rank)
            broken = [spelt(type) for type in strongest if crowded(type, both, at)]
            if left is not right and broken:
                policy = shared(b) if b in owned else "keep"
                refused[a, b] = ("superseded: " if policy == "newest" else "limit: ") + broken[0]
                if policy == "separate":
                    found.setdefault(b, f"separate: {broken[0]}")
                continue
            owned.add(b)
            refused.pop((a, b), None)
            for person in (left, right):
                dates |= {one: at for one in person if len(person) == 1}
            people = [person for person in people if person is not left and person is not right] + [both]
        if not found:
            return sorted(people, key=sorted), refused
        isolated |= found


def derived_ids(identity: IdentityRules, links: list[Link], people: list[set[str]]) -> dict[str, str]:
    """Person id of each identifier: that of the strongest, among equals the one seen first, then by value."""

    def strength(identifier: str) -> tuple[int, int, str]:
        seen = min(at for a, b, at in links if identifier in (a, b))
        return identity.types[split(identifier)[0]].rank, seen, identifier

    return {one: person_id(min(person, key=strength)) for person in people for one in person}


def owner_at(identity: IdentityRules, links: list[Link], identifier: str, since: int) -> str:
    """Person who owned an identifier at an instant, by the policy of its type and by who is who in the end."""
    people, refused = oracle(identity, links)
    ids = derived_ids(identity, links, people)
    own, rank = ids[identifier], identity.types[split(identifier)[0]].rank
    shared = identity.types[split(identifier)[0]].shared
    sightings = []
    for a, b, at in links:
        other = b if a == identifier else a
        if identifier in (a, b) and identity.types[split(other)[0]].rank < rank:
            reason = refused.get((other, identifier), "")
            if not reason.startswith("hub"):
                sightings.append((at, other, reason))
    hub = any(reason.startswith("hub") and pair[1] == identifier for pair, reason in refused.items())
    crowd = {a for one, other, _ in links for a in (one, other) if identifier in (one, other)} - {identifier}
    owners = [one for one in crowd if identity.types[split(one)[0]].rank < rank]
    if hub and identity.hub is not None and len(owners) > identity.hub:
        return own
    if shared == "newest" and any(not reason for _, _, reason in sightings):
        newest = max(at for at, _, reason in sightings if not reason)
        winner = min(other for at, other, reason in sightings if at == newest and not reason)
        # a refused link at that very instant may decide only if its value is larger than the winner's
        before = [one for one in sightings if one[0] < newest or (one[0] == newest and one[1] >= winner)]
        instants = [at for at, _, _ in before if at <= since] or [min(at for at, _, _ in before)]
        return ids[min(other for at, other, _ in before if at == max(instants))]
    period = identity.types[split(identifier)[0]].per
    if period is not None:
        # whoever was seen first after nobody was for a period has it until the next such time
        lives: list[list[tuple[int, str, str]]] = []
        for one in sorted(sightings):
            if not lives or (
                one[0] - lives[-1][-1][0] >= period and one[1] not in {other for _, other, _ in lives[-1]}
            ):
                lives.append([])
            lives[-1].append(one)
        for life, following in pairwise(lives):
            if since < following[0][0]:
                return ids[life[0][1]]
        sightings = lives[-1] if lives else []
    if shared == "separate" and people and {identifier} in people and sightings:
        first = {other: min(at for at, one, _ in sightings if one == other) for _, other, _ in sightings}
        ordered = sorted((at, other) for other, at in first.items())
        second = [at for at, other in ordered if ids[other] != ids[ordered[0][1]]]
        limited = all(reason.startswith("limit") for _, _, reason in sightings)
        if second and not limited and since < second[0] and ordered[0][0] < second[0]:
            return ids[ordered[0][1]]
    return own


def run(identity: IdentityRules, links: list[Link]) -> MemoryLine:
    line = graph(identity)
    for a, b, at in links:
        link(line, a, b, at)
    return line


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_any_order_of_arrival_gives_the_persons_ids_and_refusals_of_the_whole_set(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, links = case
    people, refused = oracle(identity, links)
    random.shuffle(links)
    line = run(identity, links)
    assert persons(line) == people
    assert {one: found.periods[-1].person_id for one, found in assignments(line).items()} == derived_ids(
        identity, links, people
    )
    assert refusals(line) == refused


@given(cases(until=400, periods=(32, 100)), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_long_periods_are_looked_at_in_spans_with_the_same_result_in_every_order(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, links = case
    people, refused = oracle(identity, links)
    random.shuffle(links)
    line = run(identity, links)
    assert persons(line) == people
    assert refusals(line) == refused


@given(cases())
@settings(max_examples=100, deadline=None)
def test_the_function_of_the_whole_set_agrees_with_the_oracle(case) -> None:  # type: ignore[no-untyped-def]
    identity, links = case
    people, refused = oracle(identity, links)
    seen: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one, other, at in links:
        a, b = sorted((one, other), key=lambda end: (identity.types[split(end)[0]].rank, end))
        seen[a, b].append(at)
    edges = [Edge(a, b, min(times), max(times), tuple(sorted(times)[1:])) for (a, b), times in seen.items()]
    joined = resolve(edges, identity)
    assert sorted((set(group) for group in joined.members.values()), key=sorted) == people
    assert joined.refused == refused


@given(cases())
@settings(max_examples=100, deadline=None)
def test_without_limits_and_hubs_persons_are_the_connected_components(case) -> None:  # type: ignore[no-untyped-def]
    _, links = case
    components: list[set[str]] = []
    for a, b, _ in links:
        touched = [component for component in components if {a, b} & component]
        components = [component for component in components if component not in touched]
        components.append(set().union({a, b}, *touched))
    line = run(rules(None, **{name: {} for name in TYPES}), links)
    assert persons(line) == sorted(components, key=sorted)
    assert refusals(line) == {}


@given(cases())
@settings(max_examples=150, deadline=None)
def test_moves_follow_each_slot_from_its_derived_person_to_where_assignments_say(case) -> None:  # type: ignore[no-untyped-def]
    identity, links = case
    line = run(identity, links)
    place: dict[str, tuple[str, int]] = {}
    for envelope in moves(line):
        assert envelope.move is not None
        for slot in envelope.move.slots:
            derived = person_id(slot.slot.rpartition("#")[0])
            person, version = place.get(slot.slot, (derived, 1))
            assert (person, version + 1) == (envelope.person_id, slot.version)
            assert envelope.move.to != person
            place[slot.slot] = (envelope.move.to, slot.version)
    for identifier, assignment in assignments(line).items():
        assert [period.since for period in assignment.periods] == sorted({p.since for p in assignment.periods})
        for period in assignment.periods:
            derived = (person_id(identifier), 1)
            assert place.get(period.slot, derived) == (period.person_id, period.version)


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_every_period_belongs_to_who_owned_the_identifier_at_its_beginning(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, links = case
    random.shuffle(links)
    for identifier, assignment in assignments(run(identity, links)).items():
        for period in assignment.periods:
            assert period.person_id == owner_at(identity, links, identifier, period.since), (identifier, period)


def test_each_step_sends_one_move_for_a_pair_of_persons() -> None:
    line = run(
        rules(None, user_id={"limit": 1}, email={}, anonymous_id={}),
        [
            ("email:a@x.com", "anonymous_id:1", 1),
            ("email:a@x.com", "anonymous_id:2", 2),
            ("user_id:1", "email:a@x.com", 3),
        ],
    )
    last = moves(line)[-1].move
    assert last is not None
    assert (last.reason, last.to) == ("merge", person_id("user_id:1"))
    assert [slot.slot for slot in last.slots] == ["anonymous_id:1#0", "anonymous_id:2#0", "email:a@x.com#0"]
    assert len(moves(line)) == 3


def test_equal_timestamps_are_decided_by_value_in_every_order() -> None:
    links = [("user_id:1", "anonymous_id:k", 5), ("user_id:2", "anonymous_id:k", 5), ("user_id:3", "anonymous_id:k", 5)]
    for order in permutations(links):
        line = run(rules(None, user_id={"limit": 1}, anonymous_id={}), list(order))
        assert persons(line) == [{"anonymous_id:k", "user_id:1"}, {"user_id:2"}, {"user_id:3"}]


def test_a_refused_link_can_show_which_identifier_is_the_oldest_and_so_rename_a_person() -> None:
    identity = rules(None, user_id={"limit": 2}, email={}, anonymous_id={"shared": "newest"})
    first = [("user_id:1", "email:e", 5), ("user_id:2", "email:e", 6), ("user_id:1", "anonymous_id:t", 7)]
    line = run(identity, [*first, ("user_id:3", "anonymous_id:t", 8), ("user_id:4", "anonymous_id:z", 9)])
    assert assignments(line)["anonymous_id:t"].periods[0].person_id == person_id("user_id:1")
    link(line, "user_id:2", "anonymous_id:z", 1)
    assert ("user_id:2", "anonymous_id:z") in refusals(line)
    assert assignments(line)["user_id:1"].periods[0].person_id == person_id("user_id:2")
    assert [one.person_id for one in assignments(line)["anonymous_id:t"].periods] == [
        person_id("user_id:2"),
        person_id("user_id:3"),
    ]


def test_a_link_to_a_hub_can_show_which_identifier_is_the_oldest() -> None:
    kiosk = [(f"user_id:{number}", "anonymous_id:kiosk", 20 + number) for number in range(10, 13)]
    line = run(
        rules(2, user_id={}, email={}, anonymous_id={}),
        [("user_id:1", "email:e", 5), ("user_id:2", "email:e", 6), *kiosk, ("user_id:2", "anonymous_id:kiosk", 1)],
    )
    assert assignments(line)["user_id:1"].periods[0].person_id == person_id("user_id:2")


def test_what_is_known_already_changes_nothing() -> None:
    sightings = [("user_id:1", "anonymous_id:k", 5), ("user_id:1", "anonymous_id:k", 12)]
    line = run(rules(user_id={}, anonymous_id={}), sightings)
    sent = {topic: len(records) for topic, records in line.outputs.items()}
    nodes = dict(line.states("graph", NODES))
    link(line, "user_id:1", "anonymous_id:k", 9)
    assert {topic: len(records) for topic, records in line.outputs.items()} == {
        **sent,
        "identity.links": sent["identity.links"] + 1,
    }
    assert dict(line.states("graph", NODES)) == nodes
