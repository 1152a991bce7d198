"""Who is meant, and what is known of that person: answers from the store, pure.

An identifier leads to a person by its assignment; one that was never linked to the person derived from it; one whose
link was refused to whoever it was seen with last. A person id that was merged away leads on to the person of today.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
import orjson
import structlog

from processors.journeys import positions
from processors.journeys.model import PERSONS, Instance
from processors.journeys.model import Person as Journeys
from processors.runtime.store import Store
from schemas.codec import Codec
from schemas.definitions.expressions import iso
from schemas.definitions.hoisting import HIDDEN
from schemas.definitions.model import Project, Send, Step, Wait, WaitFor
from schemas.erasure import mark
from schemas.identifiers import identifier_of, person_id, slot_of
from schemas.records import Assignment, Event
from sinks.profiles.fold import event_key
from sinks.profiles.messages import Message, messages
from sinks.profiles.metrics import UNREADABLE
from sinks.profiles.model import Gone, Profile, profile_of
from sinks.profiles.store import ASSIGNMENT, ERASED, HEAD, JOURNEYS, MOVED, NAMED, PROFILE

#: merges on merges are followed so far; each leads to a stronger identifier, so there is no way back
_MOST_MOVES = 64

Row = dict[str, Any]
_log = structlog.get_logger("profiles")


class Projects(Protocol):
    """Published projects by version."""

    def project(self, version: str) -> Project:
        """Raises LookupError when there is none."""

    def latest(self) -> Project | None:
        """None when there is none yet."""


@dataclass(frozen=True, slots=True)
class Nobody:
    """Why there is no answer: nobody is known by that name, or who was is forgotten."""

    why: Literal["unknown", "erased"]


class People:
    """Persons as of the records read so far."""

    def __init__(self, store: Store, codec: Codec, projects: Projects) -> None:
        self._store = store
        self._get = store.get
        self._codec = codec
        self._projects = projects

    # --- who -------------------------------------------------------------------------------------------------------

    def by_identifier(self, identifier: str) -> Person | Nobody:
        """The person of a normalised identifier (`type:value`)."""
        gone = self._gone(identifier)
        assigned = self._assignment(identifier)
        candidates = [self._derived(identifier) if assigned is None else assigned.periods[-1].person_id]
        named = self._get(NAMED + identifier.encode())
        candidates += [self._owner(named.decode())] if named is not None else []
        for candidate in filter(None, candidates):
            if isinstance(found := self.by_id(candidate), Person):
                return found
        return Nobody("unknown" if gone is None else "erased")

    def by_id(self, id: str) -> Person | Nobody:
        """The person of an id, or of one it had before."""
        current = id
        for _ in range(_MOST_MOVES):
            profile = self._profile(current)
            if profile is not None and profile.alive:
                return Person(current, profile, self)
            onwards = self._moved(current)
            if onwards is None:
                break
            current = onwards
        return Nobody("erased" if self._gone(id) is not None else "unknown")

    def _owner(self, slot: str) -> str:
        """Whose a slot is."""
        assigned = self._assignment(identifier_of(slot))
        periods = assigned.periods if assigned is not None else []
        return next((p.person_id for p in periods if p.slot == slot), self._derived(identifier_of(slot)))

    def _derived(self, identifier: str) -> str:
        """Whose an identifier is as long as nobody said otherwise."""
        gone = self._gone(identifier)
        return person_id(identifier, gone.generation if gone is not None else 0)

    def _moved(self, id: str) -> str | None:
        """Who got what a person was; None when nobody did."""
        known = self._get(MOVED + id.encode())
        if known is not None:
            return known.decode()
        redirects = (self.journeys(id) or Journeys()).slots.redirects
        own = (slot for slot in redirects if person_id(identifier_of(slot)) == id)
        slot = next(own, None) or min(redirects, default=None)
        return None if slot is None else redirects[slot].to

    # --- what ------------------------------------------------------------------------------------------------------

    def slots(self, person: str, identifiers: Iterable[str]) -> Iterator[str]:
        """Slots of a person who used these identifiers."""
        for identifier in identifiers:
            assigned = self._assignment(identifier)
            if assigned is not None:
                yield from (period.slot for period in assigned.periods if period.person_id == person)
            elif self._derived(identifier) == person:
                # else its link was refused: what was filed under it is somebody else's
                gone = self._gone(identifier)
                yield slot_of(identifier, gone.at + 1 if gone is not None else 0)

    def events(self, slots: Iterable[str], most: int | None = None) -> list[Event]:
        """The events kept of these slots, the newest first, so many at most."""
        places = []
        for slot in slots:
            times = self._get(HEAD + slot.encode())
            told = msgspec.msgpack.decode(times, type=list[int]) if times is not None else []
            places += [(at, event_key(slot, place)) for place, at in enumerate(told)]
        if most is not None and len(places) > most:
            # taking an event apart is most of the work: only those that may be among the newest
            from_then = sorted((at for at, _ in places), reverse=True)[most - 1] if most else math.inf
            places = [(at, key) for at, key in places if at >= from_then]
        kept = (self._get(key) for _, key in places)
        found = [self._codec.decode(Event, framed) for framed in kept if framed is not None]
        return sorted(found, key=lambda event: (event.occurred_at, event.event_id), reverse=True)[:most]

    def inbox(self, identifiers: Iterable[str], now: int) -> list[Message]:
        """The messages in the inbox of these identifiers at an instant, the newest first."""
        return messages(self._store, self._codec, identifiers, now)

    def journeys(self, person: str) -> Journeys | None:
        """A person as journeys know one; None when they do not, or in a way that is not understood here."""
        state = self._get(JOURNEYS + person.encode())
        if state is None:
            return None
        try:
            return PERSONS.decode(state)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            UNREADABLE.inc()
            _log.error("a state of journeys can't be read", person=person, error=str(error))
            return None

    def earlier(self, person: str, identifiers: Iterable[str]) -> list[str]:
        """Ids that lead to a person by its identifiers: each was derived from one of them."""
        derived = {person_id(identifier) for identifier in identifiers} - {person}
        found = []
        for id in sorted(derived):
            there = self.by_id(id) if self._get(PROFILE + id.encode()) is not None else None
            found += [id] if isinstance(there, Person) and there.id == person else []
        return found

    def step_of(self, instance: Instance) -> Step | None:
        """The step an instance is at, by the version it is pinned to; None when that can't be told here."""
        try:
            journey = self._projects.project(instance.version).journeys[instance.journey]
            return positions.step_at(journey, instance.position)
        except (LookupError, TypeError):
            return None

    def project(self) -> Project | None:
        """The project published last."""
        return self._projects.latest()

    def _profile(self, person: str) -> Profile | None:
        data = self._get(PROFILE + person.encode())
        return None if data is None else profile_of(data[1:])

    def _assignment(self, identifier: str) -> Assignment | None:
        framed = self._get(ASSIGNMENT + identifier.encode())
        return None if framed is None else self._codec.decode(Assignment, framed)

    def _gone(self, name: str) -> Gone | None:
        data = self._get(ERASED + mark(name).encode())
        return None if data is None else msgspec.msgpack.decode(data, type=Gone)


