"""Mailgun's webhooks: one event a call, with an HMAC over timestamp and token in the body.

docs: documentation.mailgun.com (webhooks: securing; events: structure)
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

from pydantic import Field

from connectors.inbound.hooks.base import (
    Call,
    Forged,
    Heard,
    Hook,
    Unusable,
    fresh,
    json_of,
    mapping,
    milliseconds,
    same,
    send_id_in,
    text,
)
from connectors.receipts import Incoming
from connectors.settings import ConnectorSettings

_NAMES = {
    "delivered": "Email Delivered",
    "opened": "Email Opened",
    "clicked": "Email Link Clicked",
    "complained": "Email Marked as Spam",
    "unsubscribed": "Unsubscribed",
    "rejected": "Email Dropped",
}


class MailgunSettings(ConnectorSettings, env_prefix="PATHLINE_MAILGUN_"):
    """The webhooks."""

    signing_key: str = Field("", description="HTTP webhook signing key.")


def connect(channel: str) -> Hook | None:
    """The hook; None when it is not set up."""
    own = MailgunSettings.of(channel)
    return Mailgun(own.signing_key) if own.signing_key else None


class Mailgun:
    """Receipts of e-mail sent through Mailgun."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    async def hear(self, call: Call) -> Heard:
        # the signature stands in the body, and covers nothing but its own timestamp and token
        try:
            body = mapping(json_of(call.body))
        except Unusable as error:
            raise Forged(str(error)) from error
        signed = mapping(body.get("signature"))
        timestamp, token = text(signed.get("timestamp")), text(signed.get("token"))
        same(text(signed.get("signature")), hmac.new(self._key, (timestamp + token).encode(), sha256).hexdigest())
        fresh(timestamp, call.now)
        told = _incoming(mapping(body.get("event-data")))
        return Heard([told] if told is not None else [])


def _incoming(event: dict[str, Any]) -> Incoming | None:
    kind, lasting = text(event.get("event")), event.get("severity") == "permanent"
    name = ("Email Bounced" if lasting else "Email Deferred") if kind == "failed" else _NAMES.get(kind)
    if name is None:
        return None
    status = mapping(event.get("delivery-status"))
    properties: dict[str, Any] = {}
    if name == "Email Bounced":
        properties["bounce_type"] = "block" if event.get("reason") in ("suppress-complaint", "espblock") else "hard"
    if said := text(status.get("description")) or text(status.get("message")) or text(event.get("reason")):
        properties["reason"] = said
    if event.get("url"):
        properties["url"] = event["url"]
    if mapping(event.get("client-info")).get("bot"):
        properties["machine"] = True
    variables = mapping(event.get("user-variables"))
    message_id = mapping(mapping(event.get("message")).get("headers")).get("message-id")
    return Incoming(
        key=text(event.get("id")) or f"{message_id}:{kind}:{text(event.get('timestamp'))}",
        name=name,
        address=text(event.get("recipient")),
        send_id=send_id_in(variables.get("send_id")) or send_id_in(message_id),
        provider_id=text(message_id),
        at=milliseconds(event.get("timestamp")),
        properties=properties,
    )
