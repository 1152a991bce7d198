"""History is placed in memory as the steps place it event by event, though they are asked about few of them."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathline.history.newcomers import Newcomers, first_event
from pathline.history.resolver import Resolver
from pathline.history.world import World
from schemas.definitions import parse
from schemas.definitions.model import Project
from schemas.records import Event, Link


def project(*types: str) -> Project:
    return parse({"project.yaml": "name: shop", "identity.yaml": "\n".join(["identifiers:", *types, "hub: 3"])})


SHARED = project(
    "  user_id:      {limit: 1}",
    "  email:        {limit: 2}",
    "  phone:        {limit: 1, per: 30d}",
    "  push_token:   {shared: separate}",
    "  anonymous_id: {limit: 3, shared: newest}",
)
KEPT = project("  user_id: {limit: 1}", "  email: {limit: 2}", "  anonymous_id: {limit: 3}")
DAY = 86_400_000
#: strongest first, as the edge gives them
NAMES = [
    'user_id:"u"',
    "user_id:é",
    "email:a",
    "email:b",
    "phone:1",
    "phone:2",
    "push_token:t",
    "anonymous_id:c",
    "anonymous_id:d",
]
WHO = st.sets(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda some: sorted(some, key=NAMES.index))
HAPPENED = st.tuples(WHO, st.integers(0, 90))
NOW = 100 * DAY


def events(happened: list[tuple[list[str], int]], of: Project) -> list[Event]:
    """Those of identifiers that the project knows."""
    made = []
    for number, (who, day) in enumerate(happened):
        known = [one for one in who if one.partition(":")[0] in of.identity.types]
        if known:
            made.append(first_event(known, day * DAY, f'a "{number % 2}"', f"id{number}"))
    return made


def told(records: list[Any]) -> list[str]:
    """Moves of one instant come in any order."""
    return sorted(map(repr, records))


def stepwise(world: World, event: Event) -> tuple[Any, ...]:
    heard = world.event(event)
    return heard.place, heard.reasons, told([*heard.assignments, *heard.refusals, *heard.moves]), heard.links


def placed(resolver: Resolver, event: Event) -> tuple[Any, ...]:
    place, reasons = resolver.place(event)
    identity, links = told(resolver.identity), resolver.links.copy()
    resolver.identity.clear()
    resolver.links.clear()
    return place, reasons, identity, links


U, E, C, D = 'user_id:"u"', "email:a", "anonymous_id:c", "anonymous_id:d"


# alone first, then with others; part of them later, earlier, and with somebody new
@example(happened=[([C], 5), ([U, E, C], 6), ([U, C], 7), ([E], 1), ([U, C], 2), ([E, D], 3), ([U, D], 8)])
# joined by a third, before either came again
@example(happened=[([U, C], 5), ([E, D], 6), ([U, E], 4), ([C], 3), ([D], 9)])
@given(happened=st.lists(HAPPENED, min_size=1, max_size=14))
@settings(max_examples=150, deadline=None)
def test_each_event_tells_what_the_steps_tell(happened: list[tuple[list[str], int]]) -> None:
    for rules in (SHARED, KEPT):
        resolver, world = Resolver(rules, [], NOW), World(rules, NOW)
        for event in events(happened, rules):
            assert placed(resolver, event) == stepwise(world, event)


@given(happened=st.lists(HAPPENED, min_size=1, max_size=14), at=st.integers(0, 14), lost=st.booleans())
@settings(max_examples=100, deadline=None)
def test_another_load_goes_on_from_the_links_of_the_first(
    happened: list[tuple[list[str], int]], at: int, lost: bool
) -> None:
    made = events(happened, KEPT)
    first, world, links = Resolver(KEPT, [], NOW), World(KEPT, NOW), list[Link]()
    for event in made[:at]:
        links += placed(first, event)[3]
        world.event(event)
    again = []
    if lost and links:
        # killed while they were written: what tells the last one comes again
        again = [event for event in made[:at] if event.event_id == links[-1].event_id]
        links.pop()
    second = Resolver(KEPT, links, NOW)
    for event in again:
        second.place(event)
    assert [second.place(event)[0] for event in made[at:]] == [world.event(event).place for event in made[at:]]


def test_most_first_events_are_told_without_the_steps() -> None:
    newcomers = Newcomers(lambda: World(SHARED, NOW))
    assert newcomers.form([U, E, "phone:1", "push_token:t", C]) is not None
    assert newcomers.form([C]) is not None
    assert newcomers.form([E, "email:b"]) is None
