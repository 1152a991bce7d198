"""What a line at rest left behind, read once from its topics."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from processors.runtime.contract import Record
from processors.runtime.store import WAKE_PREFIX, state_key, wake_of
from processors.segments.model import MARKS, PEOPLE
from processors.segments.plan import fingerprint
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.model import Did
from schemas.records import Assignment, Change, Decision, Event, LedgerEntry, PersonEnvelope, SendCommand, Update
from tests.faults.line import poison
from tests.faults.line.oracle import Owners, owners_of
from tests.faults.line.project import COUNTED, project
from tests.faults.line.reading import records

#: (topic, partition, offset)
Place = tuple[str, int, int]
#: apps that keep state
KEEPING = ("identity", "graph", "segments", "journeys", *topics.dispatch_apps("email"))


@dataclass(frozen=True, slots=True)
class Told:
    """A change of membership, and when Kafka got the record that tells it (milliseconds)."""

    change: Change
    written: int


@dataclass(slots=True)
class Facts:
    """What was found; what is there twice is counted twice.

    `updated` counts updates by event id, `changes` are by person and segment in their order, `moves` counts placements
    (slot, version) by what the graph said and `moved` by the updates that tell of them. Of the state:
    `counted` are the persons in whom an event stands, by its mark, `incomplete` those to whom something is still on its
    way, `wakes` the timers asked for: (app, key, due). `sizes` are the committed records of each topic. `at` is when
    reading began (milliseconds).
    """

    at: int

    updated: Counter[str] = field(default_factory=Counter)
    changes: dict[tuple[str, str], list[Told]] = field(default_factory=lambda: defaultdict(list))
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    moves: Counter[tuple[str, int]] = field(default_factory=Counter)
    moved: Counter[tuple[str, int]] = field(default_factory=Counter)
    owners: dict[str, Owners] = field(default_factory=dict)
    decisions: list[tuple[Decision, int]] = field(default_factory=list)
    sends: list[SendCommand] = field(default_factory=list)
    ledger: dict[str, list[LedgerEntry]] = field(default_factory=lambda: defaultdict(list))
    poison: dict[Place, bytes | None] = field(default_factory=dict)
    letters: list[Record] = field(default_factory=list)
    counted: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    incomplete: list[str] = field(default_factory=list)
    wakes: list[tuple[str, str, int]] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)


def gather(brokers: str) -> Facts:
    """Read everything."""
    facts = Facts(time.time_ns() // 1_000_000)
    for topic, take in _takers(facts, Codec()).items():
        for record in records(brokers, topic):
            facts.sizes[topic] += 1
            if topic != topics.DEAD_LETTERS and any(name == poison.MARK for name, _ in record.headers):
                facts.poison[topic, record.partition, record.offset] = record.value
            elif take is not None:
                take(record)
    for app in KEEPING:
        _read_state(brokers, app, facts)
    return facts


def _takers(facts: Facts, codec: Codec) -> dict[str, Callable[[Record], None] | None]:
    """Who takes what of each topic; None: it is read for its poison only."""

    def person(record: Record) -> None:
        envelope = codec.decode(PersonEnvelope, record.value)
        if envelope.move is not None:
            facts.moves.update((slot.slot, slot.version) for slot in envelope.move.slots)

    def update(record: Record) -> None:
        told = codec.decode(Update, record.value)
        if told.event is not None:
            facts.updated[codec.decode(Event, told.event).event_id] += 1
        if told.profile is not None:
            facts.profiles[told.person_id] = orjson.loads(told.profile)
        if told.move is not None:
            facts.moved.update((slot.slot, slot.version) for slot in told.move.slots)
        for change in told.changes:
            facts.changes[told.person_id, change.segment].append(Told(change, record.timestamp))

    def assignment(record: Record) -> None:
        told = codec.decode(Assignment, record.value)
        facts.owners[told.identifier] = owners_of(told)

    def entry(record: Record) -> None:
        told = codec.decode(LedgerEntry, record.value)
        facts.ledger[told.send_id].append(told)

    def decision(record: Record) -> None:
        facts.decisions.append((codec.decode(Decision, record.value), record.timestamp))

    def send(record: Record) -> None:
        facts.sends.append(codec.decode(SendCommand, record.value))

    return {
        topics.EVENTS: None,
        topics.PEOPLE: person,
        topics.UPDATES: update,
        topics.LINKS: None,
        topics.ASSIGNMENTS: assignment,
        topics.REFUSALS: None,
        topics.SEGMENTS_HANDOFF: None,
        topics.JOURNEYS_HANDOFF: None,
        topics.DECISIONS: decision,
        topics.outbound("email"): send,
        topics.outbound("email", True): send,
        topics.ledger("email"): entry,
        topics.DEAD_LETTERS: facts.letters.append,
    }


def _read_state(brokers: str, app: str, facts: Facts) -> None:
    """State as the changelog alone has it."""
    condition = project().segments[COUNTED].when
    assert isinstance(condition, Did)
    counter, people = fingerprint(condition), state_key(PEOPLE, "")
    last = {(record.partition, record.key): record.value for record in records(brokers, topics.changelog(app))}
    for (_, key), value in last.items():
        if value is None or key is None:
            continue
        if key.startswith(WAKE_PREFIX):
            facts.wakes.append((app, *wake_of(key)))
        elif app == "segments" and key.startswith(people):
            person, slots = key.removeprefix(people).decode(), PEOPLE.decode(value).slots
            facts.incomplete += [] if slots.complete else [person]
            for slot in slots.held.values():
                for _, mark in MARKS.get(slot.state.counted, counter) if slot.state is not None else ():
                    facts.counted[mark].append(person)
