"""Steering through the running stages: profiles, segments and journeys follow an assertion at once, and a split gives
back exactly what the merge brought."""

from __future__ import annotations

import itertools
from typing import Any

import orjson

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions import parse
from schemas.identifiers import person_id, usable
from schemas.reasons import FINISHED
from schemas.records import Assertion, Decision, Event, LinkEnvelope, Update
from tests.graph.rules import CODEC

T, HOUR = 1_700_000_000_000, 3_600_000
ANNA, BORIS, TABLET = "user_id:anna", "user_id:boris", "anonymous_id:tablet"
IDENTITY = "identifiers: {user_id: {limit: 1}, email: {limit: 5}, anonymous_id: {limit: 100}}\nhub: 50\n"
PROJECT = parse(
    {
        "project.yaml": "name: shop\n",
        "identity.yaml": IDENTITY,
        "channels.yaml": "web: {kind: session}\n",
        "segments/buyers.yaml": "name: buyers\nwhen: {did: Order, count: {at_least: 2}}\n",
        "segments/viewers.yaml": "name: viewers\nwhen: {did: View}\n",
        "journeys/thanks.yaml": "name: thanks\nenter: {event: Order}\nsteps: [{wait: 1h}]\n",
    }
)


class Line:
    """Resolver, graph, segments and journeys on a broker in memory."""

    def __init__(self) -> None:
        source = FixedDefinitions(PROJECT)
        stages = [stage(source, CODEC) for stage in (IdentityStage, GraphStage, SegmentsStage, JourneysStage)]
        self.line = MemoryLine(stages, VirtualClock(T), 2)
        self._numbers = itertools.count()

    def post(self, name: str, at: int, traits: dict[str, Any] | None = None, **values: str) -> None:
        """An event with these identifiers, `at` milliseconds after the start."""
        identifiers, _ = usable(PROJECT.identity, values.items())
        event = Event(
            message_id=f"{name}{at}{values}",
            event_id=f"00000000-0000-0000-0000-{next(self._numbers):012}",
            type="identify" if traits else "track",
            name=name,
            channel="web",
            identifiers=identifiers,
            occurred_at=T + at,
            received_at=T + at,
            source="site",
            properties=b"{}",
            traits=orjson.dumps(traits or {}),
            context=b"{}",
        )
        self.line.advance(max(self.line.clock.at, T + at))
        self.line.publish(topics.EVENTS, identifiers[0], CODEC.encode(event))
        self.line.drain()

    def tell(self, verb: str, a: str, b: str = "", at: int = 50) -> None:
        """Somebody decides."""
        self.line.advance(max(self.line.clock.at, T + at))
        assertion = Assertion(verb=verb, a=a, b=b, author="ann", reason="as told", at=T + at)
        self.line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=assertion)))
        self.line.drain()

    def profiles(self) -> dict[str, Any]:
        """The newest profile of each person who has anything."""
        found: dict[str, Any] = {}
        for record in self.line.outputs[topics.UPDATES]:
            update = CODEC.decode(Update, record.value)
            if update.profile is not None:
                found[update.person_id] = orjson.loads(update.profile)
        return {person: profile for person, profile in found.items() if any(profile["addresses"].values())}

    def members(self, segment: str) -> set[str]:
        """Who is in a segment now."""
        inside: set[str] = set()
        for record in self.line.outputs[topics.UPDATES]:
            update = CODEC.decode(Update, record.value)
            for change in update.changes:
                if change.segment == segment:
                    (inside.add if change.change == "entered" else inside.discard)(update.person_id)
        return inside


def shared_tablet(line: Line) -> None:
    """Anna and Boris use one tablet; it is Anna's by its first login, with what was done on it."""
    line.post("View", 1, anonymous_id="tablet")
    line.post("Order", 2, anonymous_id="tablet")
    line.post("Identify", 3, {"city": "Kyiv"}, user_id="anna", anonymous_id="tablet")
    line.post("Order", 4, user_id="anna")
    line.post("Identify", 5, {"city": "Lviv"}, user_id="boris")


def test_never_link_gives_back_exactly_what_the_merge_brought() -> None:
    steered, apart = Line(), Line()
    shared_tablet(steered)
    assert steered.members("buyers") == {person_id(ANNA)}
    apart.tell("never", ANNA, TABLET, at=0)
    shared_tablet(apart)
    steered.tell("never", TABLET, ANNA)
    assert steered.profiles() == apart.profiles()
    assert steered.members("buyers") == apart.members("buyers") == set()
    assert steered.members("viewers") == apart.members("viewers") == {person_id(TABLET)}
    steered.tell("revoke", ANNA, TABLET, at=60)
    assert steered.members("buyers") == {person_id(ANNA)}


def test_a_journey_goes_on_with_the_person_that_its_event_belongs_to_after_the_split() -> None:
    line = Line()
    shared_tablet(line)
    line.tell("never", TABLET, ANNA)
    line.line.advance(T + 2 * HOUR)
    decisions = [CODEC.decode(Decision, record.value) for record in line.line.outputs[topics.DECISIONS]]
    assert [(one.person_id, one.at) for one in decisions if one.reason == FINISHED] == [
        (person_id(TABLET), T + 2 + HOUR)
    ]


def test_always_link_makes_two_users_one_person_and_revoking_it_two_again() -> None:
    line = Line()
    shared_tablet(line)
    before = line.profiles()
    line.tell("always", ANNA, BORIS)
    assert set(line.profiles()) == {person_id(ANNA)}
    assert line.profiles()[person_id(ANNA)]["traits"] == {"city": "Lviv"}
    line.tell("revoke", BORIS, ANNA, at=60)
    assert line.profiles() == before


def test_an_unlinked_device_stands_alone_and_follows_who_logs_in_on_it_later() -> None:
    line = Line()
    shared_tablet(line)
    line.tell("unlink", TABLET)
    assert line.members("viewers") == {person_id(TABLET)}
    assert line.members("buyers") == set()
    line.post("View", 55, user_id="anna")
    assert line.members("viewers") == {person_id(TABLET), person_id(ANNA)}
    line.post("Order", 60, user_id="boris", anonymous_id="tablet")
    assert line.members("viewers") == {person_id(ANNA), person_id(BORIS)}
    assert line.members("buyers") == {person_id(BORIS)}


def test_an_unlinked_device_belongs_to_its_old_owner_again_once_seen_with_it_later() -> None:
    line = Line()
    shared_tablet(line)
    line.tell("unlink", TABLET)
    line.post("View", 60, user_id="anna", anonymous_id="tablet")
    assert line.members("buyers") == {person_id(ANNA)}
    assert set(line.profiles()) == {person_id(ANNA), person_id(BORIS)}
