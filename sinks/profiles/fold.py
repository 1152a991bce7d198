"""What a record of the line changes in the read side: pure, the same in whatever order the topics are read.

Profiles, moves, erasures and events come from `updates`. Profiles of people of whom `updates` tells nothing any more,
as it forgets after a month, and journeys under way come from the state of the journeys stage, whose changelog is
compacted and so always whole. Events are kept by slot, so none has to move when a person is merged or split.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from processors.journeys.model import PERSONS, PROFILES
from processors.runtime.store import Store, state_key
from schemas import topics
from schemas.codec import Codec
from schemas.erasure import mark
from schemas.identifiers import identifier_of, person_id
from schemas.reasons import WITHDRAWN
from schemas.records import Assignment, Decision, Erasure, Event, Move, SendCommand, Update
from sinks.profiles import kept
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
#: what the read side follows, whatever the project
TOPICS = (topics.UPDATES, topics.ASSIGNMENTS, JOURNEYS_STATE)
#: events kept of a slot
EVENTS = 20

_PERSON, _PROFILE = state_key(PERSONS, ""), state_key(PROFILES, "")
_times = msgspec.msgpack.Decoder(list[int])


def topics_of(inboxes: Mapping[str, int]) -> tuple[str, ...]:
    """What is followed for these inboxes besides: their messages, and which of them journeys take back."""
    if not inboxes:
        return ()
    return (topics.DECISIONS, *(topics.outbound(name, lane) for name in sorted(inboxes) for lane in (False, True)))


class Fold:
    """Changes of some records over a store; `changes` are what is to be written, None deletes.

    `events` are kept of a slot; `inboxes` are channels that people read themselves, with how long messages stay there
    (milliseconds).
    """

    def __init__(
        self,
        codec: Codec,
        store: Store,
        *,
        events: int = EVENTS,
        inboxes: Mapping[str, int] | None = None,
    ) -> None:
        self.changes: dict[bytes, bytes | None] = {}
        self._codec = codec
        self._store = store
        self._events = events
        self._inboxes = inboxes or {}

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take one record. Raises BadRecord when it can't be used; it has changed nothing then."""
        if topic == topics.UPDATES:
            self._update(self._codec.decode(Update, value))
        elif topic == topics.ASSIGNMENTS:
            self._assignment(key or b"", value)
        elif topic == JOURNEYS_STATE:
            self._state(key or b"", value)
        elif topic == topics.DECISIONS:
            self._decision(value)
        else:
            self._message(self._codec.decode(SendCommand, value), value or b"")

    def _known(self, key: bytes) -> bytes | None:
        return self.changes[key] if key in self.changes else self._store.get(key)

    def _update(self, update: Update) -> None:
        person = update.person_id.encode()
        event = None if update.event is None else self._codec.decode(Event, update.event)
        if update.profile is not None:
            profile_of(update.profile)
            self.changes[PROFILE + person] = UPDATED + update.profile
        if event is not None and update.event is not None:
            self._event(update.slot, event, update.event)
            if (told := kept.told_by(event)) is not None:
                self.changes[told[0]] = told[1]
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
        for identifier in {*erasure.identifiers, *map(identifier_of, erasure.slots)}:
            self._empty(identifier, erasure.at)
        generations = dict(zip(map(identifier_of, erasure.slots), erasure.generations, strict=False))
        for identifier in erasure.identifiers:
            self.changes[NAMED + identifier.encode()] = None
            self._gone(identifier, Gone(erasure.at, generations.get(identifier, 0)))
        for gone in erasure.persons:
            for kind in (PROFILE, MOVED):
                self.changes[kind + gone.encode()] = None
            self._gone(gone, Gone(erasure.at))

    def _empty(self, identifier: str, until: int) -> None:
        """Remove the messages that an identifier was sent up to an instant."""
        first, end = kept.of_identifier(identifier)
        pending = {key: value for key, value in self.changes.items() if first <= key < end}
        for key, value in {**dict(self._store.scan(first, end)), **pending}.items():
            if value is not None and self._codec.decode(SendCommand, kept.taken_apart(value)[1]).at <= until:
                self.changes |= kept.removed(key, value)

    def _message(self, command: SendCommand, framed: bytes) -> None:
        stays = self._inboxes.get(command.channel)
        erased = self._known(ERASED + mark(command.identifier).encode())
        gone = erased is not None and command.at <= msgspec.msgpack.decode(erased, type=Gone).at
        if stays is not None and not gone:
            self.changes |= kept.kept(command, framed, command.at + stays)

    def _decision(self, value: bytes | None) -> None:
        """Only what takes a message back counts here; taking all others apart would cost more than all the rest."""
        if value is None or WITHDRAWN.encode() not in value:
            return
        decision = self._codec.decode(Decision, value)
        if decision.reason == WITHDRAWN and decision.send_id:
            self.changes[kept.flag_key(decision.send_id, kept.WITHDRAWN)] = decision.at.to_bytes(8)

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
