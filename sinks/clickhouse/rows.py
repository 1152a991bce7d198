"""A record of the line as rows of the warehouse: pure functions, one per kind of record.

Whatever a column could refuse is refused here, record by record, so that no bad record can block the batch it is in.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import orjson

from schemas import lists
from schemas.audiences import CATEGORY
from schemas.codec import BadRecord, Codec
from schemas.erasure import mark
from schemas.records import (
    EARLIEST,
    LATEST,
    Access,
    Assignment,
    Decision,
    Definitions,
    Erasure,
    Event,
    LedgerEntry,
    Refusal,
    SendCommand,
    Update,
)
from schemas.services import SERVICES
from schemas.topics import ACCESSES, ASSIGNMENTS, DECISIONS, DEFINITIONS, REFUSALS, UPDATES, outbound
from sinks.clickhouse.tables import Origin, Row

Rows = list[tuple[str, Row]]  # (table, row)

#: what is asked of services is no message: decisions and ledgers tell of it
_ASKED = frozenset(outbound(service, lane) for service in SERVICES for lane in (False, True))
_MOST_OFFSETS = 2**32 - 1


def rows_of(codec: Codec, origin: Origin, value: bytes | None) -> Rows:
    """The rows a record leaves. Raises BadRecord when it can't be used."""
    topic = origin.topic
    if topic == UPDATES:
        return update_rows(codec, codec.decode(Update, value), origin)
    if topic == ASSIGNMENTS:
        # a tombstone of the compacted topic: the identifier was erased
        return [] if value is None else assignment_rows(codec.decode(Assignment, value), origin)
    if topic == REFUSALS:
        return [("refusals", refusal_row(codec.decode(Refusal, value), origin))]
    if topic == DECISIONS:
        return [("decisions", decision_row(codec.decode(Decision, value), origin))]
    if topic == DEFINITIONS:
        published = None if value is None else codec.decode(Definitions, value)
        if published is None or published.journey is not None:
            return []
        return [("definitions", definitions_row(published, origin))]
    if topic == ACCESSES:
        return [("accesses_raw", access_row(codec.decode(Access, value), origin))]
    if topic in _ASKED:
        return []
    if topic.startswith("outbound."):
        command = codec.decode(SendCommand, value)
        # an audience is no message; who joined and left stands in the decisions
        return [] if command.category == CATEGORY else [("sends_raw", send_row(command, origin))]
    if topic.endswith(".ledger"):
        return [] if value is None else [("ledger", ledger_row(codec.decode(LedgerEntry, value), origin))]
    raise BadRecord(f"records of topic {topic} have no table")


def erasure_of(codec: Codec, value: bytes | None) -> Erasure | None:
    """What an update says was erased."""
    return codec.decode(Update, value).erasure


def update_rows(codec: Codec, update: Update, origin: Origin) -> Rows:
    """The event or what a list says, the membership changes, the profile and the moved slots of an update."""
    if update.kind in ("marker", "journey"):
        return []
    person = person_bytes("person_id", update.person_id)
    at = _instant("at", update.at)
    rows: Rows = []
    if update.event is not None:
        event = codec.decode(Event, update.event)
        rows.append(("events_raw", event_row(event, person, update.slot, update.version, origin)))
    if update.listed is not None:
        said = codec.decode(Event, update.listed)
        rows.append(("listed_raw", listed_row(said, person, update.slot, update.version, origin)))
    for ordinal, change in enumerate(update.changes):
        changed = _instant("change at", change.at)
        membership = (changed, person, change.segment, change.change, change.cause, change.reason, ordinal, *origin)
        rows.append(("memberships", membership))
    if update.move is not None:
        to = person_bytes("move to", update.move.to)
        moved_at = _instant("move at", update.move.at)
        rows += [
            ("moves", (moved_at, person, to, moved.slot, moved.version, update.move.reason, *origin))
            for moved in update.move.slots
        ]
    if update.profile is not None:
        profile = _object("profile", update.profile)
        identifiers = [f"{kind}:{value}" for kind, values in profile.get("addresses", {}).items() for value in values]
        segments = [name for name in profile.get("segments", []) if not name.startswith("~")]
        # everyone alive used at least one identifier
        row = (person, at, not identifiers, identifiers, segments, update.profile.decode(), *origin)
        rows.append(("profiles", row))
    return rows


def event_row(event: Event, person: bytes, slot: str, version: int, origin: Origin) -> Row:
    """Row of `events_raw`; `person` is the UUID's 16 bytes."""
    return (
        _uuid("event_id", event.event_id),
        event.message_id,
        event.type,
        event.name,
        event.channel,
        event.source,
        _instant("occurred_at", event.occurred_at),
        _instant("received_at", event.received_at),
        event.historical,
        person,
        slot,
        _count("version", version),
        event.identifiers,
        event.send_id,
        revenue(_object("properties", event.properties)),
        _text("properties", event.properties),
        _text("traits", event.traits),
        _text("context", event.context),
        *origin,
    )


