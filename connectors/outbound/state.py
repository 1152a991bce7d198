"""What dispatch remembers: sends that are not finished, sends that are, and what people allow."""

from __future__ import annotations

from typing import Literal

import msgspec

from processors.runtime.contract import Table
from schemas.consent import Choice

Phase = Literal["queued", "handed", "waiting", "doubt"]


class Open(msgspec.Struct, frozen=True):
    """A send without a final state.

    `queued` waits for a free place; `handed` was committed to be given to the provider, which after a crash may or may
    not have happened; `waiting` was certainly not taken and is tried again at a wake; `doubt` waits for a receipt that
    shows whether it was taken. `attempts` counts hand-overs, `turned_away` those of them that the provider, being away
    or busy, did not look at.
    """

    command: bytes
    phase: Phase
    attempts: int = 0
    turned_away: int = 0


class Done(msgspec.Struct, frozen=True):
    """A send that is through with its provider, kept against repeated commands until `expires` (milliseconds UTC).
    Receipts may still change its state; they add to what the ledger says of it."""

    state: str
    expires: int
    provider_id: str = ""
    attempts: int = 1


class Handle(msgspec.Struct, frozen=True):
    """Which send a provider's id is of, until `expires`; `properties` (JSON) is what its receipts say about it."""

    send_id: str
    identifier: str
    properties: bytes
    expires: int


class Allowed(msgspec.Struct, frozen=True):
    """The part of a person's profile that decides whether a message may go: see `schemas.consent`."""

    consents: list[Choice] = []
    suppressed: dict[str, str] = {}


class Line(msgspec.Struct, frozen=True):
    """Where a partition stands: `handed` sends are at the provider; the places from `first` up to but without `next`
    hold the ids of the queued ones. `free` is when the rate lets the next one go (microseconds of line time), `held`
    whether messages waited for that."""

    first: int = 0
    next: int = 0
    handed: int = 0
    free: int = 0
    held: bool = False


class Health(msgspec.Struct, frozen=True):
    """What is known of the provider: `failures` in a row; nothing is handed over before `until` (line time), and
    after that one message at a time until one is taken; the breaker has opened `trips` times in a row."""

    failures: int = 0
    until: int = 0
    trips: int = 0
    why: str = ""


class Order(msgspec.Struct, frozen=True):
    """The ids of commands that wait for the one before them, in order; while there is an order, one is on its way."""

    behind: list[str] = []


class Erased(msgspec.Struct, frozen=True):
    """A person of whom something was erased at an instant (milliseconds UTC): all of it (`whole`), or what was sent to
    these identifiers, by mark."""

    at: int
    whole: bool
    identifiers: list[str] = []


OPEN = Table("open", Open)
DONE = Table("done", Done)
HANDLES = Table("handle", Handle)
#: by `provider's id\0event id`, receipts whose send is not known yet
ORPHANS = Table("orphan", bytes)
ALLOWED = Table("allowed", Allowed)
LINE = Table("line", Line)
PLACE = Table("place", str)
HEALTH = Table("health", Health)
#: by address, when the next message may go there (microseconds of line time)
RECIPIENT = Table("recipient", int)
ERASED = Table("erased", Erased)
#: by `person\0audience`
ORDER = Table("order", Order)
#: by `person\0send_id` the mark of the identifier it went to: whose sends these are
OF = Table("of", str)
