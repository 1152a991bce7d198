"""The records that travel, as typed values.

One frozen struct per Avro record of `schemas/avro` (the docs of the fields are there); a test checks that names,
types and defaults agree. Times are milliseconds since 1970 UTC, identifiers are written `type:value`.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """A record with an Avro schema of its own."""


class Event(Wire, frozen=True, kw_only=True):
    message_id: str
    event_id: str
    type: str
    name: str
    channel: str
    identifiers: list[str]
    occurred_at: int
    received_at: int
    source: str
    historical: bool = False
    send_id: str | None = None
    properties: bytes
    traits: bytes
    context: bytes


class Link(Wire, frozen=True, kw_only=True):
    a: str
    b: str
    seen_at: int
    source: str
    event_id: str = ""


class Assertion(Wire, frozen=True, kw_only=True):
    verb: str
    a: str
    b: str = ""
    author: str
    reason: str
    at: int


class LinkEnvelope(Wire, frozen=True, kw_only=True):
    kind: str
    link: Link | None = None
    assertion: Assertion | None = None


class Period(Wire, frozen=True, kw_only=True):
    since: int
    person_id: str
    slot: str
    version: int


class Assignment(Wire, frozen=True, kw_only=True):
    identifier: str
    version: int
    periods: list[Period]
    superseded: list[str] = []
    generation: int = 0


class Refusal(Wire, frozen=True, kw_only=True):
    a: str
    b: str
    reason: str
    at: int
    source: str
    refused: bool = True


class SlotVersion(Wire, frozen=True, kw_only=True):
    slot: str
    version: int


class Move(Wire, frozen=True, kw_only=True):
    to: str
    slots: list[SlotVersion]
    reason: str
    at: int


class Erasure(Wire, frozen=True, kw_only=True):
    identifiers: list[str]
    slots: list[str]
    at: int


class Marker(Wire, frozen=True, kw_only=True):
    version: str
    at: int


class PersonEnvelope(Wire, frozen=True, kw_only=True):
    kind: str
    person_id: str
    slot: str = ""
    version: int = 0
    event: bytes | None = None
    move: Move | None = None
    erasure: Erasure | None = None
    marker: Marker | None = None


class HandedSlot(Wire, frozen=True, kw_only=True):
    slot: str
    version: int
    complete: bool
    state: bytes | None = None


class Handoff(Wire, frozen=True, kw_only=True):
    person_id: str
    origin: str
    reason: str
    at: int
    slots: list[HandedSlot]
    part: int = 1
    parts: int = 1


class Change(Wire, frozen=True, kw_only=True):
    segment: str
    change: str
    cause: str
    reason: str = ""
    at: int


class Update(Wire, frozen=True, kw_only=True):
    kind: str
    person_id: str
    slot: str = ""
    version: int = 0
    at: int
    changes: list[Change] = []
    event: bytes | None = None
    profile: bytes | None = None
    move: Move | None = None
    erasure: Erasure | None = None
    marker: Marker | None = None
    arrived: list[SlotVersion] = []
    repeated: bool = False


class SendCommand(Wire, frozen=True, kw_only=True):
    send_id: str
    person_id: str
    journey: str
    version: str
    instance_id: str
    step: str
    channel: str
    category: str
    purpose: str = ""
    template: str
    to: str
    identifier: str
    intent: str = ""
    at: int
    content: bytes


class LedgerEntry(Wire, frozen=True, kw_only=True):
    send_id: str
    person_id: str
    channel: str
    state: str
    at: int
    provider_id: str = ""
    detail: str = ""
    attempts: int = 1


class Decision(Wire, frozen=True, kw_only=True):
    decision_id: str
    at: int
    person_id: str
    journey: str
    step: str = ""
    channel: str = ""
    reason: str
    detail: str = ""
    instance_id: str = ""
    send_id: str | None = None


class Definitions(Wire, frozen=True, kw_only=True):
    version: str
    published_at: int
    author: str = ""
    files: dict[str, str]


#: schema name (folder in schemas/avro) -> record
RECORDS: dict[str, type[Wire]] = {
    "event": Event,
    "link": LinkEnvelope,
    "assignment": Assignment,
    "refusal": Refusal,
    "person": PersonEnvelope,
    "handoff": Handoff,
    "update": Update,
    "send": SendCommand,
    "ledger": LedgerEntry,
    "decision": Decision,
    "definitions": Definitions,
}
