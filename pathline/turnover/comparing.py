"""Who would enter and leave segments under other definitions: the stage itself over the history that there is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from processors.runtime.contract import Record, Table
from processors.runtime.definitions import FixedDefinitions
from processors.segments.model import PEOPLE as PERSONS
from processors.segments.model import Person
from processors.segments.step import SegmentsStage
from schemas.codec import BadRecord, Codec
from schemas.dead_letters import meant_for
from schemas.definitions.hoisting import HIDDEN
from schemas.definitions.model import Project, Segment
from schemas.identifiers import identifier_of
from schemas.topics import PEOPLE, SEGMENTS_HANDOFF

S = TypeVar("S")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person with the identifiers that are known, `type:value`, the strongest first."""

    person_id: str
    identifiers: tuple[str, ...]


@dataclass(slots=True)
class Difference:
    """What other definitions make of one segment; `definition` is new, changed, removed or as it was, for people who
    come and go because of another segment or trait that it goes by."""

    segment: str
    definition: str
    before: int = 0
    after: int = 0
    enter: list[Somebody] = field(default_factory=list)
    leave: list[Somebody] = field(default_factory=list)


def compare(old: Project | None, new: Project, records: Iterable[Record], now: int, codec: Codec) -> list[Difference]:
    """Members at `now` (milliseconds since 1970 UTC) under both, for segments that differ; `records` is history of
    `people`, in which the records of one person are in order."""
    runs = [_Run(project, codec) for project in (old, new) if project is not None]
    for record in records:
        for run in runs:
            run.take(record)
    before = runs[0].members(now) if old is not None else {}
    after = runs[-1].members(now)
    persons = {person for members in (before, after) for found in members.values() for person in found}
    known = {person: Somebody(person, runs[-1].identifiers(person)) for person in persons}
    were = {} if old is None else _visible(old.segments.values())
    found = []
    for name in sorted(were.keys() | _visible(new.segments.values()).keys()):
        inside, then = before.get(name, set()), after.get(name, set())
        definition = _definition(name, were, _visible(new.segments.values()))
        if definition == "same" and inside == then:
            continue
        enter, leave = ([known[one] for one in sorted(some)] for some in (then - inside, inside - then))
        found.append(Difference(name, definition, len(inside), len(then), enter, leave))
    return found


def _visible(segments: Iterable[Segment]) -> dict[str, Segment]:
    return {segment.name: segment for segment in segments if not segment.name.startswith(HIDDEN)}


def _definition(name: str, old: dict[str, Segment], new: dict[str, Segment]) -> str:
    if name not in new:
        return "removed"
    if name not in old:
        return "new"
    return "same" if old[name].when == new[name].when else "changed"


class _Run:
    """The segments stage under one project, in memory, telling nobody."""

    def __init__(self, project: Project, codec: Codec) -> None:
        self._stage = SegmentsStage(FixedDefinitions(project), codec)
        self._turn = _Turn()
        self._types = project.identity.types

    def take(self, record: Record) -> None:
        self._apply(record)
        while self._turn.sent:
            self._apply(self._turn.sent.popleft())

    def members(self, now: int) -> dict[str, set[str]]:
        """Members by segment."""
        found: dict[str, set[str]] = {}
        for key in list(self._turn.persons):
            self._stage.on_wake(key, now, self._turn)
            for name in self._turn.persons[key].member:
                found.setdefault(name, set()).add(key)
        return found

    def identifiers(self, person_id: str) -> tuple[str, ...]:
        person = self._turn.persons.get(person_id, Person())
        told = {name for slot in person.slots.held.values() if slot.state is not None for name in slot.state.used}
        return tuple(sorted(told | {identifier_of(slot) for slot in person.slots.held}, key=self._strength))

    def _strength(self, identifier: str) -> tuple[int, str]:
        """A type that the project does not have any more comes last."""
        type = self._types.get(identifier.partition(":")[0])
        return (type.rank if type is not None else len(self._types), identifier)

    def _apply(self, record: Record) -> None:
        try:
            self._stage.on_record(record, self._turn)
        except BadRecord as error:
            _log.debug("a record that can't be used", why=str(error))


class _Turn:
    """State as it is, nothing encoded; of what is sent only what the stage itself reads again."""

    now = 0
    partition = 0

    def __init__(self) -> None:
        self.persons: dict[str, Person] = {}
        self._tables: dict[str, dict[str, Any]] = {PERSONS.prefix: self.persons}
        self.sent: deque[Record] = deque()

    def get(self, table: Table[Any], key: str) -> Any:
        return self._tables.get(table.prefix, {}).get(key)

    def put(self, table: Table[Any], key: str, value: Any) -> None:
        if value is None:
            self._tables[table.prefix].pop(key, None)
        else:
            self._tables.setdefault(table.prefix, {})[key] = value

    def scan(self, table: Table[S], prefix: str = "", after: str = "") -> Iterator[tuple[str, S]]:
        return iter(())

    def send(self, topic: str, key: str, value: bytes | None, partition: int | None = None) -> None:
        if topic in (PEOPLE, SEGMENTS_HANDOFF):
            self.sent.append(Record(topic, 0, 0, 0, key.encode(), value))

    def wake(self, key: str, due: int, rank: int = 0) -> None:
        """Time passes for a person with its next record, and at the end."""

    def call(self, key: str, request: Any) -> None:
        """Nobody is asked."""


def history(messages: Iterable[Any], codec: Codec, report: Callable[[int], None]) -> Iterator[Record]:
    """Records of `people` as the segments stage takes them, markers left out; `report` hears how many so far."""
    from schemas.headers import headers_of
    from schemas.records import PersonEnvelope

    for number, message in enumerate(messages, 1):
        if number % 10_000 == 0:
            report(number)
        headers = headers_of(message)
        if not meant_for(SegmentsStage.app, headers):
            continue
        try:
            if codec.decode(PersonEnvelope, message.value()).kind in ("marker", "journey"):
                continue
        except BadRecord:
            continue
        yield Record(PEOPLE, 0, 0, 0, message.key(), message.value())
