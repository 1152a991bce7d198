"""A consumer of `people` that only keeps which events each person has, by the slot protocol; and a line around it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import msgspec

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.runtime.contract import Record, Table, Turn
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.runtime.slots import Slots, arrive, join, leave, redirect_of, with_state
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions.model import IdentityRules
from schemas.identifiers import identifier_of, usable
from schemas.records import Event, HandedSlot, Handoff, PersonEnvelope
from tests.graph.rules import CODEC, project

STATE = Table("person", Slots[list[str]])


class Crowd:
    """Keeps per slot the names of the events applied to it, each as often as it was applied."""

    app = "segments"
    inputs = (topics.PEOPLE, topics.SEGMENTS_HANDOFF)

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.PEOPLE:
            self._person(CODEC.decode(PersonEnvelope, record.value), turn)
        else:
            self._handoff(CODEC.decode(Handoff, record.value), turn)

    def _person(self, envelope: PersonEnvelope, turn: Turn) -> None:
        person = envelope.person_id
        slots = turn.get(STATE, person) or Slots[list[str]]()
        if envelope.kind == "event":
            redirect = redirect_of(slots, envelope.slot, envelope.version)
            if redirect is not None:
                onward = msgspec.structs.replace(envelope, person_id=redirect.to, version=redirect.version)
                turn.send(topics.PEOPLE, redirect.to, CODEC.encode(onward))
                return
            slots = arrive(slots, envelope.slot, envelope.version)
            name = CODEC.decode(Event, envelope.event).name
            state = slots.held[envelope.slot].state or []
            turn.put(STATE, person, with_state(slots, envelope.slot, [*state, name]))
        elif envelope.move is not None:
            move = envelope.move
            slots, handed = leave(slots, move.to, move.slots)
            turn.put(STATE, person, slots)
            given = [
                HandedSlot(
                    slot=one.slot,
                    version=one.version,
                    complete=one.complete,
                    state=msgspec.msgpack.encode(one.state) if one.state is not None else None,
                    gathered=one.gathered,
                )
                for one in handed
            ]
            handoff = Handoff(person_id=move.to, origin=person, reason=move.reason, at=move.at, slots=given)
            turn.send(topics.SEGMENTS_HANDOFF, move.to, CODEC.encode(handoff))

    def _handoff(self, handoff: Handoff, turn: Turn) -> None:
        slots = turn.get(STATE, handoff.person_id) or Slots[list[str]]()
        for given in handoff.slots:
            state = msgspec.msgpack.decode(given.state, type=list[str]) if given.state is not None else None
            slots, onward = join(slots, given, state, lambda a, b: sorted(a + b))
            if onward is not None:
                again = msgspec.structs.replace(
                    given, version=onward.version, complete=onward.complete, gathered=onward.gathered
                )
                forwarded = msgspec.structs.replace(handoff, person_id=onward.to, slots=[again])
                turn.send(topics.SEGMENTS_HANDOFF, onward.to, CODEC.encode(forwarded))
        turn.put(STATE, handoff.person_id, slots)

    def on_wake(self, key: str, due: int, turn: Turn) -> None: ...

    def on_assigned(self, turn: Turn) -> None: ...

    def on_result(self, key: str, result: object, turn: Turn) -> None: ...


def happening(
    identity: IdentityRules, name: str, at: int, message_id: str, received_at: int, values: Mapping[str, object]
) -> Event:
    """An event as the edge makes it."""
    identifiers, _ = usable(identity, values.items())
    assert identifiers, "no usable identifier: the edge would have refused the event"
    return Event(
        message_id=message_id,
        event_id=f"web/{message_id}",
        type="track",
        name=name,
        channel="web",
        identifiers=identifiers,
        occurred_at=at,
        received_at=received_at,
        source="web",
        properties=b"{}",
        traits=b"{}",
        context=b"{}",
    )


class Town:
    """Resolver, graph and crowd on a broker in memory; events are posted as a client would send them."""

    def __init__(self, identity: IdentityRules, partitions: int = 2) -> None:
        self.rules = identity
        source = FixedDefinitions(project(identity))
        stages = [IdentityStage(source, CODEC), GraphStage(source, CODEC), Crowd()]
        self.line = MemoryLine(stages, VirtualClock(), partitions)
        self._numbers = itertools.count()

    def post(self, name: str, at: int, message_id: str = "", received_at: int | None = None, **values: object) -> None:
        """An event with these identifiers happens; what the edge refuses is left out, as the edge does."""
        self.queue(name, at, message_id, received_at, **values)
        self.line.drain()

    def queue(self, name: str, at: int, message_id: str = "", received_at: int | None = None, **values: object) -> None:
        """The same, without waiting for what it causes."""
        message_id = message_id or f"m{next(self._numbers)}"
        event = happening(self.rules, name, at, message_id, at if received_at is None else received_at, values)
        self.line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))

    def events(self) -> dict[str, list[str]]:
        """Names of the events of each person who has any."""
        people: dict[str, list[str]] = {}
        for person, slots in self.line.states("segments", STATE):
            names = sorted(name for slot in slots.held.values() for name in slot.state or [])
            if names:
                people[person] = names
        return people

    def histories(self) -> list[list[str]]:
        """The same without the ids."""
        return sorted(self.events().values())

    def slots(self) -> dict[str, list[str]]:
        """Names of the slots of each person."""
        return {person: sorted(slots.held) for person, slots in self.line.states("segments", STATE)}

    def complete(self) -> bool:
        """Whether every person knows that nothing of it is still under way."""
        return all(slots.complete for _, slots in self.line.states("segments", STATE))

    def identifiers(self) -> list[set[str]]:
        """Identifiers of each person, as a consumer of `people` knows them."""
        people = [{identifier_of(slot) for slot in slots.held} for _, slots in self.line.states("segments", STATE)]
        return sorted((person for person in people if person), key=sorted)
