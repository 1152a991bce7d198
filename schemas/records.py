"""The records that travel, as typed values.

One frozen struct per Avro record of `schemas/avro` (the docs of the fields are there); a test checks that names,
types and defaults agree. Times are milliseconds since 1970 UTC, identifiers are written `type:value`.

Some types are narrower than Avro's: what no record of the line holds is refused when a record is decoded, before it
becomes state that nobody can work with afterwards.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

#: the years 1900 to 2299, which is what the warehouse holds (DateTime64(3)); milliseconds
EARLIEST, LATEST = -2_208_988_800_000, 10_413_791_999_999
Instant = Annotated[int, msgspec.Meta(ge=EARLIEST, le=LATEST)]
#: versions and the like
Count = Annotated[int, msgspec.Meta(ge=0)]


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """A record with an Avro schema of its own."""


#: `source` of events that journeys produce
JOURNEY_SOURCE = "journey"


class Event(Wire, frozen=True, kw_only=True):
    message_id: str
    event_id: str
    type: str
    name: str
    channel: str
    identifiers: list[str]
    occurred_at: Instant
    received_at: Instant
    source: str
    historical: bool = False
    send_id: str | None = None
    properties: bytes
    traits: bytes
    context: bytes


class Link(Wire, frozen=True, kw_only=True):
    a: str
    b: str
    seen_at: Instant
    source: str
    event_id: str = ""


class Assertion(Wire, frozen=True, kw_only=True):
    verb: str
    a: str
    b: str = ""
    author: str
    reason: str
    at: Instant


class LinkEnvelope(Wire, frozen=True, kw_only=True):
    kind: str
    link: Link | None = None
    assertion: Assertion | None = None


class Period(Wire, frozen=True, kw_only=True):
    since: Instant
    person_id: str
    slot: str
    version: Count


class Assignment(Wire, frozen=True, kw_only=True):
    identifier: str
    version: Count
    periods: Annotated[list[Period], msgspec.Meta(min_length=1)]
    superseded: list[str] = []
    generation: Count = 0
    forgotten: list[str] = []


class Refusal(Wire, frozen=True, kw_only=True):
    a: str
    b: str
    reason: str
    at: Instant
    source: str
    refused: bool = True


class SlotVersion(Wire, frozen=True, kw_only=True):
    slot: str
    version: Count


class Move(Wire, frozen=True, kw_only=True):
    to: str
    slots: list[SlotVersion]
    reason: str
    at: Instant


class Erasure(Wire, frozen=True, kw_only=True):
    identifiers: list[str]
    slots: list[str]
    at: Instant
    generations: list[Count] = []
    persons: list[str] = []
    others: list[str] = []
    suppressed: dict[str, str] = {}


class Marker(Wire, frozen=True, kw_only=True):
    version: str
    at: Instant


class JourneyState(Wire, frozen=True, kw_only=True):
    journey: str
    state: str
    at: Instant


class PersonEnvelope(Wire, frozen=True, kw_only=True):
    kind: str
    person_id: str
    slot: str = ""
    version: Count = 0
    event: bytes | None = None
    move: Move | None = None
    erasure: Erasure | None = None
    marker: Marker | None = None
    journey: JourneyState | None = None


class HandedSlot(Wire, frozen=True, kw_only=True):
    slot: str
    version: Count
    complete: bool
    state: bytes | None = None
    gathered: list[Count] = []


class Handoff(Wire, frozen=True, kw_only=True):
    person_id: str
    origin: str
    reason: str
    at: Instant
    slots: list[HandedSlot]
    part: Count = 1
    parts: Count = 1


class Backfill(Wire, frozen=True, kw_only=True):
    kind: str
    definitions: str
    marked_at: Instant
    person_id: str = ""
    slot: str = ""
    version: Count = 0
    state: bytes | None = None
    partition: Count = 0
    next: Count = 0
    upto: Count = 0
    round: Count = 0
    passed_on: Count = 0
    persons: Count = 0
    segments: list[str] = []


class Change(Wire, frozen=True, kw_only=True):
    segment: str
    change: str
    cause: str
    reason: str = ""
    at: Instant


class Update(Wire, frozen=True, kw_only=True):
    kind: str
    person_id: str
    slot: str = ""
    version: Count = 0
    at: Instant
    changes: list[Change] = []
    event: bytes | None = None
    profile: bytes | None = None
    move: Move | None = None
    erasure: Erasure | None = None
    marker: Marker | None = None
    arrived: list[SlotVersion] = []
    repeated: bool = False
    listed: bytes | None = None
    journey: JourneyState | None = None


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
    at: Instant
    content: bytes


class LedgerEntry(Wire, frozen=True, kw_only=True):
    send_id: str
    person_id: str
    channel: str
    state: str
    at: Instant
    provider_id: str = ""
    detail: str = ""
    attempts: Count = 1
    lane: str = ""


class Receipt(Wire, frozen=True, kw_only=True):
    kind: str
    provider_id: str
    at: Instant
    send_id: str = ""
    identifier: str = ""
    properties: bytes | None = None
    event: bytes | None = None


class Decision(Wire, frozen=True, kw_only=True):
    decision_id: str
    at: Instant
    person_id: str
    journey: str
    step: str = ""
    channel: str = ""
    reason: str
    detail: str = ""
    instance_id: str = ""
    send_id: str | None = None
    due: Instant | None = None


class Definitions(Wire, frozen=True, kw_only=True):
    version: str
    published_at: Instant
    author: str = ""
    files: dict[str, str]
    journey: JourneyState | None = None


class Access(Wire, frozen=True, kw_only=True):
    access_id: str
    at: Instant
    person_id: str = ""
    asked_by: str = ""
    key: str
    key_name: str = ""
    actor: str = ""
    outcome: str
    fields: list[str] = []


class PromoCode(Wire, frozen=True, kw_only=True):
    promo: str
    code: str
    at: Instant


#: schema name (folder in schemas/avro) -> record
RECORDS: dict[str, type[Wire]] = {
    "event": Event,
    "link": LinkEnvelope,
    "assignment": Assignment,
    "refusal": Refusal,
    "person": PersonEnvelope,
    "handoff": Handoff,
    "backfill": Backfill,
    "update": Update,
    "send": SendCommand,
    "ledger": LedgerEntry,
    "receipt": Receipt,
    "decision": Decision,
    "definitions": Definitions,
    "access": Access,
    "promo": PromoCode,
}
