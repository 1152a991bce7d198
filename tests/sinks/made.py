"""Records as the line makes them, for tests, and a short way to put them into a warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from schemas.codec import Codec
from schemas.identifiers import person_id, slot_of
from schemas.records import Change, Decision, Event, SendCommand, Update, Wire
from schemas.topics import DECISIONS, UPDATES, outbound
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.owners import put
from sinks.clickhouse.rows import rows_of
from sinks.clickhouse.tables import Origin

#: 2026-03-01 00:00:00 UTC
T0 = 1_772_323_200_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
CODEC = Codec()


def event(
    name: str,
    at: int = T0,
    *,
    id: str = "",
    who: str = "user_id:u1",
    channel: str = "web",
    properties: Mapping[str, Any] | None = None,
    send_id: str | None = None,
    type: str = "track",
) -> Event:
    message = id or f"{who}/{name}/{at}"
    return Event(
        message_id=message,
        event_id=str(uuid5(NAMESPACE_URL, message)),
        type=type,
        name=name,
        channel=channel,
        identifiers=[who],
        occurred_at=at,
        received_at=at,
        source="test",
        send_id=send_id,
        properties=orjson.dumps(properties or {}),
        traits=b"{}",
        context=b"{}",
    )


def update(happened: Event, changes: Iterable[Change] = (), profile: Mapping[str, Any] | None = None) -> Update:
    who = happened.identifiers[0]
    return Update(
        kind="event",
        person_id=person_id(who),
        slot=slot_of(who),
        version=1,
        at=happened.received_at,
        changes=list(changes),
        event=CODEC.encode(happened),
        profile=None if profile is None else orjson.dumps(profile),
    )


def send(
    send_id: str, at: int, *, who: str = "user_id:u1", to: str = "u1@example.com", channel: str = "email"
) -> SendCommand:
    return SendCommand(
        send_id=send_id,
        person_id=person_id(who),
        journey="welcome",
        version="v1",
        instance_id="i1",
        step="1",
        channel=channel,
        category="marketing",
        template="hello",
        to=to,
        identifier=f"email:{to}",
        at=at,
        content=b"{}",
    )


def decision(at: int, journey: str, reason: str, *, who: str = "user_id:u1", instance: str = "i1") -> Decision:
    return Decision(
        decision_id=f"{journey}/{reason}/{at}/{who}",
        at=at,
        person_id=person_id(who),
        journey=journey,
        reason=reason,
        instance_id=instance,
    )


_TOPIC = {Update: UPDATES, Decision: DECISIONS}


def fill(warehouse: Warehouse, records: Iterable[Wire], first: int = 0) -> None:
    """Records into the tables, as the writer would, each with an offset of its own from `first` on."""
    batches: dict[str, list[Any]] = {}
    for offset, record in enumerate(records, start=first):
        topic = outbound(record.channel) if isinstance(record, SendCommand) else topic_of(record)
        for table, row in rows_of(CODEC, Origin(topic, 0, offset), CODEC.encode(record)):
            batches.setdefault(table, []).append(row)
    for table, rows in batches.items():
        put(warehouse, table, rows, f"test-{table}-{first}-{len(rows)}-{hash(tuple(map(str, rows)))}")


def topic_of(record: Wire) -> str:
    from schemas.records import Access, Assignment, Definitions, LedgerEntry, Refusal
    from schemas.topics import ACCESSES, ASSIGNMENTS, DEFINITIONS, REFUSALS, ledger

    match record:
        case Definitions():
            return DEFINITIONS
        case Assignment():
            return ASSIGNMENTS
        case Refusal():
            return REFUSALS
        case Access():
            return ACCESSES
        case LedgerEntry():
            return ledger(record.channel)
    return _TOPIC[type(record)]
