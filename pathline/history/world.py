"""The line's own identity steps in memory, without bytes in between: what they say of a record, and what they know."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from processors.graph.model import NODES
from processors.graph.step import GraphStage
from processors.identity.model import HOLDERS, place_of
from processors.identity.step import IdentityStage
from processors.runtime.contract import BadRecord, Record, Stage, Table
from processors.runtime.definitions import FixedDefinitions
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.model import Project
from schemas.records import Assignment, Event, Link, LinkEnvelope, PersonEnvelope, Refusal, Update, Wire

S = TypeVar("S")
W = TypeVar("W", bound=Wire)


class Place(NamedTuple):
    """The person an event belongs to, and the slot it is filed under with the version of its placement."""

    person_id: str
    slot: str
    version: int


class Heard(msgspec.Struct):
    """What came of a record: the place of an event, None when it counts no more or can't be used; why it, or something
    it led to, can't be used; and what the steps say about identifiers."""

    place: Place | None = None
    reasons: list[str] = []
    assignments: list[Assignment] = []
    refusals: list[Refusal] = []
    moves: list[Update] = []
    links: list[Link] = []


class World:
    """Identity and graph, which nobody has told anything yet. All happens at the instant `now`."""

    def __init__(self, project: Project, now: int) -> None:
        definitions, codec = FixedDefinitions(project), _Unframed()
        self._stage = IdentityStage(definitions, codec)
        self._identity, self._graph = _Seat(self._stage, now), _Seat(GraphStage(definitions, codec), now)

    def event(self, event: Event) -> Heard:
        """Take an event through both stages, and whatever comes of it."""
        return self._through(topics.EVENTS, event)

    def link(self, link: Link) -> Heard:
        """The same of a link."""
        return self._through(topics.LINKS, LinkEnvelope(kind="link", link=link))

    def links(self, identifier: str) -> bool:
        """Whether a link of the identifier was ever heard of."""
        return identifier in self._graph.turn.tables[NODES.prefix]

    def admits(self, identifiers: Sequence[str]) -> bool:
        """Whether all of them may count."""
        return self._stage.admits(identifiers)

    def settled(self, identifiers: Sequence[str]) -> tuple[int, Place] | None:
        """From which time on (milliseconds since 1970 UTC) events with these identifiers change nothing but their own
        place, and that place, as long as the first one is not assigned anew; None when each may change more."""
        own, turn = identifiers[0], self._identity.turn
        holder = turn.get(HOLDERS, own)
        if holder is not None and len(holder.periods) > 1:
            return None
        since = self._stage.quiet_from(identifiers, turn)
        return None if since is None else (since, Place(*place_of(holder, None, own, since)))

    def _through(self, topic: str, record: Wire) -> Heard:
        heard = Heard()
        underway = deque([(topic, record)])
        while underway:
            topic, record = underway.popleft()
            _note(record, heard)
            for seat in (self._identity, self._graph):
                if topic in seat.stage.inputs:
                    try:
                        underway.extend(seat.take(topic, record))
                    except BadRecord as error:
                        reason = str(error) if topic == topics.EVENTS else f"{seat.stage.app}: {error}"
                        heard.reasons.append(reason)
        return heard


def _note(record: Wire, heard: Heard) -> None:
    match record:
        case Assignment():
            heard.assignments.append(record)
        case Refusal():
            heard.refusals.append(record)
        case LinkEnvelope(link=Link() as link):
            heard.links.append(link)
        case PersonEnvelope(move=move) if move is not None:
            heard.moves.append(Update(kind="move", person_id=record.person_id, at=move.at, move=move))
        case PersonEnvelope(kind="event"):
            heard.place = Place(record.person_id, record.slot, record.version)


class _Unframed(Codec):
    """Records as they are: nothing leaves this process."""

    def encode(self, record: Wire) -> bytes:
        return cast(bytes, record)

    def decode(self, kind: type[W], data: bytes | None) -> W:
        return cast(W, data)


class _Seat:
    """A stage with its state."""

    def __init__(self, stage: Stage, now: int) -> None:
        self.stage = stage
        self.turn = _Turn(now)

    def take(self, topic: str, record: Wire) -> list[tuple[str, Wire]]:
        """What the stage sends because of a record. Raises BadRecord; nothing of it counts then."""
        turn = self.turn
        turn.undo.clear()
        turn.sent = []
        try:
            self.stage.on_record(Record(topic, 0, 0, turn.now, None, cast(bytes, record)), turn)
        except BadRecord:
            for table, key, value in reversed(turn.undo):
                turn.tables[table][key] = value
            raise
        return turn.sent


class _Turn:
    """State as values in memory."""

    partition = 0

    def __init__(self, now: int) -> None:
        self.now = now
        self.tables: dict[str, dict[str, Any]] = defaultdict(dict)
        self.undo: list[tuple[str, str, Any]] = []
        self.sent: list[tuple[str, Wire]] = []

    def get(self, table: Table[S], key: str) -> S | None:
        return self.tables[table.prefix].get(key)

    def put(self, table: Table[S], key: str, value: S | None) -> None:
        state = self.tables[table.prefix]
        self.undo.append((table.prefix, key, state.get(key)))
        state[key] = value

    def scan(self, table: Table[S], prefix: str = "", after: str = "") -> Iterator[tuple[str, S]]:
        state = self.tables[table.prefix]
        for key in sorted(key for key in state if key.startswith(prefix) and key > after):
            if state[key] is not None:
                yield key, state[key]

    def send(self, topic: str, key: str, value: bytes | None, partition: int | None = None) -> None:
        self.sent.append((topic, cast(Wire, value)))

    def wake(self, key: str, due: int, rank: int = 0) -> None:
        """Only a review of changed rules wakes; here the rules stay."""

    def call(self, key: str, request: Any) -> None:
        """Neither stage calls."""
