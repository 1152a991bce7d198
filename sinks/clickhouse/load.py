"""History straight into the warehouse, without a line: in large chunks, each event once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from uuid import UUID

from schemas.codec import BadRecord, Codec
from schemas.records import Assignment, Event, Refusal, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.erasure import Erasures
from sinks.clickhouse.owners import put
from sinks.clickhouse.rows import Rows, assignment_rows, event_row, refusal_row, update_rows, uuid_bytes
from sinks.clickhouse.tables import Origin, Row

CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class Placed:
    """An event with the person it belongs to and the slot it is filed under, `version` of the slot's placement."""

    event: Event
    person_id: str
    slot: str
    version: int = 1


@dataclass(slots=True)
class Counts:
    """What became of the events that were given. `rejected` has (message_id, reason) of each that no row can hold."""

    accepted: int = 0
    duplicate: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)


def load_events(
    warehouse: Warehouse, placed: Iterable[Placed], name: str, progress: Callable[[Counts], None] = lambda counts: None
) -> Counts:
    """Insert events, but none whose event id the warehouse has already: so a load that was interrupted is resumed by
    doing it again. `name` says where they came from. `progress` is told the counts after each chunk."""
    counts, erasures = Counts(), Erasures(warehouse)
    erasures.refresh()
    remaining = iter(placed)
    offset = 0
    while chunk := list(islice(remaining, CHUNK)):
        rows: dict[bytes, Row] = {}
        for position, one in enumerate(chunk, start=offset):
            try:
                row = _row(one, Origin(f"load {name}", 0, position))
            except BadRecord as error:
                counts.rejected.append((one.event.message_id, str(error)))
                continue
            if row[0] in rows:
                counts.duplicate += 1
            else:
                rows[row[0]] = row
        offset += len(chunk)
        there = _present(warehouse, rows.values())
        counts.duplicate += len(there)
        fresh = [row for event_id, row in rows.items() if event_id not in there]
        new = erasures.kept("events_raw", fresh)
        known = {row[0] for row in new}
        counts.rejected += ((row[1], "of somebody who was erased") for row in fresh if row[0] not in known)
        if new:
            put(warehouse, "events_raw", new, _token(new))
        counts.accepted += len(new)
        progress(counts)
    return counts


def load_identity(warehouse: Warehouse, found: Iterable[Assignment | Refusal | Update], name: str) -> int:
    """Insert who identifiers belong to, so that rows of earlier loads follow their persons, the moves (as updates) and
    refused links; gives the number of records."""
    tables: dict[str, list[Row]] = {}
    erasures = Erasures(warehouse)
    erasures.refresh()
    codec, number = Codec(), 0
    for number, record in enumerate(found, start=1):
        for table, row in _identity_rows(codec, record, Origin(f"load {name}", 0, number)):
            tables.setdefault(table, []).append(row)
    for table, found_rows in tables.items():
        rows = erasures.kept(table, found_rows)
        put(warehouse, table, rows, _token(rows))
    return number


def _identity_rows(codec: Codec, record: Assignment | Refusal | Update, origin: Origin) -> Rows:
    if isinstance(record, Assignment):
        return assignment_rows(record, origin)
    if isinstance(record, Refusal):
        return [("refusals", refusal_row(record, origin))]
    return update_rows(codec, record, origin)


def _row(placed: Placed, origin: Origin) -> Row:
    person = uuid_bytes(placed.person_id)
    if person is None:
        raise BadRecord(f"person_id is not a UUID: {placed.person_id!r}")
    return event_row(placed.event, person, placed.slot, placed.version, origin)


def _present(warehouse: Warehouse, rows: Iterable[Row]) -> set[bytes]:
    ids = [UUID(bytes=row[0]) for row in rows]
    found = warehouse.rows("SELECT event_id FROM pathline.events_raw WHERE event_id IN {ids:Array(UUID)}", {"ids": ids})
    return {UUID(str(row["event_id"])).bytes for row in found}


def _token(rows: Iterable[Row]) -> str:
    digest = blake2b(digest_size=16)
    for row in rows:
        digest.update(repr(row[:-3]).encode())
    return f"load-{digest.hexdigest()}"