class Person:
    """One person; each method is a field of the answer, worked out when it is asked for."""

    def __init__(self, id: str, profile: Profile, people: People) -> None:
        self.id = id
        self._known = profile
        self._people = people
        project = people.project()
        self._computed = frozenset(project.traits) if project is not None else frozenset[str]()
        self._channels = project.channels if project is not None else {}

    def person_id(self) -> str:
        return self.id

    def earlier_ids(self) -> list[str]:
        return self._people.earlier(self.id, self._known.identifiers)

    def identifiers(self) -> dict[str, list[str]]:
        return self._known.addresses

    def traits(self) -> Row:
        return {name: value for name, value in self._known.traits.items() if name not in self._computed}

    def sources(self) -> dict[str, str]:
        return self._known.sources

    def computed_traits(self) -> Row:
        return {name: value for name, value in self._known.traits.items() if name in self._computed}

    def inbox(self, now: int) -> list[Message]:
        """Messages to read, the newest first."""
        return self._people.inbox(self._known.identifiers, now)

    def segments(self) -> list[str]:
        return [name for name in self._known.segments if not name.startswith(HIDDEN)]

    def consents(self) -> list[Row]:
        return [{**choice, "at": iso(choice["at"])} for choice in self._known.consents]

    def suppressed(self) -> dict[str, str]:
        return self._known.suppressed

    def reachable(self) -> dict[str, list[str]]:
        channels = {
            channel.name: [address for type in channel.identifiers for address in self._known.addresses.get(type, ())]
            for channel in self._channels.values()
            if channel.kind == "send"
        }
        return {name: addresses for name, addresses in channels.items() if addresses}

    def preferred_channels(self) -> list[str]:
        return self._known.affinity

    def timezone(self) -> str | None:
        return self._known.timezone

    def first_seen(self) -> str | None:
        return iso(self._known.first_seen) if self._known.first_seen else None

    def journeys(self) -> list[Row]:
        state = self._people.journeys(self.id)
        slots = state.slots.held.values() if state is not None else ()
        running = [i for slot in slots if slot.state is not None for i in slot.state.instances.values()]
        return [self._journey(instance) for instance in sorted(running, key=lambda i: (i.entered_at, i.id))]

    def _journey(self, instance: Instance) -> Row:
        step = self._people.step_of(instance)
        return {
            "journey": instance.journey,
            "instance_id": instance.id,
            "entered_at": iso(instance.entered_at),
            "step": step.id if step is not None else None,
            "kind": _KINDS.get(type(step)),
            "since": iso(instance.since),
            "until": iso(instance.due) if instance.due is not None else None,
        }

    def events(self, most: int | None = None) -> list[Row]:
        slots = self._people.slots(self.id, self._known.identifiers)
        return [row for event in self._people.events(slots, most) if (row := _event(event)) is not None]


#: kinds of steps an instance can rest at
_KINDS: dict[type, str] = {Wait: "wait", WaitFor: "wait_for", Send: "send"}


def _event(event: Event) -> Row | None:
    try:
        properties = orjson.loads(event.properties or b"{}")
    except orjson.JSONDecodeError:
        return None
    return {
        "event_id": event.event_id,
        "name": event.name,
        "channel": event.channel,
        "occurred_at": iso(event.occurred_at),
        "properties": properties,
    }
