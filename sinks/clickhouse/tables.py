"""The rows the sink writes: one typed record per table, and their Arrow form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from sinks.clickhouse.engine import Warehouse

_INSTANT = pa.timestamp("ms", tz="UTC")
_UUID = pa.binary(16)


class Origin(NamedTuple):
    """The record a row came from; the last three columns of every table that is written from records."""

    topic: str
    partition: int
    offset: int


_ORIGIN = {"topic": pa.string(), "partition": pa.uint32(), "offset": pa.uint64()}

#: columns of each table in the order of its rows; instants are milliseconds since 1970 UTC, UUIDs 16 bytes
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "events_raw": {
        "event_id": _UUID,
        "message_id": pa.string(),
        "type": pa.string(),
        "name": pa.string(),
        "channel": pa.string(),
        "source": pa.string(),
        "occurred_at": _INSTANT,
        "received_at": _INSTANT,
        "historical": pa.bool_(),
        "person_at": _UUID,
        "slot": pa.string(),
        "version": pa.uint32(),
        "identifiers": pa.list_(pa.string()),
        "send_id": pa.string(),
        "revenue": pa.float64(),
        "properties": pa.string(),
        "traits": pa.string(),
        "context": pa.string(),
        **_ORIGIN,
    },
    "listed_raw": {
        "at": _INSTANT,
        "received_at": _INSTANT,
        "list": pa.string(),
        "identifier": pa.string(),
        "member": pa.bool_(),
        "person_at": _UUID,
        "slot": pa.string(),
        "version": pa.uint32(),
        **_ORIGIN,
    },
    "memberships": {
        "at": _INSTANT,
        "person_id": _UUID,
        "segment": pa.string(),
        "change": pa.string(),
        "cause": pa.string(),
        "reason": pa.string(),
        "ordinal": pa.uint32(),
        **_ORIGIN,
    },
    "profiles": {
        "person_id": _UUID,
        "at": _INSTANT,
        "gone": pa.bool_(),
        "identifiers": pa.list_(pa.string()),
        "segments": pa.list_(pa.string()),
        "profile": pa.string(),
        **_ORIGIN,
    },
    "moves": {
        "at": _INSTANT,
        "from_person": _UUID,
        "to_person": _UUID,
        "slot": pa.string(),
        "version": pa.uint32(),
        "reason": pa.string(),
        **_ORIGIN,
    },
    "assignments": {
        "identifier": pa.string(),
        "version": pa.uint32(),
        "since": _INSTANT,
        "person_id": _UUID,
        "slot": pa.string(),
        "slot_version": pa.uint32(),
        "generation": pa.uint32(),
        **_ORIGIN,
    },
    "slot_owners": {"slot": pa.string(), "version": pa.uint32(), "person_id": _UUID, **_ORIGIN},
    "refusals": {
        "at": _INSTANT,
        "a": pa.string(),
        "b": pa.string(),
        "reason": pa.string(),
        "source": pa.string(),
        "refused": pa.bool_(),
        **_ORIGIN,
    },
    "decisions": {
        "at": _INSTANT,
        "decision_id": pa.string(),
        "person_id": _UUID,
        "journey": pa.string(),
        "step": pa.string(),
        "channel": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
        "instance_id": pa.string(),
        "send_id": pa.string(),
        "due": _INSTANT,
        **_ORIGIN,
    },
    "sends_raw": {
        "send_id": pa.string(),
        "at": _INSTANT,
        "person_at": _UUID,
        "journey": pa.string(),
        "journey_version": pa.string(),
        "instance_id": pa.string(),
        "step": pa.string(),
        "channel": pa.string(),
        "category": pa.string(),
        "purpose": pa.string(),
        "template": pa.string(),
        "address": pa.string(),
        "identifier": pa.string(),
        "intent": pa.string(),
        **_ORIGIN,
    },
    "erasures": {"kind": pa.string(), "mark": pa.string(), "at": _INSTANT, **_ORIGIN},
    "ledger": {
        "at": _INSTANT,
        "send_id": pa.string(),
        "person_id": _UUID,
        "channel": pa.string(),
        "state": pa.string(),
        "provider_id": pa.string(),
        "detail": pa.string(),
        "attempts": pa.uint32(),
        **_ORIGIN,
    },
    "definitions": {
        "published_at": _INSTANT,
        "version": pa.string(),
        "author": pa.string(),
        "files": pa.map_(pa.string(), pa.string()),
        **_ORIGIN,
    },
    "accesses_raw": {
        "at": _INSTANT,
        "access_id": pa.string(),
        "person_at": _UUID,
        "asked_by": pa.string(),
        "key": pa.string(),
        "key_name": pa.string(),
        "actor": pa.string(),
        "outcome": pa.string(),
        "fields": pa.list_(pa.string()),
        **_ORIGIN,
    },
    # these come from files, not from records
    "costs_raw": {
        "file": pa.string(),
        "load": pa.uint64(),
        "line": pa.uint32(),
        "day": pa.date32(),
        "channel": pa.string(),
        "campaign": pa.string(),
        "amount": pa.float64(),
        "currency": pa.string(),
    },
    "rates_raw": {
        "file": pa.string(),
        "load": pa.uint64(),
        "line": pa.uint32(),
        "day": pa.date32(),
        "currency": pa.string(),
        "rate": pa.float64(),
    },
}

Row = tuple[Any, ...]


def arrow(table: str, rows: Sequence[Row]) -> pa.Table:
    """Rows of one table as an Arrow table. Raises pyarrow.ArrowInvalid when a value does not fit its column."""
    columns = COLUMNS[table]
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    arrays = [pa.array(column, type=type_) for column, type_ in zip(values, columns.values(), strict=True)]
    return pa.Table.from_arrays(arrays, names=list(columns))


def furthest(warehouse: Warehouse) -> dict[tuple[str, int], int]:
    """The last offset of each (topic, partition) of which there are rows."""
    tables = [table for table, columns in COLUMNS.items() if columns.keys() >= _ORIGIN.keys()]
    each = " UNION ALL ".join(f"SELECT topic, partition, offset FROM pathline.{table}" for table in tables)
    found = warehouse.rows(f"SELECT topic, partition, max(offset) AS last FROM ({each}) GROUP BY topic, partition")
    return {(row["topic"], row["partition"]): row["last"] for row in found}
