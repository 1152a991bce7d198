"""What dispatch remembers: sends that are not finished, sends that are, and what people allow."""

from __future__ import annotations

from typing import Literal

import msgspec

from processors.runtime.contract import Table
from schemas.consent import Choice

Phase = Literal["queued", "handed", "waiting"]


class Open(msgspec.Struct, frozen=True):
    """A send without a final state.

    `queued` waits for a free place; `handed` was committed to be given to the provider, which after a crash may or may
    not have happened; `waiting` was certainly not taken and is tried again at a wake. `attempts` counts hand-overs.
    """

    command: bytes
    phase: Phase
    attempts: int = 0


class Done(msgspec.Struct, frozen=True):
    """A send with a final state, kept against repeated commands until `expires` (milliseconds UTC)."""

    state: str
    expires: int


class Allowed(msgspec.Struct, frozen=True):
    """The part of a person's profile that decides whether a message may go: see `schemas.consent`."""

    consents: list[Choice] = []
    suppressed: dict[str, str] = {}


class Line(msgspec.Struct, frozen=True):
    """Where a partition stands: `handed` sends are at the provider; the places from `first` up to but without `next`
    hold the ids of the queued ones."""

    first: int = 0
    next: int = 0
    handed: int = 0


class Erased(msgspec.Struct, frozen=True):
    """A person of whom something was erased at an instant (milliseconds UTC): all of it (`whole`), or what was sent to
    these identifiers, by mark."""

    at: int
    whole: bool
    identifiers: list[str] = []


OPEN = Table("open", Open)
DONE = Table("done", Done)
ALLOWED = Table("allowed", Allowed)
LINE = Table("line", Line)
PLACE = Table("place", str)
ERASED = Table("erased", Erased)
#: by `person\0send_id` the mark of the identifier it went to: whose sends these are
OF = Table("of", str)
