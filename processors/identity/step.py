"""The resolver: says whose each event is, and tells the graph which identifiers were seen together.

It never waits for the graph: an identifier not heard of yet is a person whose id is derived, and an event stamped with
an older assignment follows the redirects of its slot at the `people` consumers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import msgspec

from processors.identity.duplicates import is_duplicate
from processors.identity.erasure import forget, returns
from processors.identity.model import FORGOTTEN, HOLDERS, NOBODY, SENT, Holder, Sent, place_of, sent_key
from processors.runtime.contract import BadRecord, Record, Turn
from processors.runtime.definitions import DefinitionsSource
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.model import IdentityRules
from schemas.erasure import mark
from schemas.identifiers import admissible, split
from schemas.records import EARLIEST, Assignment, Event, Link, LinkEnvelope, PersonEnvelope
from schemas.sightings import span, thinned


class IdentityStage:
    """Events and assignments in; events with their person, and novel links, out."""

    app = "identity"
    inputs: tuple[str, ...] = (topics.EVENTS, topics.ASSIGNMENTS)

    def __init__(self, source: DefinitionsSource, codec: Codec) -> None:
        self._source = source
        self._codec = codec
        self._rules: IdentityRules | None = None
        self._admissible: Callable[[str], str] = lambda identifier: ""

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.ASSIGNMENTS:
            # a tombstone only takes an erased identifier out of the topic: what there is to do was said before it
            if record.value is not None:
                self._assigned(self._codec.decode(Assignment, record.value), turn)
        else:
            self._event(self._codec.decode(Event, record.value), record.value, turn)

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        """Asks for no wakes."""

    def on_assigned(self, turn: Turn) -> None:
        """All state is read when it is needed."""

    def on_result(self, key: str, result: object, turn: Turn) -> None:
        """Calls nobody."""

    def _event(self, event: Event, framed: bytes | None, turn: Turn) -> None:
        rules = self._rules_in_force()
        # the edge chose them under the rules it knew; those in force now may refuse more
        identifiers = [identifier for identifier in event.identifiers if not self._admissible(identifier)]
        if not identifiers:
            raise BadRecord("no usable identifier")
        own, *others = identifiers
        forgotten = turn.get(FORGOTTEN, mark(own))
        if forgotten is not None and not returns(turn, own, forgotten, event):
            return
        if is_duplicate(turn, own, event.event_id, event.received_at, rules.remember_messages):
            return
        holder = turn.get(HOLDERS, own)
        person, slot, version = place_of(holder, forgotten, own, event.occurred_at)
        if person == NOBODY:
            return
        envelope = PersonEnvelope(kind="event", person_id=person, slot=slot, version=version, event=framed)
        turn.send(topics.PEOPLE, person, self._codec.encode(envelope))
        for other in others:
            if other != own:
                superseded = holder is not None and other in holder.superseded
                self._saw(own, other, event, superseded, rules, turn)

    def _saw(self, own: str, other: str, event: Event, superseded: bool, rules: IdentityRules, turn: Turn) -> None:
        """Two identifiers in one event: the graph is told when that is new, or older than it knows, or matters for a
        limit with a period, or when another owner has taken the identifier since."""
        key, at = sent_key(own, other), event.occurred_at
        sent = turn.get(SENT, key)
        known = sent or Sent(at, at, at)
        novel = sent is None or at < known.first or (superseded and at > known.last)
        types = rules.types[split(own)[0]], rules.types[split(other)[0]]
        every = span(*types)
        if every is not None:
            sightings = thinned(sorted({*known.sightings, at}), every)
            if sightings != known.sightings:
                novel, known = True, msgspec.structs.replace(known, sightings=sightings)
        if novel:
            self._tell(turn, own, other, at, event.source, event.event_id)
            known = msgspec.structs.replace(known, first=min(known.first, at), last=max(known.last, at))
        if types[1].shared == "newest" and (sent is None or at > sent.seen):
            known = msgspec.structs.replace(known, seen=at, source=event.source, event_id=event.event_id)
        if known != sent:
            turn.put(SENT, key, known)

    def admits(self, identifiers: Sequence[str]) -> bool:
        """Whether all of these may count by the rules in force."""
        self._rules_in_force()
        return not any(map(self._admissible, identifiers))

    def quiet_from(self, identifiers: Sequence[str], turn: Turn) -> int | None:
        """From which time on (milliseconds since 1970 UTC) further events with these identifiers change no link and
        tell the graph none, as long as the first one is not assigned anew; None when each may."""
        rules = self._rules_in_force()
        own, *others = identifiers
        if turn.get(FORGOTTEN, mark(own)) is not None or not self.admits(identifiers):
            return None
        holder, first = turn.get(HOLDERS, own), EARLIEST
        for other in others:
            types = rules.types[split(own)[0]], rules.types[split(other)[0]]
            sent = turn.get(SENT, sent_key(own, other))
            superseded = holder is not None and other in holder.superseded
            if sent is None or superseded or types[1].shared == "newest" or span(*types) is not None:
                return None
            first = max(first, sent.first)
        return first

    def _assigned(self, assignment: Assignment, turn: Turn) -> None:
        holder = turn.get(HOLDERS, assignment.identifier)
        if holder is not None and holder.version >= assignment.version:
            return
        own, superseded = assignment.identifier, assignment.superseded
        if mark(own) in assignment.forgotten:
            forget(turn, assignment)
            return
        for other in assignment.forgotten:
            turn.put(SENT, f"{own}\0{other}", None)
        turn.put(HOLDERS, own, Holder(assignment.version, assignment.periods, superseded))
        for other in superseded:
            key = sent_key(own, other)
            sent = turn.get(SENT, key)
            if sent is not None and sent.seen > sent.last:
                self._tell(turn, own, other, sent.seen, sent.source, sent.event_id)
                turn.put(SENT, key, msgspec.structs.replace(sent, last=sent.seen))

    def _tell(self, turn: Turn, a: str, b: str, at: int, source: str, event_id: str) -> None:
        link = Link(a=a, b=b, seen_at=at, source=source, event_id=event_id)
        turn.send(topics.LINKS, "links", self._codec.encode(LinkEnvelope(kind="link", link=link)))

    def _rules_in_force(self) -> IdentityRules:
        project = self._source.latest()
        if project is None:
            raise RuntimeError("no definitions are published, so no identifier has a rank: run `pathline apply`")
        if project.identity is not self._rules:
            self._rules = project.identity
            self._admissible = lru_cache(maxsize=65_536)(partial(admissible, self._rules))
        return project.identity
