"""Whatever overtakes what, and whenever a worker gets to it: no instance is lost, doubled or ended twice."""

from __future__ import annotations

from collections import Counter, defaultdict

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.journeys.model import PERSONS
from processors.journeys.step import JourneysStage
from processors.runtime.contract import Record, Turn
from schemas import reasons, topics
from schemas.identifiers import person_id, slot_of
from schemas.records import Handoff, Move, SlotVersion, Update
from tests.journeys.lab import SEND, Lab, at

PEOPLE = [f"user_id:u{n}" for n in range(3)]
ENDS = {reasons.FINISHED, reasons.EXITED, reasons.MERGED}


class Delayed(JourneysStage):
    """Handoffs reach it when the test delivers them."""

    inputs = (topics.UPDATES, "delivered")

    def on_record(self, record: Record, turn: Turn) -> None:
        topic = topics.JOURNEYS_HANDOFF if record.topic == "delivered" else record.topic
        super().on_record(msgspec.structs.replace(record, topic=topic), turn)


class Moving(Lab):
    """Persons whose slots move while their state is delivered in any order, first in first out between two persons."""

    stage = Delayed

    def __init__(self, journey: str) -> None:
        super().__init__()
        self.journey("j", journey)
        self.owner = dict(enumerate(PEOPLE))
        self.version = dict.fromkeys(range(len(PEOPLE)), 1)
        self.now = self.clock.at = at()
        self.delivered: set[int] = set()
        for who in PEOPLE:
            self.customer(who)
            self.profiles[who]["addresses"]["user_id"] = [who.split(":")[1] for who in PEOPLE]

    def act(self, name: str, slot: int) -> None:
        """An event of a slot, at whoever owns it."""
        owner, identifier = self.owner[slot], PEOPLE[slot]
        self.event(name, self.now, owner, person=person_id(owner), slot=slot_of(identifier), version=self.version[slot])

    def shift(self, slots: set[int], to: str) -> None:
        """Slots move to a person, a record for each person they leave."""
        leaving = defaultdict(list)
        for slot in sorted(slots):
            if self.owner[slot] != to:
                self.version[slot] += 1
                leaving[self.owner[slot]].append(SlotVersion(slot=slot_of(PEOPLE[slot]), version=self.version[slot]))
                self.owner[slot] = to
        for origin, moved in leaving.items():
            move = Move(to=person_id(to), slots=moved, reason="merge", at=self.now)
            self.publish(Update(kind="move", person_id=person_id(origin), at=self.now, move=move))
            self.arrived({PEOPLE[slot]: self.version[slot] for slot in slots if self.owner[slot] == to}, to, self.now)

    def pending(self) -> list[list[Record]]:
        by_pair = defaultdict(list)
        for record in self.line.outputs[topics.JOURNEYS_HANDOFF]:
            if record.offset not in self.delivered:
                handoff = self.codec.decode(Handoff, record.value)
                by_pair[handoff.origin, handoff.person_id].append(record)
        return list(by_pair.values())

    def deliver(self, choice: int) -> bool:
        pairs = self.pending()
        if not pairs:
            return False
        record = pairs[choice % len(pairs)][0]
        self.delivered.add(record.offset)
        assert record.key is not None
        self.line.publish("delivered", record.key.decode(), record.value)
        self.line.drain()
        return True

    def pass_time(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.line.advance(self.now)

    def rest(self) -> None:
        while self.deliver(0):
            pass
        self.pass_time(7_200)
        while self.deliver(0):
            self.pass_time(60)

    def ends(self) -> Counter[str]:
        return Counter(d.instance_id for d in self.decisions() if d.reason in ENDS)

    def entered(self) -> set[str]:
        return {d.instance_id for d in self.decisions() if d.reason == reasons.ENTERED}


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("go"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("stop"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("move"), st.integers(1, 7), st.integers(0, 2)),
        st.tuples(st.just("deliver"), st.integers(0, 8), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 20), st.just(0)),
    ),
    max_size=25,
)


def run(journey: str, operations: list[tuple[str, int, int]]) -> Moving:
    lab = Moving(journey)
    for name, first, second in operations:
        match name:
            case "go":
                lab.act("Go", first)
            case "stop":
                lab.act("Stop", first)
            case "move":
                lab.shift({n for n in range(3) if first >> n & 1}, PEOPLE[second])
            case "deliver":
                lab.deliver(first)
            case "time":
                lab.pass_time(first)
    lab.rest()
    return lab


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_each_event_starts_one_instance_that_sends_once_at_its_time(operations: list[tuple[str, int, int]]) -> None:
    lab = run("enter: {event: Go, on_repeat: parallel}\nsteps:\n  - wait: 1h\n" + SEND, operations)
    started = [d.at for d in lab.decisions() if d.reason == reasons.ENTERED]
    assert len(started) == sum(1 for name, _, _ in operations if name == "go")
    assert sorted(lab.sent()) == sorted(when + 3_600_000 for when in started)
    assert lab.ends() == Counter(lab.entered())


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_each_instance_ends_once_and_one_of_a_journey_runs_at_a_time(operations: list[tuple[str, int, int]]) -> None:
    lab = run("enter: {event: Go}\nexit: [{event: Stop}]\nsteps:\n  - wait: 1h\n" + SEND, operations)
    assert lab.ends() == Counter(lab.entered())
    for _, person in lab.line.states("journeys", PERSONS):
        assert not person.held
        assert person.slots.complete
        assert sum(len(s.state.instances) for s in person.slots.held.values() if s.state is not None) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Go", "Stop", "Back", "Seen"]), st.integers(0, 3), st.integers(0, 5_000)),
        max_size=20,
    ),
)
def test_when_a_worker_gets_to_it_changes_nothing_of_what_is_not_late(happened: list[tuple[str, int, int]]) -> None:
    journey = """
        enter: {event: Go, key: properties.k, at_most_every: 2h}
        exit: [{event: Stop}]
        steps:
          - wait: 1h
            restart_on: Back
          - send: {template: hello, channels: [email]}
          - wait_for: {event: Seen}
            timeout: 30m
            then: [{send: {template: hello, channels: [sms]}}]
          - wait: {until: "14:00"}
          - send: {template: hello, channels: [email]}
    """
    outcomes = []
    for prompt in (True, False):
        lab = Lab()
        lab.file("project.yaml", "name: shop\ntimers: {late_after: 52w}\n")
        lab.file("channels.yaml", "email: {connector: smtp, caps: [{at_most: 3, per: 4h}]}\nsms: {connector: smpp}\n")
        lab.journey("j", journey)
        lab.customer()
        lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
        when = at()
        for name, key, seconds in happened:
            when += seconds * 1000
            if not prompt:
                lab.line._wakes.clear()
            lab.event(name, when, properties={"k": key} if key else {})
        lab.until(when + 30 * 86_400_000)
        if not prompt and happened:
            # whoever comes last brings the time
            lab.event("End", when + 30 * 86_400_000)
        outcomes.append((sorted((d.at, d.reason, d.step, d.detail) for d in lab.decisions()), lab.sent()))
    assert outcomes[0] == outcomes[1]
