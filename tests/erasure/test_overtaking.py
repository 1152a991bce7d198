"""An erasure among records that overtake each other: every reader takes its topics in any order it likes."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Any

import pytest

from connectors.inbound.segment import to_event
from processors.graph.erasure import FORGOTTEN
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.model import PERSONS
from processors.journeys.step import JourneysStage
from processors.runtime.contract import Record, Stage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.model import PEOPLE
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions import load
from schemas.definitions.model import Project
from schemas.records import Assertion, Event, LinkEnvelope, PersonEnvelope, Update
from tests.erasure.line import CODEC
from tests.erasure.test_whole_line import CART, IDENTITY
from tests.line.project import Lab, at, granted, identify, track

END = 253_402_300_799_000


class Shuffled(MemoryLine):
    """Per reader, topic and partition records keep their order; nothing else does."""

    def __init__(self, stages: Sequence[Stage], clock: VirtualClock, seed: int) -> None:
        self.random = random.Random(seed)
        self.waiting: dict[tuple[str, str, int], deque[Record]] = defaultdict(deque)
        super().__init__(stages, clock, partitions=3)

    def steps(self, count: int | None = None) -> None:
        """So many turns, or all there are."""
        while count is None or count > 0:
            for record in (*self._published, *self._underway):
                for stage in self._readers.get(record.topic, ()):
                    self.waiting[stage.app, record.topic, record.partition].append(record)
            self._published.clear()
            self._underway.clear()
            ready = [channel for channel, records in self.waiting.items() if records]
            if not ready:
                return
            app, _, partition = channel = self.random.choice(ready)
            record = self.waiting[channel].popleft()
            place = self._places[app, partition]
            self._turn(place, record, place.stage.on_record, record)
            count = None if count is None else count - 1


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    lab = Lab(tmp_path_factory.mktemp("project"))
    lab.files({"identity.yaml": IDENTITY})
    lab.segment("buyers", "all:\n  - {did: Order Completed}")
    lab.journey("cart", CART)
    return load(lab.folder)


def events(project: Project, messages: list[dict[str, Any]]) -> list[Event]:
    made = [to_event(m, project.identity, received_at=END, source="t", use_sent_at=False) for m in messages]
    return [Event(**{**{f: getattr(e, f) for f in e.__struct_fields__}, "received_at": e.occurred_at}) for e in made]


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
    before = events(
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
    after = events(
        project,
        [track("Page", at(days=1, minutes=n), "u1", anonymousId="a1") for n in range(1, 4)]
        + [track("Page", at(days=1, minutes=9), "u2")],
    )
    clock.at = before[0].occurred_at
    for event in before:
        line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
        line.steps(line.random.randrange(12))
    now = events(project, [track("Page", at(days=1))])[0].occurred_at
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
