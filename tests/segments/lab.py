"""Projects made by hand and a line that consists of the segments stage alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson

from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.history import Stretch
from processors.segments.model import PEOPLE, Person, opened
from processors.segments.step import SegmentsStage
from processors.segments.turnover import Chunk, Read
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.model import (
    Channel,
    ComputedTrait,
    Condition,
    EventRule,
    IdentifierType,
    IdentityRules,
    Measure,
    Project,
    Segment,
)
from schemas.records import Change, Event, Marker, Move, PersonEnvelope, SlotVersion, Update

S = 1_000
H = 3_600 * S
D = 24 * H

IDENTITY = IdentityRules(
    types={
        "user_id": IdentifierType("user_id", 0, 1),
        "email": IdentifierType("email", 1, 5, normalize="email"),
        "phone": IdentifierType("phone", 2, 5, normalize="phone", region="UA"),
        "anonymous_id": IdentifierType("anonymous_id", 3),
    },
    blocked=frozenset(),
)
CHANNELS = {
    "email": Channel("email", consent="opt_in", identifiers=("email",)),
    "sms": Channel("sms", consent="opt_in", identifiers=("phone",)),
    "push": Channel("push", consent="opt_out", identifiers=("push",)),
    "web": Channel("web", kind="session"),
}


def project(
    segments: Mapping[str, Condition],
    events: Iterable[EventRule] = (),
    version: str = "v1",
    timezone: str = "UTC",
    traits: Mapping[str, Measure] | None = None,
) -> Project:
    """A project with these segments, in an order in which each stands after those it refers to."""
    return Project(
        name="shop",
        timezone=timezone,
        currency="UAH",
        holdout=None,
        identity=IDENTITY,
        events={rule.name: rule for rule in events},
        channels=CHANNELS,
        segments={name: Segment(name, condition) for name, condition in segments.items()},
        journeys={},
        templates={},
        version=version,
        files={},
        traits={name: ComputedTrait(name, measure) for name, measure in (traits or {}).items()},
    )


def event(name: str, at: int, *, received_at: int | None = None, **more: Any) -> Event:
    """An event of user u1; `traits`, `properties`, `context` are objects."""
    parts = {part: orjson.dumps(more.pop(part, {})) for part in ("properties", "traits", "context")}
    seed = f"{name} {at} {sorted(more.items())} {sorted(parts.items())}"
    fields = {
        "message_id": seed,
        "event_id": str(uuid5(NAMESPACE_OID, seed)),
        "type": "track",
        "channel": "web",
        "identifiers": ["user_id:u1"],
        "source": "test",
        **more,
        **parts,
    }
    return Event(name=name, occurred_at=at, received_at=at if received_at is None else received_at, **fields)


def identify(at: int, **more: Any) -> Event:
    return event("Identify", at, type="identify", **more)


class Past:
    """What a line in memory has had in `people`, some records at a time."""

    def __init__(self, line: Line, partitions: int, most: int = 2) -> None:
        self._line = line
        self._partitions = partitions
        self.most = most

    def partitions(self) -> int:
        return self._partitions

    def read(self, partition: int, start: int, upto: int) -> Stretch:
        there = [r for r in self._line.line.outputs[topics.PEOPLE] if r.partition == partition]
        records = [record for record in there if start <= record.offset < upto][: self.most]
        return Stretch(records, records[-1].offset + 1 if len(records) == self.most else upto)


class PacedStage(SegmentsStage):
    """Reads history `allowed` times and is busy then; None: as often as it likes."""

    allowed: int | None = None

    async def perform(self, request: Read) -> Chunk:
        if self.allowed is None:
            return self._read(request)
        if not self.allowed:
            return Chunk(request)
        self.allowed -= 1
        return self._read(request)


class Hasty(MemoryLine):
    """Partitions are not in step: whichever has something to take takes it next."""

    def __init__(self, *arguments: Any, draw: Random) -> None:
        self._draw = draw
        super().__init__(*arguments)

    def _settle(self) -> None:
        while self._underway:
            heads = {(r.topic, r.partition): r for r in reversed(self._underway)}
            first = self._draw.choice(sorted(heads))
            self._underway.remove(record := heads[first])
            self._take(record)

    def _take(self, record: Record) -> None:
        for stage in self._readers.get(record.topic, ()):
            self._turn(self._places[stage.app, record.partition], record, stage.on_record, record)


class Line:
    """The stage on an in-memory broker; times are moved by `until`."""

    def __init__(
        self, *projects: Project, partitions: int = 1, history: bool = False, draw: Random | None = None
    ) -> None:
        self.source = FixedDefinitions(*projects)
        self.codec = Codec()
        self.past = Past(self, partitions) if history else None
        self.stage = PacedStage(self.source, self.codec, self.past)
        if draw is None:
            self.line = MemoryLine([self.stage], VirtualClock(), partitions)
        else:
            self.line = Hasty([self.stage], VirtualClock(), partitions, draw=draw)

    def happen(self, *events: Event, person: str = "P", slot: str = "user_id:u1#0", version: int = 1) -> None:
        """Events at their time of receipt; timers that are due before come first."""
        for one in events:
            self.until(one.received_at - 1)
            self.line.clock.at = max(self.line.clock.at, one.received_at)
            envelope = PersonEnvelope(
                kind="event", person_id=person, slot=slot, version=version, event=self.codec.encode(one)
            )
            self.publish(envelope)

    def move(self, origin: str, to: str, slots: Mapping[str, int], at: int, reason: str = "merge") -> None:
        """A move record at the person the slots leave."""
        self.line.clock.at = max(self.line.clock.at, at)
        versions = [SlotVersion(slot=slot, version=version) for slot, version in slots.items()]
        move = Move(to=to, slots=versions, reason=reason, at=at)
        self.publish(PersonEnvelope(kind="move", person_id=origin, move=move))

    def mark(self, version: str, at: int, partition: int = 0) -> None:
        """A version is in force from here on in a partition."""
        self.line.clock.at = max(self.line.clock.at, at)
        self.publish(PersonEnvelope(kind="marker", person_id="", marker=Marker(version=version, at=at)), partition)

    def publish(self, envelope: PersonEnvelope, partition: int | None = None) -> None:
        self.line.publish(topics.PEOPLE, envelope.person_id, self.codec.encode(envelope), partition)
        self.line.drain()

    def apply(self, version: str, at: int) -> None:
        """A version is in force from here on everywhere."""
        assert self.past is not None
        for partition in range(self.past.partitions()):
            self.mark(version, at, partition)

    def until(self, at: int) -> None:
        if at >= self.line.clock.at:
            self.line.advance(at)

    @property
    def published(self) -> list[tuple[Record, Update]]:
        return [(record, self.codec.decode(Update, record.value)) for record in self.line.outputs[topics.UPDATES]]

    @property
    def updates(self) -> list[Update]:
        return [update for _, update in self.published]

    @property
    def changes(self) -> list[tuple[str, Change]]:
        """(person, change) in the order of publication."""
        return [(update.person_id, change) for update in self.updates for change in update.changes]

    def story(self, segment: str, person: str = "P") -> list[tuple[int, str, str]]:
        """(at, change, cause) of a segment."""
        return [(c.at, c.change, c.cause) for who, c in self.changes if (who, c.segment) == (person, segment)]

    def profile(self, person: str = "P") -> dict[str, Any]:
        """The profile published last."""
        return [orjson.loads(u.profile) for u in self.updates if u.profile is not None and u.person_id == person][-1]

    def person(self, person: str = "P") -> Person:
        found = self.line.state("segments", PEOPLE, person)
        assert found is not None
        for slot in found.slots.held.values():
            if slot.state is not None:
                opened(slot.state)
        return found
