"""The app inbox: messages that people read themselves.

There is no provider. What dispatch accepts is in the inbox from then on: the read side shows it (`sinks.profiles`), and
what the person does with it comes back as receipts.
"""

from __future__ import annotations

from connectors.outbound.channel import Channel, Outcome, Traits
from schemas.receipts import INBOX_NOUN
from schemas.records import SendCommand
from schemas.settings import Settings


class Inbox:
    """A channel whose messages wait for their reader."""

    noun = INBOX_NOUN
    # the same message is in the inbox once, however often it is put there
    traits = Traits(doubt="idempotent")

    def __init__(self, name: str) -> None:
        self.name = name

    async def hand_over(self, command: SendCommand) -> Outcome:
        return Outcome("accepted", provider_id=command.send_id)


def connect(settings: Settings, channel: str) -> Channel:
    """The channel."""
    return Inbox(channel)