def listed_row(said: Event, person: bytes, slot: str, version: int, origin: Origin) -> Row:
    """Row of `listed_raw`: an identifier joined or left a static list; `person` is the UUID's 16 bytes."""
    name = str(_object("properties", said.properties).get("list", ""))
    if len(said.identifiers) != 1:
        raise BadRecord(f"a list is said to be of {len(said.identifiers)} identifiers, not of one")
    times = _instant("occurred_at", said.occurred_at), _instant("received_at", said.received_at)
    joined = said.name == lists.JOINED
    return (*times, name, said.identifiers[0], joined, person, slot, _count("version", version), *origin)


def assignment_rows(assignment: Assignment, origin: Origin) -> Rows:
    """One row per period, and the owner of each slot that was moved (version 1 is the derived owner)."""
    rows: Rows = []
    version = _count("version", assignment.version)
    generation = _count("generation", assignment.generation)
    if assignment.forgotten and mark(assignment.identifier) in assignment.forgotten:
        return []  # it was erased, and is not heard of any more
    for period in assignment.periods:
        if not period.person_id:
            continue  # of somebody who was erased
        person = person_bytes("person_id", period.person_id)
        since = _instant("since", max(period.since, EARLIEST))
        placed = _count("slot version", period.version)
        row = (assignment.identifier, version, since, person, period.slot, placed, generation, *origin)
        rows.append(("assignments", row))
        if placed > 1:
            rows.append(("slot_owners", (period.slot, placed, person, *origin)))
    return rows


def refusal_row(refusal: Refusal, origin: Origin) -> Row:
    at = _instant("at", refusal.at)
    return (at, refusal.a, refusal.b, refusal.reason, refusal.source, refusal.refused, *origin)


def decision_row(decision: Decision, origin: Origin) -> Row:
    return (
        _instant("at", decision.at),
        decision.decision_id,
        person_bytes("person_id", decision.person_id),
        decision.journey,
        decision.step,
        decision.channel,
        decision.reason,
        decision.detail,
        decision.instance_id,
        decision.send_id,
        _due(decision.due),
        *origin,
    )


def definitions_row(published: Definitions, origin: Origin) -> Row:
    files = list(published.files.items())
    return (_instant("published_at", published.published_at), published.version, published.author, files, *origin)


def send_row(send: SendCommand, origin: Origin) -> Row:
    return (
        send.send_id,
        _instant("at", send.at),
        person_bytes("person_id", send.person_id),
        send.journey,
        send.version,
        send.instance_id,
        send.step,
        send.channel,
        send.category,
        send.purpose,
        send.template,
        send.to,
        send.identifier,
        send.intent,
        *origin,
    )


def ledger_row(entry: LedgerEntry, origin: Origin) -> Row:
    return (
        _instant("at", entry.at),
        entry.send_id,
        person_bytes("person_id", entry.person_id),
        entry.channel,
        entry.state,
        entry.provider_id,
        entry.detail,
        _count("attempts", entry.attempts),
        *origin,
    )


def access_row(access: Access, origin: Origin) -> Row:
    return (
        _instant("at", access.at),
        access.access_id,
        person_bytes("person_id", access.person_id) if access.person_id else None,
        access.asked_by,
        access.key,
        access.key_name,
        access.actor,
        access.outcome,
        access.fields,
        *origin,
    )


def revenue(properties: dict[str, Any]) -> float | None:
    """`properties.revenue`, else `properties.total`; numbers in text count too. None when neither is a number."""
    for name in ("revenue", "total"):
        value = properties.get(name)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                continue
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def revenue_of(properties: bytes) -> float | None:
    """The same of properties as they travel; most name no revenue, and are not read for it. Raises BadRecord."""
    if b'"revenue"' in properties or b'"total"' in properties or b"\\" in properties:
        return revenue(_object("properties", properties))
    return None


@lru_cache(maxsize=65_536)
def person_bytes(field: str, text: str) -> bytes:
    """The 16 bytes of a person's id, which comes again and again. Raises BadRecord when it is not a UUID."""
    return _uuid(field, text)


def _uuid(field: str, text: str) -> bytes:
    try:
        value = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        value = b""
    if len(value) != 16 or len(text) != 36:
        raise BadRecord(f"{field} is not a UUID: {text[:80]!r}")
    return value


def _instant(field: str, at: int) -> int:
    if not EARLIEST <= at <= LATEST:
        raise BadRecord(f"{field} is outside the years 1900 to 2299: {at} ms")
    return at


def _due(at: int | None) -> int | None:
    """A wait may end after the last year that a row can have: then it is as good as without an end."""
    return None if at is None or at > LATEST else _instant("due", at)


def _count(field: str, value: int) -> int:
    if not 0 <= value <= _MOST_OFFSETS:
        raise BadRecord(f"{field} is not between 0 and {_MOST_OFFSETS}: {value}")
    return value


def _text(field: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadRecord(f"{field} is not UTF-8: {error}") from error


def _object(field: str, data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRecord(f"{field} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRecord(f"{field} is not a JSON object")
    return value
