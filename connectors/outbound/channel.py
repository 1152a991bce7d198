"""What a channel is to dispatch: something that hands one message to its provider and tells what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.records import SendCommand

Kind = Literal["accepted", "refused", "temporary", "ambiguous", "failed"]
Bounce = Literal["", "hard", "soft", "block"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one hand-over.

    - accepted: the provider took it (that is not delivery);
    - refused: the provider will not take it for this address; `bounce` says why: hard (the address is dead), soft (it
      can't take mail now), block (policy or content);
    - temporary: certainly not taken, may be tried again;
    - ambiguous: it may or may not have been taken;
    - failed: it can't be sent, and not because of the address.
    """

    kind: Kind
    detail: str = ""
    provider_id: str = ""
    bounce: Bounce = ""


class Channel(Protocol):
    """One way to reach people; one file per channel implements it."""

    #: name of the channel in commands, topics and definitions
    name: str
    #: how its receipts begin: `Email` for `Email Sent`, as in Segment's spec
    noun: str

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give a message to the provider. Never raises; every answer and failure is an Outcome. Called several at a
        time; may block for a few seconds while the provider is away, not longer, so that a worker can stop."""
