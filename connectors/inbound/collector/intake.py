"""What happens to the messages of one request: judged one by one, published together, answered when acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from connectors.inbound.collector.payload import Malformed, Posted
from connectors.inbound.collector.publisher import Outgoing, Publisher
from connectors.inbound.segment import Rejected, to_event
from schemas.clock import Clock
from schemas.codec import Codec
from schemas.dead_letters import refused_at_edge
from schemas.definitions.model import IdentityRules
from schemas.requests import ENTRY_REQUESTED
from schemas.topics import DEAD_LETTERS, EVENTS

APP = "collector"
#: the event loop serves others after this many messages of one batch
_BREATH = 200


class RejectedMessage(BaseModel):
    """A message that was not accepted; its bytes are in `dead-letters`."""

    index: int = Field(description="Place in the batch, from 0.")
    messageId: str | None = Field(description="The message's own id, null when it has none.")
    reason: str


class Receipt(BaseModel):
    """Answer to a call: what Kafka has acknowledged."""

    accepted: int = Field(description="Messages that are in the line now.")
    rejected: list[RejectedMessage]


class Refusal(Receipt):
    """Answer to a call of which nothing was accepted."""

    code: str
    message: str
    accepted: int = 0
    rejected: list[RejectedMessage] = []


@dataclass(slots=True)
class Intake:
    """The way from messages to the topics `events` and `dead-letters`."""

    publisher: Publisher
    codec: Codec
    clock: Clock

    async def take(self, posted: Sequence[Posted], rules: IdentityRules, source: str) -> Receipt:
        """Publish the good messages as events and the bad ones as dead letters; returns once Kafka acknowledged.

        Raises Busy and NotAcknowledged.
        """
        now = self.clock.now()
        outgoing: list[Outgoing] = []
        rejected: list[RejectedMessage] = []
        for number, item in enumerate(posted, 1):
            try:
                if item.message is None:
                    raise Rejected(item.problem)
                event = to_event(item.message, rules, received_at=now, source=source)
                if event.name == ENTRY_REQUESTED:
                    raise Rejected(f"event: {event.name} is reserved, see POST /v1/journeys/NAME/enter of profiles")
            except Rejected as error:
                rejected.append(RejectedMessage(index=item.index, messageId=_own_id(item), reason=str(error)))
                outgoing.append(Outgoing(DEAD_LETTERS, None, item.raw, refused_at_edge(APP, source, error, now)))
            else:
                outgoing.append(Outgoing(EVENTS, event.identifiers[0].encode(), self.codec.encode(event)))
            if number % _BREATH == 0:
                await asyncio.sleep(0)
        await self.publisher.publish(outgoing)
        return Receipt(accepted=len(posted) - len(rejected), rejected=rejected)

    async def bury(self, error: Malformed, source: str) -> None:
        """Keep a body that could not be taken apart. Raises Busy and NotAcknowledged."""
        letter = Outgoing(DEAD_LETTERS, None, error.body, refused_at_edge(APP, source, error, self.clock.now()))
        await self.publisher.publish([letter])


def _own_id(item: Posted) -> str | None:
    given = item.message.get("messageId") if item.message else None
    return given if isinstance(given, str) else None
