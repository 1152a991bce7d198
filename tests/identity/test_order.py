"""Events through resolver, graph and people: the order in which they arrive changes nothing in the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.model import IdentityRules
from tests.graph.rules import assignments, persons, refusals, rules
from tests.identity.crowd import Town

Happened = tuple[str, int, dict[str, object]]

TYPES = ("user_id", "email", "anonymous_id")


@st.composite
def histories(
    draw: st.DrawFn, policies: tuple[str, ...], periods: tuple[int | None, ...] = (None, None, 3)
) -> tuple[IdentityRules, list[Happened]]:
    limit = st.sampled_from([None, 1, 2])
    given = {
        name: {"limit": draw(limit), "shared": draw(st.sampled_from(policies)), "per": draw(st.sampled_from(periods))}
        for name in TYPES
    }
    identity = rules(draw(st.sampled_from([None, 2])), **given)
    values = st.dictionaries(st.sampled_from(TYPES), st.sampled_from("xyz"), min_size=1)
    times = st.integers(1, 12)
    found = draw(st.lists(st.tuples(times, values), min_size=1, max_size=14))
    return identity, [(f"e{number}", at, dict(one)) for number, (at, one) in enumerate(found)]


def happened(identity: IdentityRules, events: list[Happened]) -> Town:
    town = Town(identity)
    for name, at, values in events:
        town.post(name, at, **values)
    return town


@given(histories(("keep", "separate", "newest")), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_every_event_counts_once_and_every_person_knows_all_of_itself(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, events = case
    random.shuffle(events)
    town = happened(identity, events)
    assert sorted(name for names in town.histories() for name in names) == sorted(name for name, _, _ in events)
    assert town.complete()
    owners = {period.slot: period.person_id for one in assignments(town.line).values() for period in one.periods}
    for person, slots in town.slots().items():
        assert all(owners.get(slot, person) == person for slot in slots)


@given(histories(("keep",), (None,)), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_same_person_has_the_same_events_in_every_order_of_arrival(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, events = case
    first = happened(identity, events)
    random.shuffle(events)
    second = happened(identity, events)
    assert first.events() == second.events()
    assert refusals(first.line) == refusals(second.line)


@given(histories(("keep", "separate", "newest")), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_owner_of_a_shared_device_is_the_same_in_every_order_of_arrival(case, random) -> None:  # type: ignore[no-untyped-def]
    identity, events = case
    first = happened(identity, events)
    random.shuffle(events)
    second = happened(identity, events)
    assert persons(first.line) == persons(second.line)
    assert set(refusals(first.line)) == set(refusals(second.line))
