"""An erasure among records that overtake each other: every reader takes its topics in any order it likes."""

from __future__ import annotations

from collections import Counter

import pytest

from processors.graph.erasure import FORGOTTEN
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.model import PERSONS
from processors.journeys.step import JourneysStage
from processors.runtime.contract import Stage
from processors.runtime.definitions import FixedDefinitions
from processors.segments.model import PEOPLE
from processors.segments.step import SegmentsStage
from processors.segments.waiting import WAITING
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions import load
from schemas.definitions.model import Project
from schemas.records import Assertion, Event, LinkEnvelope, PersonEnvelope, Update
from tests.erasure.line import CODEC
from tests.erasure.test_whole_line import CART, IDENTITY
from tests.line.project import Lab, at, granted, identify, track
from tests.line.shuffled import Shuffled, happened


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    lab = Lab(tmp_path_factory.mktemp("project"))
    lab.files({"identity.yaml": IDENTITY})
    lab.segment("buyers", "all:\n  - {did: Order Completed}")
    lab.journey("cart", CART)
    return load(lab.folder)


@pytest.mark.parametrize("seed", range(150))
def test_an_erasure_holds_whatever_is_on_its_way(project: Project, seed: int) -> None:
    source, clock = FixedDefinitions(project), VirtualClock()
    stages: list[Stage] = [
        IdentityStage(source, CODEC),
        GraphStage(source, CODEC),
        SegmentsStage(source, CODEC),
        JourneysStage(source, CODEC),
    ]
    line = Shuffled(stages, clock, seed)
    before = happened(
        project,
        [
            track("Page", at(minutes=1), None, anonymousId="a1"),
            track("Product Added", at(minutes=2), None, anonymousId="a2"),
            identify(
                at(minutes=3), "u1", anonymousId="a1", traits={"email": "ann@example.com"}, context=granted("email")
            ),
            track("Order Completed", at(minutes=4), "u1", anonymousId="a2"),
            identify(at(minutes=5), "u2", anonymousId="a2"),
            track("Product Added", at(minutes=6), "u1"),
            track("Page", at(minutes=7), None, anonymousId="a2"),
            track("Page", at(minutes=8), "u1", anonymousId="a2"),
        ],
    )
    after = happened(
        project,
        [track("Page", at(days=1, minutes=n), "u1", anonymousId="a1") for n in range(1, 4)]
        + [track("Page", at(days=1, minutes=9), "u2")],
    )
    clock.at = before[0].occurred_at
    for event in before:
        line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
        line.steps(line.random.randrange(12))
    now = happened(project, [track("Page", at(days=1))])[0].occurred_at
    erase = Assertion(verb="erase", a="user_id:u1", author="t", reason="", at=now)
    line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=erase)))
    for event in after:
        line.steps(line.random.randrange(12))
        line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
    line.steps()
    assert not line.outputs[topics.DEAD_LETTERS]
    said = [CODEC.decode(PersonEnvelope, record.value).erasure for record in line.outputs[topics.PEOPLE]]
    erasures = [one for one in said if one is not None and one.slots]
    slots = {slot for erasure in erasures for slot in erasure.slots}
    gone = {person for erasure in erasures for person in erasure.persons}
    assert "user_id:u1#0" in slots
    held = dict(line.states("segments", PEOPLE))
    for _, person in (*held.items(), *line.states("journeys", PERSONS)):
        assert not slots & {*person.slots.held, *person.slots.redirects}
    assert not any(held[person].slots.held for person in gone if person in held)
    assert not list(line.states("segments", WAITING))
    # each event of the time after counts once, with the one who begins anew, and the neighbour's with the neighbour
    updates = [CODEC.decode(Update, record.value) for record in line.outputs[topics.UPDATES]]
    counted = Counter(CODEC.decode(Event, u.event).event_id for u in updates if u.event is not None)
    assert all(counted[event.event_id] == 1 for event in after)
    assert all(count == 1 for count in counted.values())
    forgotten: set[str] = set()
    for update in updates:
        # what came in before the order was heard goes with the person; nothing comes after it
        forgotten |= {update.person_id} & gone if update.erasure is not None else set()
        assert update.event is None or update.person_id not in forgotten
    assert any(state.generation == 1 for _, state in line.states("graph", FORGOTTEN))
