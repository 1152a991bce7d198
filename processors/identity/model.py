"""State of the resolver: per identifier whom it belongs to and what was received, per link what was sent."""

from __future__ import annotations

import msgspec

from processors.runtime.contract import Table
from schemas.erasure import mark
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
    it when another owner turns up. `sightings` are all those sent that matter, where a limit has a period.
    """

    first: int
    last: int
    seen: int
    source: str = ""
    event_id: str = ""
    sightings: list[int] = []


class Recent(msgspec.Struct, frozen=True, array_like=True):
    """Events received lately under an identifier: the newest block of them, and for each full block before it its
    number and the time of its newest event, oldest first."""

    number: int = 0
    block: bytes = b""
    full: list[tuple[int, int]] = []


#: has the periods of an identifier in which it belonged to somebody who was erased
NOBODY = ""


class Forgotten(msgspec.Struct, frozen=True, array_like=True):
    """An identifier that was erased (instant in milliseconds since 1970 UTC) and begins anew with `generation`; `back`
    says that it did."""

    at: int
    generation: int
    back: bool = False


HOLDERS = Table("holder", Holder)
#: by `identifier\0mark of the other`, so that nobody can be read from the state of somebody else
SENT = Table("sent", Sent)
#: by mark
FORGOTTEN = Table("forgotten", Forgotten)
RECENT = Table("recent", Recent)
#: full blocks by `identifier\0number`
BLOCKS = Table("block", bytes)


def sent_key(identifier: str, other: str) -> str:
    """Where it stands what was sent of a link."""
    return f"{identifier}\0{mark(other)}"


def place_of(
    holder: Holder | None, forgotten: Forgotten | None, identifier: str, occurred_at: int
) -> tuple[str, str, int]:
    """(person_id, slot, version) under which an event of this identifier at this time is filed; the person is empty
    when it is one that was erased."""
    if holder is None and forgotten is not None:
        return person_id(identifier, forgotten.generation), slot_of(identifier, forgotten.at + 1), 1
    if holder is None:
        return person_id(identifier), slot_of(identifier), 1
    period = next((period for period in reversed(holder.periods) if period.since <= occurred_at), holder.periods[0])
    return period.person_id, period.slot, period.version
