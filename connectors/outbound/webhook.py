"""Messages as signed webhooks, for a service of one's own (Standard Webhooks, standardwebhooks.com).

`webhook-id` is the send id, so a receiver that keeps to the specification takes a message once however often it comes;
`Idempotency-Key` says the same to those that know that header.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from pydantic import Field
from standardwebhooks.webhooks import Webhook as Signer

from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.http import Client, parts_of, retry_after
from connectors.settings import ConnectorSettings, address
from schemas.audiences import CATEGORY
from schemas.records import SendCommand
from schemas.settings import Settings

#: signs what goes to the mailbox, which does not care
CATCHER_SECRET = "whsec_" + "bWFpbGJveG1haWxib3htYWlsYm94"
TYPE = "message"
_GONE = 410
_SHORTEST_SECRET = 16


class WebhookSettings(ConnectorSettings, env_prefix="PATHLINE_WEBHOOK_"):
    """The receiver."""

    url: str = Field("", description="Where messages are posted; empty: the mailbox.")
    secret: str = Field("", description="Signs them, whsec_...; the receiver signs receipts with it, too.")
    timeout: float = Field(15.0, gt=0, description="Seconds an answer may take.")


def connect(settings: Settings, channel: str) -> Webhook:
    """The receiver of the settings, by default the mailbox. Raises ValueError for a URL without a secret."""
    own = WebhookSettings.of(channel)
    if not own.url:
        own = own.model_copy(update={"url": f"{settings.catcher}/webhook/{channel}", "secret": CATCHER_SECRET})
    return Webhook(own, channel)


def signer(secret: str) -> Signer:
    """Signs and verifies by a secret. Raises ValueError for one that is none."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_") + "==", validate=True)
    except ValueError:
        key = b""
    if len(key) < _SHORTEST_SECRET:
        raise ValueError("a secret of Standard Webhooks is expected: whsec_ and 24 to 64 bytes in Base64")
    return Signer(secret)


class Webhook:
    """A channel whose messages are posted to a service."""

    traits = Traits(doubt="idempotent")
    #: whether messages say themselves where they go
    elsewhere = False

    def __init__(
        self, settings: WebhookSettings, name: str = "webhook", *, noun: str = "Webhook", kind: str = TYPE
    ) -> None:
        self.name = name
        self.noun = noun
        self._kind = kind
        prefix = type(settings).model_config.get("env_prefix", "")
        if settings.url or not self.elsewhere:
            address(settings.url, ("http", "https"), f"{prefix}URL", "http:// or https://")
        self.url = settings.url
        try:
            self._signer = signer(settings.secret)
        except ValueError as error:
            raise ValueError(f"{prefix}SECRET: {error}") from None
        self._client = Client(settings.timeout)

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Post one message; see `Channel`."""
        try:
            url, headers, content = self.target({} if command.category == CATEGORY else parts_of(command))
        except ValueError as error:
            return Outcome("failed", str(error))
        body = body_of(command, content, self._kind)
        # signed anew for each try: a receiver refuses what is older than some minutes
        answer = await self._client.post(url, body, {**headers, **self._headers(command.send_id, body)})
        return answer if isinstance(answer, Outcome) else outcome_of(answer)

    def target(self, content: Mapping[str, Any]) -> tuple[str, Mapping[str, str], Any]:
        """Where a message goes, with which headers of its own, and what it says."""
        return self.url, {}, content

    def _headers(self, send_id: str, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "Content-Type": "application/json",
            "Idempotency-Key": send_id,
            "webhook-id": send_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(send_id, now, body.decode()),
        }


def body_of(command: SendCommand, content: Any, kind: str = TYPE) -> bytes:
    """The JSON of a message."""
    at = datetime.fromtimestamp(command.at / 1000, UTC).isoformat().replace("+00:00", "Z")
    if command.category == CATEGORY:
        return orjson.dumps({"type": CATEGORY, "timestamp": at, "data": _membership(command)})
    data = {
        "send_id": command.send_id,
        "channel": command.channel,
        "to": command.to,
        "identifier": command.identifier,
        "person_id": command.person_id,
        "journey": command.journey,
        "step": command.step,
        "template": command.template,
        "category": command.category,
        "purpose": command.purpose,
        "content": content,
    }
    return orjson.dumps({"type": kind, "timestamp": at, "data": data})


def _membership(command: SendCommand) -> dict[str, object]:
    """Who joins or leaves an audience."""
    return {
        "send_id": command.send_id,
        "channel": command.channel,
        "audience": command.step,
        "action": command.template,
        "person_id": command.person_id,
        "identifiers": orjson.loads(command.content),
    }


def outcome_of(answer: httpx.Response) -> Outcome:
    """What an answer says: 2xx taken, 410 the receiver is gone for good, 408, 429 and 5xx not now."""
    said = f"{answer.status_code} {answer.text[:300]}".strip()
    if answer.is_success:
        return Outcome("accepted", said, provider_id=_id_in(answer))
    if answer.status_code == _GONE:
        return Outcome("failed", f"the receiver is gone: {said}")
    if answer.status_code in (408, 425):
        return Outcome("temporary", said, retry_after=retry_after(answer))
    if answer.status_code == 429:
        return Outcome("away", said, retry_after=retry_after(answer) or 1.0)
    if answer.status_code >= 500:
        return Outcome("away", said, retry_after=retry_after(answer))
    return Outcome("failed", said)


def _id_in(answer: httpx.Response) -> str:
    """The receiver's own id of the message, where it says one."""
    try:
        told = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return ""
    return str(told.get("id") or "")[:200] if isinstance(told, dict) else ""
