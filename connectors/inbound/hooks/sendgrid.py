"""SendGrid's event webhook: an array of events, signed with ECDSA over the timestamp and the body.

docs: twilio.com/docs/sendgrid/for-developers/tracking-events (event, getting-started-event-webhook-security-features)
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import Field

from connectors.inbound.hooks.base import (
    Call,
    Forged,
    Heard,
    Hook,
    Unusable,
    fresh,
    json_of,
    milliseconds,
    send_id_in,
    text,
)
from connectors.receipts import Incoming
from connectors.settings import ConnectorSettings

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
_NAMES = {
    "delivered": "Email Delivered",
    "deferred": "Email Deferred",
    "bounce": "Email Bounced",
    "blocked": "Email Bounced",
    "dropped": "Email Dropped",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "spamreport": "Email Marked as Spam",
    "unsubscribe": "Unsubscribed",
    "group_unsubscribe": "Unsubscribed",
}


class SendGridSettings(ConnectorSettings, env_prefix="PATHLINE_SENDGRID_"):
    """The event webhook."""

    public_key: str = Field("", description="Verification key of the signed event webhook, Base64.")


def connect(channel: str) -> Hook | None:
    """The hook; None when it is not set up. Raises ValueError for a key that is none."""
    own = SendGridSettings.of(channel)
    return SendGrid(own.public_key) if own.public_key else None


class SendGrid:
    """Receipts of e-mail sent through SendGrid."""

    def __init__(self, key: str) -> None:
        try:
            loaded = load_der_public_key(base64.b64decode(key, validate=True))
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"PATHLINE_SENDGRID_PUBLIC_KEY is no public key in Base64: {error}") from error
        if not isinstance(loaded, EllipticCurvePublicKey):
            raise ValueError("PATHLINE_SENDGRID_PUBLIC_KEY is no elliptic curve key")
        self._key = loaded

    async def hear(self, call: Call) -> Heard:
        self._prove(call)
        events = json_of(call.body)
        if not isinstance(events, list):
            raise Unusable("an array of events is expected")
        return Heard([told for event in events if isinstance(event, dict) and (told := _incoming(event)) is not None])

    def _prove(self, call: Call) -> None:
        timestamp = call.headers.get(_TIMESTAMP, "")
        try:
            signature = base64.b64decode(call.headers.get(_SIGNATURE, ""), validate=True)
            self._key.verify(signature, timestamp.encode() + call.body, ECDSA(SHA256()))
        except (InvalidSignature, ValueError, binascii.Error):
            raise Forged("the signature does not fit") from None
        fresh(timestamp, call.now)


def _incoming(event: dict[str, Any]) -> Incoming | None:
    kind = text(event.get("event"))
    name = _NAMES.get("blocked" if kind == "bounce" and event.get("type") == "blocked" else kind)
    if name is None:
        return None
    properties: dict[str, Any] = {}
    if name == "Email Bounced":
        properties["bounce_type"] = "block" if event.get("type") == "blocked" else "hard"
    for ours, theirs in (("reason", "reason"), ("url", "url"), ("status", "status"), ("user_agent", "useragent")):
        if event.get(theirs):
            properties[ours] = event[theirs]
    if event.get("sg_machine_open") is True:
        # fetched by a privacy proxy, whether it was read or not
        properties["machine"] = True
    return Incoming(
        key=text(event.get("sg_event_id"))
        or f"{text(event.get('sg_message_id'))}:{kind}:{text(event.get('timestamp'))}",
        name=name,
        address=text(event.get("email")),
        send_id=send_id_in(event.get("send_id")) or send_id_in(event.get("smtp-id")),
        provider_id=text(event.get("sg_message_id")),
        at=milliseconds(event.get("timestamp")),
        properties=properties,
    )
