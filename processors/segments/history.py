"""What happened before definitions were in force, read again and folded by the same code as what happens now."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog

from processors.runtime.contract import Record
from processors.segments.fold import Fold
from processors.segments.keeping import part_of
from processors.segments.model import State
from processors.segments.plan import Name, Plan
from processors.segments.view import View
from schemas.codec import BadRecord, Codec
from schemas.dead_letters import meant_for
from schemas.records import Event, PersonEnvelope
from schemas.topics import INTERNAL_BYTES

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of one partition in order, and the offset to go on from: `upto` when nothing follows."""

    records: list[Record]
    next: int


class History(Protocol):
    """What the topic `people` holds, and what is known of the time before. Safe for threads."""

    def partitions(self) -> int:
        """How many partitions `people` has."""

    def read(self, partition: int, start: int, upto: int) -> Stretch:
        """Some of the records with `start <= offset < upto`."""


class Told(msgspec.Struct, frozen=True):
    """What history says of a slot: its state, encoded, for the slot's placement of this version at this person."""

    person_id: str
    slot: str
    version: int
    state: bytes


def gather(
    records: Iterable[Record], codec: Codec, plan: Plan, names: Collection[Name], now: int, app: str
) -> list[Told]:
    """What these records say under these names, slot by slot.

    An event is folded for the placement that it was filed under; where that has gone since, is for the redirects of the
    persons to say. `now` is an instant (milliseconds since 1970 UTC) that no answer will be older than.
    """
    found: dict[tuple[str, str], tuple[int, State]] = {}
    for record in records:
        if not meant_for(app, record.headers):
            continue
        try:
            envelope = codec.decode(PersonEnvelope, record.value)
            if envelope.kind != "event" or envelope.event is None:
                continue
            event = codec.decode(Event, envelope.event)
            place = envelope.person_id, envelope.slot
            version, state = found.get(place, (0, None))
            folded = Fold(event, state, View({envelope.slot: state} if state is not None else {}, plan, {}), now)
        except BadRecord:
            continue  # it did not count when it came, it is a dead letter since
        found[place] = max(version, envelope.version), folded.state
    return list(_told(found, names))


def _told(found: dict[tuple[str, str], tuple[int, State]], names: Collection[Name]) -> Iterable[Told]:
    for (person_id, slot), (version, whole) in found.items():
        state = part_of(whole, names)
        if state is None:
            continue
        data = msgspec.msgpack.encode(state)
        if len(data) > INTERNAL_BYTES // 2:
            _log.error("history of a slot is too large to be filled in", person=person_id, bytes=len(data))
            continue
        yield Told(person_id, slot, version, data)
