"""What a channel is to dispatch: something that hands one message to its provider and tells what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from connectors.receipts import Incoming
from schemas.records import SendCommand

Kind = Literal["accepted", "refused", "temporary", "away", "ambiguous", "failed"]
Bounce = Literal["", "hard", "soft", "block"]
Doubt = Literal["policy", "idempotent", "echo"]
#: how many, per how many wall milliseconds
Rate = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one hand-over.

    - accepted: the provider took it (that is not delivery);
    - refused: the provider will not take it for this address; `bounce` says why: hard (the address is dead), soft (it
      can't take messages now), block (policy or content);
    - temporary: certainly not taken, may be tried again; after `retry_after` wall seconds if the provider says so;
    - away: the provider takes nothing now: it can't be reached, or is busy and wants to be left alone for `retry_after`
      wall seconds. Certainly not taken;
    - ambiguous: it may or may not have been taken;
    - failed: it can't be sent, and not because of the address.
    """

    kind: Kind
    detail: str = ""
    provider_id: str = ""
    bounce: Bounce = ""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Traits:
    """What is true of a kind of provider.

    `doubt` is what a message in doubt calls for: `idempotent`, the provider knows its send id and takes it once, so it
    is handed over again; `echo`, receipts name its send id, so they are waited for; `policy`, nothing helps, marketing
    is not repeated and transactional is. `rate` and `rate_per_recipient` are what the provider is known to allow.
    `handles`: its receipts know a message by the provider's id only.
    """

    doubt: Doubt = "policy"
    rate: Rate | None = None
    rate_per_recipient: Rate | None = None
    handles: bool = False


#: returns when it is kept; raises when it could not be kept, so that it is told again
Take = Callable[[Incoming], Awaitable[None]]


@runtime_checkable
class Listening(Protocol):
    """A channel whose provider tells things over a connection of the channel's own."""

    name: str

    async def listen(self, take: Take) -> None:
        """Stay connected and hand over what comes; runs until it is cancelled."""


class Channel(Protocol):
    """One way to reach people; one file per channel implements it."""

    #: name of the channel in commands, topics and definitions
    name: str
    #: how its receipts begin: `Email` for `Email Sent`, as in Segment's spec
    noun: str
    traits: Traits

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give a message to the provider. Never raises; every answer and failure is an Outcome. Called several at a
        time; may block for a few seconds while the provider is away, not longer, so that a worker can stop."""
