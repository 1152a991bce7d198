"""History straight into the warehouse, without a line: in large pieces, each event once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate, chain
from typing import NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pyarrow as pa

from schemas.codec import BadRecord, Codec
from schemas.records import Assignment, Event, Link, Refusal, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.erasure import Erasures
from sinks.clickhouse.owners import put, put_events
from sinks.clickhouse.rows import Rows, assignment_rows, event_row, person_bytes, refusal_row, revenue_of, update_rows
from sinks.clickhouse.seen import Seen
from sinks.clickhouse.tables import COLUMNS, Origin, Row, arrow

#: why an event was left out
ERASED = "of somebody who was erased"
#: (event id, first identifier): the same message under another one is another event, as in the line
Key = tuple[str, str]


class Placed(NamedTuple):
    """An event with the person it belongs to and the slot it is filed under, `version` of the slot's placement.
    `position` is where it stands in its source."""

    event: Event
    person_id: str
    slot: str
    version: int = 1
    position: int = 0


class History:
    """The events of one source in the warehouse; `name` says where they came from."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        self._warehouse = warehouse
        self._topic = f"load {name}"
        self._codec = Codec()
        self._seen = Seen()
        self._erasures = Erasures(warehouse)
        self._erasures.refresh()
        self._recall()

    @property
    def begun(self) -> bool:
        """Whether earlier loads of this source left something."""
        return self._begun

    def maybe(self, events: Sequence[Event]) -> list[Event]:
        """Those of these events that may be there, or were given before; surely all that are."""
        found = self._seen.add([event.event_id for event in events])
        return [events[place] for place in found]

    def present(self, events: Sequence[Event]) -> dict[Key, int]:
        """Those of these events that are there, each with its position in its source."""
        found = self._warehouse.rows(
            "SELECT toString(event_id) AS id, identifiers[1] AS who, offset AS at"
            " FROM pathline.events_raw WHERE event_id IN {ids:Array(UUID)}",
            {"ids": [UUID(event.event_id) for event in events]},
        )
        return {(row["id"], row["who"]): row["at"] for row in found}

    def insert(self, placed: Sequence[Placed]) -> list[tuple[Placed, str]]:
        """Insert events of which none is there; gives those that were not taken, with the reason."""
        left: list[tuple[Placed, str]] = []
        kept = list[Placed]()
        for one in placed:
            if self._erasures.covers_slot(one.slot):
                left.append((one, ERASED))
            else:
                kept.append(one)
        try:
            table = _table(kept, self._topic)
        except (BadRecord, pa.ArrowInvalid, OverflowError):
            kept, table = self._one_by_one(kept, left)
        if kept:
            put_events(self._warehouse, table, [(one.slot, one.version) for one in kept], _token(kept))
        return left

    def unerased(self, links: Iterable[Link]) -> list[Link]:
        """Links without those of somebody who was erased."""
        gone = self._erasures.covers_identifier
        return [link for link in links if not (gone(link.a, link.seen_at) or gone(link.b, link.seen_at))]

    def insert_identity(self, found: Iterable[Assignment | Refusal | Update], position: int) -> None:
        """Insert who identifiers belong to, so that rows of earlier loads follow their persons, the moves (as updates)
        and refused links. The same position stands for the same records."""
        tables: dict[str, list[Row]] = {}
        for number, record in enumerate(found):
            for table, row in _identity_rows(self._codec, record, Origin(self._topic, 0, position + number)):
                tables.setdefault(table, []).append(row)
        for table, rows in tables.items():
            kept = self._erasures.kept(table, rows)
            if kept:
                put(self._warehouse, table, kept, f"{_token_of([row[:-3] for row in kept])}-{position}")

    def _recall(self) -> None:
        """Remember what earlier loads of this source left, a month at a time."""
        months = self._warehouse.rows(
            "SELECT DISTINCT toYYYYMM(occurred_at) AS month FROM pathline.events_raw WHERE topic = {topic:String}",
            {"topic": self._topic},
        )
        self._begun = bool(months)
        for row in months:
            ids = self._warehouse.arrow(
                "SELECT lower(hex(UUIDStringToNum(toString(event_id)))) AS id FROM pathline.events_raw"
                " WHERE topic = {topic:String} AND toYYYYMM(occurred_at) = {month:UInt32}",
                {"topic": self._topic, "month": row["month"]},
            )
            self._seen.add(ids.column("id").to_pylist())

    def _one_by_one(self, placed: Sequence[Placed], left: list[tuple[Placed, str]]) -> tuple[list[Placed], pa.Table]:
        rows, kept = list[Row](), list[Placed]()
        for one in placed:
            try:
                person, origin = person_bytes("person_id", one.person_id), Origin(self._topic, 0, one.position)
                row = event_row(one.event, person, one.slot, one.version, origin)
            except BadRecord as error:
                left.append((one, str(error)))
            else:
                rows.append(row)
                kept.append(one)
        return kept, arrow("events_raw", rows)


def _table(placed: Sequence[Placed], topic: str) -> pa.Table:
    """Rows of `events_raw`, column by column. Raises BadRecord, ArrowInvalid, OverflowError."""
    events = [one.event for one in placed]
    count = len(events)
    identifiers = [event.identifiers for event in events]
    columns = {
        "event_id": _uuids(bytes.fromhex("".join(event.event_id for event in events).replace("-", ""))),
        "message_id": [event.message_id for event in events],
        "type": [event.type for event in events],
        "name": [event.name for event in events],
        "channel": [event.channel for event in events],
        "source": [event.source for event in events],
        "occurred_at": _numbers([event.occurred_at for event in events]),
        "received_at": _numbers([event.received_at for event in events]),
        "historical": [event.historical for event in events],
        "person_at": _uuids(b"".join([person_bytes("person_id", one.person_id) for one in placed])),
        "slot": [one.slot for one in placed],
        "version": _numbers([one.version for one in placed]),
        "identifiers": pa.ListArray.from_arrays(
            pa.array(np.fromiter(accumulate(map(len, identifiers), initial=0), np.int32, count + 1)),
            pa.array(list(chain.from_iterable(identifiers)), pa.string()),
        ),
        "send_id": [event.send_id for event in events],
        "revenue": [revenue_of(event.properties) for event in events],
        "properties": [event.properties for event in events],
        "traits": [event.traits for event in events],
        "context": [event.context for event in events],
        "topic": pa.repeat(pa.scalar(topic), count),
        "partition": _numbers([0] * count),
        "offset": _numbers([one.position for one in placed]),
    }
    arrays = [
        column.cast(type) if isinstance(column, pa.Array) else pa.array(column, type)
        for column, type in zip(columns.values(), COLUMNS["events_raw"].values(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=list(columns))


def _numbers(values: list[int]) -> pa.Array:
    return pa.array(np.array(values, np.int64))


def _uuids(joined: bytes) -> pa.Array:
    return pa.Array.from_buffers(pa.binary(16), len(joined) // 16, [None, pa.py_buffer(joined)])


def _identity_rows(codec: Codec, record: Assignment | Refusal | Update, origin: Origin) -> Rows:
    if isinstance(record, Assignment):
        return assignment_rows(record, origin)
    if isinstance(record, Refusal):
        return [("refusals", refusal_row(record, origin))]
    return update_rows(codec, record, origin)


def _token(placed: Sequence[Placed]) -> str:
    return _token_of([(one.event.event_id, one.slot, one.version) for one in placed])


def _token_of(rows: Sequence[Row]) -> str:
    return f"load-{blake2b(msgspec.msgpack.encode(rows), digest_size=16).hexdigest()}"
