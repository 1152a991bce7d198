"""A journey tried on one person: the very steps of the line in this process, whose messages go to another address.

Nothing of it counts: no cap, intent, consent or quiet hour holds, no receipt comes back, and nothing is written to the
line. What happens to the person meanwhile is not seen, so what is waited for does not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
import orjson

from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import Entry, Journey, Project, Requested, Trigger
from schemas.identifiers import slot_of, split
from schemas.records import Change, Decision, Event, SendCommand, Update
from schemas.requests import ENTRY_REQUESTED
from schemas.services import SERVICES
from sinks.clickhouse.journeys import ENDS

#: a journey that goes on for longer is left
MOST_WAKES = 1_000
#: length of a code that stands for one of a pool
_LETTERS = 8
_NAMESPACE = uuid5(NAMESPACE_URL, "pathline:journeys:test")


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is tried as. `profile` is the profile JSON; `addresses` (`type:value`) are where messages go instead."""

    id: str
    profile: bytes
    addresses: tuple[str, ...]


def run(
    project: Project,
    journey: Journey,
    person: Person,
    event: Event | None,
    at: int,
    pause: Callable[[int, int], None] | None = None,
    happened: Callable[[Decision | SendCommand], None] = lambda _: None,
) -> int | None:
    """Go through the journey from `at` on (milliseconds UTC), telling what is decided and sent in order.

    `event` starts it where an event does. `pause` is called before time goes on, from and to an instant. Gives the
    instant at which the person waits for something that does not come, None when the journey came to an end.
    """
    codec, clock = Codec(), VirtualClock(at)
    tried = _tried(project, journey, event)
    line = MemoryLine([JourneysStage(FixedDefinitions(tried), codec)], clock)
    told = dict[str, int]()
    try:
        line.publish(topics.UPDATES, person.id, codec.encode(_entering(journey, person, event, at, codec)))
        line.drain()
        _tell(line, codec, told, happened)
        for _ in range(MOST_WAKES):
            due = line.next_wake()
            if due is None:
                break
            if pause is not None and due > clock.at:
                pause(clock.at, due)
            line.advance(due)
            _tell(line, codec, told, happened)
    finally:
        line.close()
    return None if _ended(line, codec, journey.name) else clock.at


def _tried(project: Project, journey: Journey, event: Event | None) -> Project:
    """The project with this journey alone, and with nothing in the way of its messages."""
    trigger = journey.entries[0].trigger
    match trigger:
        case Trigger(segment=None) if event is not None:
            entry = Entry(Trigger(events=(event.name,)))
        case Trigger(segment=str()):
            entry = Entry(trigger)
        case _:
            entry = Entry(Requested())
    free = {name: replace(channel, caps=(), quiet=None, consent="none") for name, channel in project.channels.items()}
    alone = replace(journey, entries=(entry,), exit=(), intent="")
    # a test takes no code of a pool, and what stands in its messages is no code of anybody
    promos = {
        name: replace(promo, prefix="TEST-", length=promo.length or _LETTERS, file="")
        for name, promo in project.promos.items()
    }
    free_of_limits = replace(project, channels=free, caps=(), holdout=None, exclude=None, promos=promos)
    return replace(free_of_limits, journeys={journey.name: alone})


def _entering(journey: Journey, person: Person, event: Event | None, at: int, codec: Codec) -> Update:
    """The update that starts the journey."""
    trigger = journey.entries[0].trigger
    changes = []
    if isinstance(trigger, Trigger) and trigger.segment is not None:
        changes = [Change(segment=trigger.segment, change=trigger.change, cause="event", at=at)]
    slot = person.addresses[0]
    started = event or Event(
        message_id="test",
        event_id="test",
        type="track",
        name="Journey Tried" if changes else ENTRY_REQUESTED,
        channel="",
        identifiers=[slot],
        occurred_at=at,
        received_at=at,
        source="test",
        properties=orjson.dumps({"journey": journey.name}),
        traits=b"{}",
        context=b"{}",
    )
    now = msgspec.structs.replace(started, occurred_at=at, received_at=at, historical=False, identifiers=[slot])
    return Update(
        kind="event",
        person_id=person.id,
        slot=slot_of(slot),
        version=1,
        at=at,
        changes=changes,
        event=codec.encode(now),
        profile=_profile(person),
    )


def _profile(person: Person) -> bytes:
    known: dict[str, Any] = orjson.loads(person.profile)
    addresses: dict[str, list[str]] = {}
    for identifier in person.addresses:
        kind, value = split(identifier)
        addresses.setdefault(kind, []).append(value)
    segments = [name for name in known.get("segments", ()) if name != EXCLUDED]
    mine: Mapping[str, Any] = {"segments": segments, "consents": [], "suppressed": {}, "addresses": addresses}
    return orjson.dumps({**known, **mine})


#: a test calls nobody's service: the decision tells what would have been asked
_ASKED = tuple(map(topics.outbound, SERVICES))


def _tell(
    line: MemoryLine, codec: Codec, told: dict[str, int], happened: Callable[[Decision | SendCommand], None]
) -> None:
    """What came since the last time, decisions before the messages they are about."""
    new: list[Decision | SendCommand] = []
    for topic, records in line.outputs.items():
        known = told.get(topic, 0)
        told[topic] = len(records)
        if topic == topics.DECISIONS:
            new += [codec.decode(Decision, record.value) for record in records[known:]]
        elif topic.startswith("outbound.") and not topic.startswith(_ASKED):
            new += [_marked(codec.decode(SendCommand, record.value)) for record in records[known:]]
    for one in sorted(new, key=lambda one: (one.at, isinstance(one, SendCommand))):
        happened(one)


#: what people see first of a message, by what it has
_SHOWN = ("subject", "title", "text")


def _marked(command: SendCommand) -> SendCommand:
    """A message that says that it is a test, under an id that no receipt can lead back from."""
    parts = orjson.loads(command.content)
    if shown := next((name for name in _SHOWN if parts.get(name)), None):
        parts[shown] = f"[Test] {parts[shown]}"
    id_ = f"test-{uuid5(_NAMESPACE, f'{command.send_id}:{command.at}')}"
    return msgspec.structs.replace(command, send_id=id_, content=orjson.dumps(parts))


def _ended(line: MemoryLine, codec: Codec, journey: str) -> bool:
    decisions = (codec.decode(Decision, record.value) for record in line.outputs.get(topics.DECISIONS, ()))
    return any(decision.journey == journey and decision.reason in ENDS for decision in decisions)
