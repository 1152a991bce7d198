"""What the warehouse knows of a person that journeys would see: the profile and the events."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.records import Event
from sinks.clickhouse.engine import Warehouse


def profile_of(warehouse: Warehouse, person: UUID) -> bytes | None:
    """The profile JSON, None of people whom only loaded history knows."""
    rows = warehouse.rows("SELECT profile FROM pathline.people WHERE person_id = {person:UUID}", {"person": person})
    return str(rows[0]["profile"]).encode() if rows else None


def events_of(warehouse: Warehouse, person: UUID, names: list[str], most: int) -> list[Event]:
    """The newest events of these names, the newest first."""
    rows = warehouse.rows(_EVENTS, {"person": person, "names": names, "most": most})
    return [_event(row) for row in rows]


def _event(row: dict[str, Any]) -> Event:
    return Event(
        message_id=row["message_id"],
        event_id=str(row["event_id"]),
        type=row["type"],
        name=row["name"],
        channel=row["channel"],
        identifiers=list(row["identifiers"]),
        occurred_at=_ms(row["occurred_at"]),
        received_at=_ms(row["received_at"]),
        source=row["source"],
        historical=row["historical"],
        send_id=row["send_id"],
        properties=row["properties"].encode() or b"{}",
        traits=row["traits"].encode() or b"{}",
        context=row["context"].encode() or b"{}",
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


_EVENTS = """
SELECT message_id, event_id, toString(type) AS type, toString(name) AS name, toString(channel) AS channel, identifiers,
    occurred_at, received_at, toString(source) AS source, historical, send_id, properties, traits, context
FROM pathline.events WHERE person_id = {person:UUID} AND name IN {names:Array(String)}
ORDER BY occurred_at DESC, event_id DESC LIMIT {most:UInt32}
"""
