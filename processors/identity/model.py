"""State of the resolver: per identifier whom it belongs to and what was received, per link what was sent."""

from __future__ import annotations

import msgspec

from processors.runtime.contract import Table
from schemas.identifiers import person_id, slot_of
from schemas.records import Period


class Holder(msgspec.Struct, frozen=True):
    """The newest assignment of an identifier that is the key of events. An identifier without one is a person by
    itself, whose id is derived."""

    version: int
    periods: list[Period]
    superseded: list[str] = []


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """What the graph was told of a link: smallest and largest `seen_at` sent (milliseconds since 1970 UTC).

    `seen` is the largest one of all, kept with where it was seen for links to `newest` types only: the graph asks for
    it when another owner turns up.
    """

    first: int
    last: int
    seen: int
    source: str = ""
    event_id: str = ""


class Recent(msgspec.Struct, frozen=True, array_like=True):
    """Events received lately under an identifier: the newest block of them, and for each full block before it its
    number and the time of its newest event, oldest first."""

    number: int = 0
    block: bytes = b""
    full: list[tuple[int, int]] = []


HOLDERS = Table("holder", Holder)
#: by `stronger\0weaker`
SENT = Table("sent", Sent)
RECENT = Table("recent", Recent)
#: full blocks by `identifier\0number`
BLOCKS = Table("block", bytes)


def place_of(holder: Holder | None, identifier: str, occurred_at: int) -> tuple[str, str, int]:
    """(person_id, slot, version) under which an event of this identifier at this time is filed."""
    if holder is None:
        return person_id(identifier), slot_of(identifier), 1
    period = next((period for period in reversed(holder.periods) if period.since <= occurred_at), holder.periods[0])
    return period.person_id, period.slot, period.version
