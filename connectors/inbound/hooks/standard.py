"""Receipts of one's own services, as Standard Webhooks: what the connector `webhook` posts to, and call centres.

`{"type": "receipt", "timestamp": ..., "data": {"send_id", "event", "address"?, "identifier"?, "properties"?}}`, signed
with the secret of the channel; `webhook-id` names the call, `timestamp` is when it happened.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from connectors.inbound.hooks.base import Call, Forged, Heard, Hook, Unusable, json_of, mapping, send_id_in, text
from connectors.receipts import Incoming
from connectors.settings import ConnectorSettings
from schemas.receipts import noun_of
from schemas.services import TASKS

#: what may be told -> the end of the event's name
EVENTS = {
    "delivered": "Delivered",
    "deferred": "Deferred",
    "bounced": "Bounced",
    "failed": "Failed",
    "opened": "Opened",
    "read": "Read",
    "clicked": "Link Clicked",
    "replied": "Replied",
    "complained": "Marked as Spam",
    "dismissed": "Dismissed",
    # outcomes of a call; `bounced` is a wrong number
    "answered": "Answered",
    "unanswered": "Unanswered",
    "agreed": "Agreed",
    "declined": "Declined",
}
UNSUBSCRIBED = "unsubscribed"
CALL = "call"


class StandardSettings(ConnectorSettings, env_prefix="PATHLINE_WEBHOOK_"):
    """The service."""

    secret: str = Field("", description="The secret the service signs with, whsec_...")


class TaskSettings(StandardSettings, env_prefix="PATHLINE_TASK_"):
    """The call centre."""


def connect(channel: str) -> Hook | None:
    """The hook; None when it is not set up."""
    own = TaskSettings.of(channel) if channel in (CALL, TASKS) else StandardSettings.of(channel)
    return Standard(own.secret, channel) if own.secret else None


class Standard:
    """Receipts in the vocabulary of the line."""

    def __init__(self, secret: str, channel: str) -> None:
        self._verifier = Webhook(secret)
        self._noun = noun_of(channel)

    async def hear(self, call: Call) -> Heard:
        try:
            self._verifier.verify(call.body, dict(call.headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            raise Forged(str(error) or "the signature does not fit") from error
        told = mapping(json_of(call.body))
        data = mapping(told.get("data"))
        event = text(data.get("event"))
        if event not in EVENTS and event != UNSUBSCRIBED:
            known = ", ".join(sorted([*EVENTS, UNSUBSCRIBED]))
            raise Unusable(f"data.event: {event!r} is none of {known}")
        address = text(data.get("address")) or text(data.get("to"))
        if not address:
            raise Unusable("data.address: the address the message went to is missing")
        incoming = Incoming(
            key=call.headers.get("webhook-id", ""),
            name="Unsubscribed" if event == UNSUBSCRIBED else f"{self._noun} {EVENTS[event]}",
            address=address,
            send_id=send_id_in(data.get("send_id")) or text(data.get("send_id")),
            at=_instant(text(told.get("timestamp"))),
            properties=mapping(data.get("properties")),
        )
        return Heard([incoming])


def _instant(written: str) -> int | None:
    try:
        return int(datetime.fromisoformat(written).timestamp() * 1000)
    except ValueError:
        return None
