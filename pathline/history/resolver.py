"""Who is who in history: the line's own identity steps, in memory and without bytes in between.

An event of identifiers that were seen together before changes nothing but its own place, so most events are placed from
what was found then; whether that holds is the resolver's to say (`IdentityStage.quiet_from`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

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


class Resolver:
    """Identity and graph, begun with the links of earlier loads.

    `identity` and `links` have what was found since they were emptied.
    """

    def __init__(self, project: Project, links: Iterable[Link], now: int) -> None:
        definitions, codec = FixedDefinitions(project), _Unframed()
        self._identity = IdentityStage(definitions, codec)
        self._seats = [_Seat(self._identity, now), _Seat(GraphStage(definitions, codec), now)]
        self._turn = self._seats[0].turn
        self._places: dict[str, dict[tuple[str, ...], tuple[int, Place]]] = {}
        self.identity: list[Assignment | Refusal | Update] = []
        self.links: list[Link] = []
        for link in links:
            self._through(topics.LINKS, LinkEnvelope(kind="link", link=link))
        self.identity.clear()
        self.links.clear()

    def place(self, event: Event) -> tuple[Place | None, list[str]]:
        """Where an event belongs, None when it counts no more or can't be used; and why it, or something it led to,
        can't be used."""
        identifiers = tuple(event.identifiers)
        known = self._places.get(identifiers[0])
        if known is not None and (found := known.get(identifiers)) is not None and event.occurred_at >= found[0]:
            return found[1], []
        placed, reasons = self._through(topics.EVENTS, event)
        self._remember(identifiers, placed)
        return placed, reasons

    def _remember(self, identifiers: tuple[str, ...], placed: Place | None) -> None:
        own = identifiers[0]
        holder = self._turn.get(HOLDERS, own)
        if placed is None or (holder is not None and len(holder.periods) > 1):
            return
        since = self._identity.quiet_from(identifiers, self._turn)
        if since is not None:
            here = Place(*place_of(holder, None, own, since))
            self._places.setdefault(own, {})[identifiers] = since, here

    def _through(self, topic: str, record: Wire) -> tuple[Place | None, list[str]]:
        """Take a record through both stages, and whatever comes of it."""
        placed, reasons = None, list[str]()
        underway = deque([(topic, record)])
        while underway:
            topic, record = underway.popleft()
            self._note(topic, record)
            if isinstance(record, PersonEnvelope) and record.kind == "event":
                placed = Place(record.person_id, record.slot, record.version)
            for seat in self._seats:
                if topic in seat.stage.inputs:
                    try:
                        underway.extend(seat.take(topic, record))
                    except BadRecord as error:
                        reasons.append(str(error) if topic == topics.EVENTS else f"{seat.stage.app}: {error}")
        return placed, reasons

    def _note(self, topic: str, record: Wire) -> None:
        match record:
            case Assignment():
                self.identity.append(record)
                # what it changes holds for events from now on
                self._places.pop(record.identifier, None)
            case Refusal():
                self.identity.append(record)
            case LinkEnvelope(link=Link() as link):
                self.links.append(link)
            case PersonEnvelope(move=move) if move is not None:
                self.identity.append(Update(kind="move", person_id=record.person_id, at=move.at, move=move))


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
