"""Amazon SES through SNS: notices in an envelope that SNS signs with a certificate of its own.

The certificate is fetched from where the envelope says, so that place has to be Amazon's before anything else is
looked at. docs: docs.aws.amazon.com/sns (sns-verify-signature-of-message), /ses (event-publishing-retrieving-sns)
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate
from pydantic import Field

from connectors.inbound.hooks.base import Call, Forged, Heard, Hook, Unusable, json_of, mapping, send_id_in, text
from connectors.receipts import Incoming
from connectors.settings import ConnectorSettings

log = structlog.get_logger()

_HOST = re.compile(r"sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?")
#: what is signed of an envelope, in order (SNS, verify the signature)
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        ("SubscriptionConfirmation", "UnsubscribeConfirmation"),
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_HASHES = {"1": SHA1, "2": SHA256}
_NAMES = {
    "delivery": "Email Delivered",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "complaint": "Email Marked as Spam",
    "bounce": "Email Bounced",
    "reject": "Email Dropped",
    "renderingfailure": "Email Failed",
    "deliverydelay": "Email Deferred",
    "subscription": "Unsubscribed",
}
_SEND_ID_HEADER = "x-pathline-send-id"

Fetch = Callable[[str], Awaitable[bytes]]


class SesSettings(ConnectorSettings, env_prefix="PATHLINE_SES_"):
    """The topics of SNS that notices come from."""

    topics: str = Field("", description="ARNs of the SNS topics, separated by commas.")


def connect(channel: str) -> Hook | None:
    """The hook; None when it is not set up."""
    own = SesSettings.of(channel)
    topics = frozenset(arn.strip() for arn in own.topics.split(",") if arn.strip())
    return Ses(topics, fetch) if topics else None


async def fetch(url: str) -> bytes:
    """What stands at an address of Amazon's. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(timeout=10, follow_redirects=False) as client:
        return (await client.get(url)).raise_for_status().content


class Ses:
    """Receipts of e-mail sent through Amazon SES, from these topics."""

    def __init__(self, topics: frozenset[str], fetch: Fetch) -> None:
        self._topics = topics
        self._fetch = fetch
        self._keys: dict[str, RSAPublicKey] = {}

    async def hear(self, call: Call) -> Heard:
        try:
            envelope = mapping(json_of(call.body))
        except Unusable as error:
            raise Forged(str(error)) from error
        if text(envelope.get("TopicArn")) not in self._topics:
            raise Forged("the topic is none of PATHLINE_SES_TOPICS")
        await self._prove(envelope)
        if envelope["Type"] == "SubscriptionConfirmation":
            await self._confirm(text(envelope.get("SubscribeURL")))
            return Heard([])
        if envelope["Type"] != "Notification":
            return Heard([])
        return Heard(
            _incoming(mapping(json_of(text(envelope.get("Message")).encode())), text(envelope.get("MessageId")))
        )

    async def _prove(self, envelope: dict[str, Any]) -> None:
        fields = _SIGNED.get(text(envelope.get("Type")))
        hashed = _HASHES.get(text(envelope.get("SignatureVersion")))
        if fields is None or hashed is None:
            raise Forged("an envelope of SNS is expected")
        present = [name for name in fields if envelope.get(name) is not None]
        signed = "".join(f"{name}\n{text(envelope[name])}\n" for name in present)
        key = await self._key(text(envelope.get("SigningCertURL")))
        try:
            signature = base64.b64decode(text(envelope.get("Signature")), validate=True)
            key.verify(signature, signed.encode(), PKCS1v15(), hashed())
        except (InvalidSignature, binascii.Error, ValueError):
            raise Forged("the signature does not fit") from None

    async def _key(self, url: str) -> RSAPublicKey:
        """The key of a certificate of Amazon's."""
        if url not in self._keys:
            _amazons(url, "the certificate", ".pem")
            try:
                key = load_pem_x509_certificate(await self._fetch(url)).public_key()
            except (httpx.HTTPError, ValueError) as error:
                raise Forged(f"the certificate can't be read: {error}") from error
            if not isinstance(key, RSAPublicKey):
                raise Forged("the certificate has no RSA key")
            self._keys[url] = key
        return self._keys[url]

    async def _confirm(self, url: str) -> None:
        """Tell SNS that we want what the topic has."""
        _amazons(url, "the confirmation")
        try:
            await self._fetch(url)
        except httpx.HTTPError as error:
            raise Unusable(f"the subscription could not be confirmed: {error}") from error
        log.info("subscribed to a topic of SNS", url=url.partition("?")[0])


def _amazons(url: str, what: str, ending: str = "") -> None:
    """Raises Forged for an address that is none of SNS."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    sound = parts.scheme == "https" and _HOST.fullmatch(host) and parts.path.endswith(ending)
    if not sound or parts.port not in (None, 443) or parts.username is not None:
        raise Forged(f"{what} is not Amazon's: {url[:200]}")


def _incoming(notice: dict[str, Any], message_id: str) -> list[Incoming]:
    """One notice may be about several recipients."""
    kind = text(notice.get("eventType") or notice.get("notificationType")).replace(" ", "").lower()
    name = _NAMES.get(kind)
    if name is None:
        return []
    mail, about = mapping(notice.get("mail")), _about(notice, kind)
    properties: dict[str, Any] = {}
    if name == "Email Bounced":
        # an undetermined bounce is one that SES could not read
        properties["bounce_type"] = "hard" if about.get("bounceType") == "Permanent" else "soft"
        properties["reason"] = "/".join(filter(None, (text(about.get("bounceType")), text(about.get("bounceSubType")))))
    elif said := text(about.get("reason")) or text(about.get("errorMessage")) or text(about.get("delayType")):
        properties["reason"] = said
    if about.get("link"):
        properties["url"] = about["link"]
    return [
        Incoming(
            key=f"{message_id}:{address}",
            name=name,
            address=address,
            send_id=_send_id(mail),
            provider_id=text(mail.get("messageId")),
            at=_instant(text(about.get("timestamp")) or text(mail.get("timestamp"))),
            properties=properties,
        )
        for address in _recipients(about, mail)
    ]


def _about(notice: dict[str, Any], kind: str) -> dict[str, Any]:
    names = {"renderingfailure": "failure", "deliverydelay": "deliveryDelay"}
    return mapping(notice.get(names.get(kind, kind)))


def _recipients(about: dict[str, Any], mail: dict[str, Any]) -> list[str]:
    for key in ("bouncedRecipients", "complainedRecipients", "delayedRecipients", "recipients"):
        listed = about.get(key)
        if isinstance(listed, list) and listed:
            return [text(one.get("emailAddress") if isinstance(one, dict) else one) for one in listed]
    found = mail.get("destination")
    return [text(one) for one in found] if isinstance(found, list) else []


def _send_id(mail: dict[str, Any]) -> str:
    headers = mail.get("headers")
    listed = {
        text(header.get("name")).lower(): header.get("value")
        for header in (headers if isinstance(headers, list) else [])
        if isinstance(header, dict)
    }
    tags = mapping(mail.get("tags")).get("send_id")
    common = mapping(mail.get("commonHeaders")).get("messageId")
    found = (
        tags[0] if isinstance(tags, list) and tags else "",
        listed.get(_SEND_ID_HEADER),
        listed.get("message-id"),
        common,
    )
    return next(filter(None, map(send_id_in, found)), "")


def _instant(written: str) -> int | None:
    try:
        return int(datetime.fromisoformat(written).timestamp() * 1000)
    except ValueError:
        return None
