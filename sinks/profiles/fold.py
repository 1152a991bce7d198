"""What a record of the line changes in the read side: pure, the same in whatever order the topics are read.

Profiles, moves, erasures and events come from `updates`. Profiles of people of whom `updates` tells nothing any more,
as it forgets after a month, and journeys under way come from the state of the journeys stage, whose changelog is
compacted and so always whole. Events are kept by slot, so none has to move when a person is merged or split.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from processors.journeys.model import PERSONS, PROFILES
from processors.runtime.store import state_key
from schemas import topics
from schemas.codec import Codec
from schemas.erasure import mark
from schemas.identifiers import identifier_of, person_id
from schemas.records import Assignment, Erasure, Event, Move, Update
from sinks.profiles.model import Gone, profile_of
from sinks.profiles.store import (
    ASSIGNMENT,
    ERASED,
    EVENT,
    HEAD,
    JOURNEYS,
    MOVED,
    NAMED,
    PROFILE,
    STATE,
    UPDATED,
)

JOURNEYS_STATE = topics.changelog("journeys")
#: what the read side follows
TOPICS = (topics.UPDATES, topics.ASSIGNMENTS, JOURNEYS_STATE)
#: events kept of a slot
EVENTS = 20

_PERSON, _PROFILE = state_key(PERSONS, ""), state_key(PROFILES, "")
_times = msgspec.msgpack.Decoder(list[int])


class Fold:
    """Changes of some records over a store; `changes` are what is to be written, None deletes."""

    def __init__(self, codec: Codec, get: Callable[[bytes], bytes | None], events: int = EVENTS) -> None:
        self.changes: dict[bytes, bytes | None] = {}
        self._codec = codec
        self._get = get
        self._events = events

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take one record. Raises BadRecord when it can't be used; it has changed nothing then."""
        if topic == topics.UPDATES:
            self._update(self._codec.decode(Update, value))
        elif topic == topics.ASSIGNMENTS:
            self._assignment(key or b"", value)
        else:
            self._state(key or b"", value)

    def _known(self, key: bytes) -> bytes | None:
        return self.changes[key] if key in self.changes else self._get(key)

    def _update(self, update: Update) -> None:
        person = update.person_id.encode()
        event = None if update.event is None else self._codec.decode(Event, update.event)
        if update.profile is not None:
            profile_of(update.profile)
            self.changes[PROFILE + person] = UPDATED + update.profile
        if event is not None and update.event is not None:
            self._event(update.slot, event, update.event)
        if update.move is not None:
            self._move(update.person_id, update.move)
        if update.erasure is not None:
            self._erasure(update.person_id, update.erasure)

    def _event(self, slot: str, event: Event, framed: bytes) -> None:
        for identifier in event.identifiers:
            if identifier != identifier_of(slot):
                self.changes[NAMED + identifier.encode()] = slot.encode()
        head = HEAD + slot.encode()
        known = self._known(head)
        times = [] if known is None else _times.decode(known)
        if len(times) < self._events:
            place = len(times)
            times.append(event.occurred_at)
        else:
            # in the place of the oldest one, also when it comes late and is older still: then it stays out
            oldest = min(times)
            if event.occurred_at < oldest:
                return
            place = times.index(oldest)
            times[place] = event.occurred_at
        self.changes[head] = msgspec.msgpack.encode(times)
        self.changes[event_key(slot, place)] = framed

    def _move(self, person: str, move: Move) -> None:
        key = MOVED + person.encode()
        # a person is derived from an identifier; where that goes the person goes, whatever else went elsewhere
        own = any(person_id(identifier_of(moved.slot)) == person for moved in move.slots)
        if own or self._known(key) is None:
            self.changes[key] = move.to.encode()

    def _erasure(self, person: str, erasure: Erasure) -> None:
        for slot in erasure.slots:
            times = self._known(HEAD + slot.encode())
            for place in range(len(_times.decode(times)) if times is not None else 0):
                self.changes[event_key(slot, place)] = None
            self.changes[HEAD + slot.encode()] = None
        generations = dict(zip(map(identifier_of, erasure.slots), erasure.generations, strict=False))
        for identifier in erasure.identifiers:
            self.changes[NAMED + identifier.encode()] = None
            self._gone(identifier, Gone(erasure.at, generations.get(identifier, 0)))
        for gone in erasure.persons:
            for kind in (PROFILE, MOVED):
                self.changes[kind + gone.encode()] = None
            self._gone(gone, Gone(erasure.at))

    def _gone(self, name: str, gone: Gone) -> None:
        self.changes[ERASED + mark(name).encode()] = msgspec.msgpack.encode(gone)

    def _assignment(self, identifier: bytes, value: bytes | None) -> None:
        if value is not None:
            self._codec.decode(Assignment, value)
        self.changes[ASSIGNMENT + identifier] = value

    def _state(self, key: bytes, value: bytes | None) -> None:
        """State of journeys, as it is: what nobody asks for need not be understood."""
        if key.startswith(_PERSON):
            self.changes[JOURNEYS + key.removeprefix(_PERSON)] = value
        elif key.startswith(_PROFILE):
            own = PROFILE + key.removeprefix(_PROFILE)
            known = self._known(own)
            # journeys hear of a profile from `updates` too, and never sooner
            if known is None or known.startswith(STATE):
                self.changes[own] = None if value is None else STATE + PROFILES.decode(value).json


def event_key(slot: str, place: int) -> bytes:
    """Where one of the events of a slot is kept."""
    return EVENT + slot.encode() + b"\0" + bytes([place])
