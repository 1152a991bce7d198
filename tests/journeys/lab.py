"""The journeys stage on the memory broker, fed with updates as segments would send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from textwrap import dedent
from typing import Any

import orjson

from processors.journeys.model import PERSONS, Person
from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import reasons, topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions import Project, parse
from schemas.identifiers import person_id, slot_of, split
from schemas.records import (
    Change,
    Decision,
    Erasure,
    Event,
    Handoff,
    JourneyState,
    Marker,
    Move,
    PromoCode,
    SendCommand,
    SlotVersion,
    Update,
)

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday

FILES = {
    "project.yaml": "name: shop\n",
    "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  email: {limit: 5}\n  phone: {limit: 5}\n"
    "  anonymous_id: {limit: 100}\n",
    "channels.yaml": "email: {cost: 0.001, connector: smtp, consent: opt_in}\n"
    "sms: {cost: 0.05, connector: smpp, consent: opt_in}\n",
    "templates/hello.yaml": "subject: Hi\nbody: Hello there\n",
    "segments/vip.yaml": "name: vip\nwhen: {trait: vip, equals: true}\n",
    "segments/buyers.yaml": "name: buyers\nwhen: {did: Order Completed}\n",
}
CODEC = Codec()
SEND = "  - send: {template: hello, channels: [email]}\n"


def at(**delta: float) -> int:
    """Milliseconds of an instant after START."""
    return round((START + timedelta(**delta)).timestamp() * 1000)


@cache
def project(files: tuple[tuple[str, str], ...]) -> Project:
    return parse(dict(files))


class Lab:
    """A project and persons in it. A person is named by its strongest identifier, `user_id:u1`."""

    stage = JourneysStage

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.codec = CODEC
        self.clock = VirtualClock(at(days=-1))
        self.profiles: dict[str, dict[str, Any]] = {}
        self._line: MemoryLine | None = None
        self._source: FixedDefinitions | None = None
        self._count = 0
        self.relayed = 0

    # --- the project ---------------------------------------------------------------------------------------------

    def file(self, name: str, text: str) -> None:
        self.files[name] = dedent(text)

    def journey(self, name: str, text: str) -> None:
        self.file(f"journeys/{name}.yaml", f"name: {name}\n" + dedent(text))

    @property
    def source(self) -> FixedDefinitions:
        if self._source is None:
            self._source = FixedDefinitions(project(tuple(self.files.items())))
        return self._source

    @property
    def line(self) -> MemoryLine:
        if self._line is None:
            self._line = MemoryLine([self.stage(self.source, self.codec)], self.clock)
        return self._line

    def source_without(self) -> None:
        """Nothing is published yet."""
        self._source = FixedDefinitions()

    def pool(self, promo: str, *codes: str) -> None:
        """Codes that are in a pool from now on."""
        for code in codes:
            record = PromoCode(promo=promo, code=code, at=self.clock.at)
            self.line.publish(topics.PROMOS, f"{promo}/{code}", self.codec.encode(record))
        self.line.drain()

    # --- what happens --------------------------------------------------------------------------------------------

    def customer(self, who: str = "user_id:u1", consent: Sequence[str] = ("email",), **traits: Any) -> None:
        """A person known before the story begins, with an e-mail address named after it."""
        type_, value = split(who)
        self.profiles[who] = {
            "traits": traits,
            "segments": [],
            "consents": [
                {"address": "", "channel": c, "purpose": "", "granted": True, "at": at(days=-9), "source": "x"}
                for c in consent
            ],
            "addresses": {type_: [value], "email": [f"{value}@example.com"]},
            "suppressed": {},
            "timezone": None,
        }

    def event(
        self,
        name: str,
        when: int,
        who: str = "user_id:u1",
        *,
        properties: Mapping[str, Any] | None = None,
        changes: Sequence[tuple[str, str]] = (),
        also: Sequence[str] = (),
        slot: str | None = None,
        version: int = 1,
        profile: bool = True,
        person: str | None = None,
        **fields: Any,
    ) -> str:
        """An event of a person at an instant, with segments it entered or left; its event_id."""
        self.line.advance(when - 1)
        self.clock.at = max(self.clock.at, when)
        self._count += 1
        fields = {
            "type": "track",
            "context": b"{}",
            "occurred_at": when,
            "event_id": f"event-{self._count}",
            "channel": "",
            "source": "test",
            **fields,
        }
        record = Event(
            message_id=f"message-{self._count}",
            name=name,
            identifiers=[who, *also],
            received_at=when,
            properties=orjson.dumps(properties or {}),
            traits=b"{}",
            **fields,
        )
        update = Update(
            kind="event",
            person_id=person or person_id(who),
            slot=slot or slot_of(who),
            version=version,
            at=when,
            changes=self._changes(who, changes, "event", when),
            event=self.codec.encode(record),
            profile=self._profile(who) if profile else None,
        )
        self.publish(update)
        return record.event_id

    def change(
        self, segment: str, change: str, when: int, who: str = "user_id:u1", cause: str = "timer", kind: str = "timer"
    ) -> None:
        """A segment entered or left without an event."""
        self.line.advance(when - 1)
        self.clock.at = max(self.clock.at, when)
        changes = self._changes(who, [(segment, change)], cause, when)
        update = Update(kind=kind, person_id=person_id(who), at=when, changes=changes, profile=self._profile(who))
        self.publish(update)

    def move(self, slots: Mapping[str, int], origin: str, to: str, when: int, reason: str = "merge") -> None:
        """The move of slots {identifier: version} from a person to another, as segments passes it through."""
        self.line.advance(when - 1)
        self.clock.at = max(self.clock.at, when)
        moved = [SlotVersion(slot=slot_of(identifier), version=version) for identifier, version in slots.items()]
        move = Move(to=person_id(to), slots=moved, reason=reason, at=when)
        left = [(segment, "left") for segment in self.profiles.get(origin, {}).get("segments", [])]
        changes = self._changes(origin, left, reason, when)
        self.publish(Update(kind="move", person_id=person_id(origin), at=when, changes=changes, move=move))

    def arrived(
        self,
        slots: Mapping[str, int],
        who: str,
        when: int,
        changes: Sequence[tuple[str, str]] = (),
        cause: str = "merge",
        **profile: Any,
    ) -> None:
        """Segments' state of slots {identifier: version} arrived at a person: its profile changes."""
        self.profiles[who] = {**self.profiles[who], **profile}
        changed = self._changes(who, changes, cause, when)
        update = Update(
            kind="handoff",
            person_id=person_id(who),
            at=when,
            changes=changed,
            profile=self._profile(who),
            arrived=[SlotVersion(slot=slot_of(identifier), version=version) for identifier, version in slots.items()],
        )
        self.publish(update)

    def await_state(self, identifier: str, version: int, who: str, when: int) -> None:
        """Segments keep an event back until the state of a slot has arrived at a person."""
        slot = slot_of(identifier)
        self.publish(Update(kind="awaiting", person_id=person_id(who), at=when, slot=slot, version=version))

    def marker(self, version: str, when: int) -> None:
        self.publish(Update(kind="marker", person_id="", at=when, marker=Marker(version=version, at=when)))

    def steer(self, journey: str, state: str, when: int) -> None:
        """A journey is paused or drained or runs again from an instant on."""
        self.line.advance(when)
        told = JourneyState(journey=journey, state=state, at=when)
        self.publish(Update(kind="journey", person_id="", at=when, journey=told))

    def erase(self, who: str, when: int) -> None:
        erasure = Erasure(identifiers=[who], slots=[slot_of(who)], at=when)
        self.publish(Update(kind="erasure", person_id=person_id(who), at=when, erasure=erasure))

    def publish(self, update: Update) -> None:
        self.line.publish(topics.UPDATES, update.person_id, self.codec.encode(update))
        self.line.drain()

    def until(self, when: int) -> None:
        self.line.advance(when)

    # --- what came of it -----------------------------------------------------------------------------------------

    def sends(self) -> list[SendCommand]:
        """All send commands in order of time; what happens at this very instant is over."""
        self.line.advance(self.clock.at)
        found = [
            self.codec.decode(SendCommand, record.value)
            for topic, records in self.line.outputs.items()
            if topic.startswith("outbound.")
            for record in records
        ]
        return sorted(found, key=lambda command: command.at)

    def sent(self) -> list[int]:
        return [command.at for command in self.sends()]

    def decisions(self, journey: str | None = None) -> list[Decision]:
        """What was decided, in order; what only tells where an instance is stands in `traces`."""
        return [decision for decision in self.decided(journey) if decision.reason not in reasons.TRACES]

    def traces(self, journey: str | None = None) -> list[Decision]:
        return [decision for decision in self.decided(journey) if decision.reason in reasons.TRACES]

    def decided(self, journey: str | None = None) -> list[Decision]:
        """Both, in order."""
        self.line.advance(self.clock.at)
        found = [self.codec.decode(Decision, record.value) for record in self.line.outputs.get(topics.DECISIONS, [])]
        return [decision for decision in found if journey in (None, decision.journey)]

    def reasons(self, journey: str | None = None) -> list[str]:
        return [decision.reason for decision in self.decisions(journey)]

    def events(self) -> list[Event]:
        return [self.codec.decode(Event, record.value) for record in self.line.outputs.get(topics.EVENTS, [])]

    def handoffs(self) -> list[Handoff]:
        records = self.line.outputs.get(topics.JOURNEYS_HANDOFF, [])
        return [self.codec.decode(Handoff, record.value) for record in records]

    def person(self, who: str = "user_id:u1") -> Person | None:
        return self.line.state("journeys", PERSONS, person_id(who))

    def _profile(self, who: str) -> bytes | None:
        return orjson.dumps(self.profiles[who]) if who in self.profiles else None

    def _changes(self, who: str, changes: Sequence[tuple[str, str]], cause: str, when: int) -> list[Change]:
        if who in self.profiles:
            segments = set(self.profiles[who]["segments"])
            for segment, change in changes:
                (segments.add if change == "entered" else segments.discard)(segment)
            self.profiles[who]["segments"] = sorted(segments)
        return [Change(segment=s, change=c, cause=cause, at=when) for s, c in changes]
