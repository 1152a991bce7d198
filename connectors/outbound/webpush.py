"""Notifications in browsers (Web Push: RFC 8030, encrypted by RFC 8291, VAPID of RFC 8292).

The address is the subscription as the browser gave it, `JSON.stringify(subscription)`. There is no receipt from the
push service: the service worker tells of arrival and taps by the links in the payload.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from py_vapid import Vapid02
from pywebpush import WebPusher

from connectors.links import Click, Opening, address
from connectors.outbound.channel import Channel, Outcome, Traits
from connectors.outbound.http import Client, parts_of, retry_after, text_of
from connectors.outbound.standin import StandIn
from connectors.vapid import WebPushSettings, key_of
from schemas.records import SendCommand
from schemas.secret import secret_of
from schemas.settings import Settings

NOUN = "Push Notification"
#: a push service takes no more, encrypted (RFC 8030, 7.2); 103 bytes of them are not the payload
LONGEST_PAYLOAD = 4096 - 103
#: a token of VAPID holds for at most a day (RFC 8292, 2); services differ in what they like
TOKEN_SECONDS, RENEW_SECONDS = 12 * 3600, 6 * 3600
#: parts of a message that the service worker gets as they are
_PARTS = ("title", "icon", "image", "badge", "tag")
#: whom a push service writes to about what we send (RFC 8292, 2.1)
_SUBJECT = re.compile(r"mailto:[^@\s]+@[^@\s]+|https://[^/\s]+\S*")


def connect(settings: Settings, channel: str) -> Channel:
    """Push services with the key of the settings, by default the mailbox. Raises ValueError for an unusable key or
    subject."""
    own = WebPushSettings.of(channel)
    if not own.subject:
        return StandIn(channel, NOUN, WebPush.traits, settings.catcher)
    if not _SUBJECT.fullmatch(own.subject):
        raise ValueError("PATHLINE_WEBPUSH_SUBJECT: mailto:name@domain or https://host expected")
    secret = cache(lambda: secret_of(settings))
    return WebPush(own, key_of(own, settings.home), secret, settings.public_url, channel)


class WebPush:
    """A channel of notifications in browsers."""

    noun = NOUN
    traits = Traits()

    def __init__(
        self,
        settings: WebPushSettings,
        key: Vapid02,
        secret: Callable[[], bytes],
        public_url: str = "",
        name: str = "web_push",
    ) -> None:
        self.name = name
        self._settings = settings
        self._key = key
        self._secret = secret
        self._public_url = public_url
        self._services = tuple(host.strip().lower() for host in settings.services.split(",") if host.strip())
        self._client = Client(settings.timeout)
        self._tokens: dict[str, tuple[float, dict[str, str]]] = {}

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give one message to the push service of the browser; see `Channel`."""
        try:
            subscription = subscription_of(command.to)
            endpoint = self._endpoint(subscription)
            payload = self._payload(command)
            body = encrypted(subscription, payload)
        except ValueError as error:
            return Outcome("failed", str(error))
        headers = {
            **self._token(endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            # without it the service drops what it can't deliver at once
            "TTL": str(self._settings.ttl),
            "Urgency": "high" if command.category == "transactional" else "normal",
        }
        answer = await self._client.post(endpoint, body, headers)
        if isinstance(answer, Outcome):
            # there are many services behind this channel: one that is away says nothing about the others
            return Outcome("temporary", answer.detail) if answer.kind == "away" else answer
        return _outcome(answer)

    def _endpoint(self, subscription: Mapping[str, Any]) -> str:
        endpoint = str(subscription["endpoint"])
        host = (urlsplit(endpoint).hostname or "").lower()
        if not any(host == service or host.endswith(f".{service}") for service in self._services):
            raise ValueError(f"{host or endpoint!r} is no push service that PATHLINE_WEBPUSH_SERVICES names")
        return endpoint

    def _payload(self, command: SendCommand) -> bytes:
        """What the service worker gets. Raises ValueError when that is no message, or too long a one."""
        parts = parts_of(command)
        told: dict[str, Any] = {name: parts[name] for name in _PARTS if parts.get(name)}
        told |= {"body": text_of(parts), "send_id": command.send_id}
        if parts.get("url"):
            told["url"] = self._link(command, str(parts["url"]))
        if buttons := parts.get("buttons"):
            shown = [button for button in buttons if button.get("url")]
            told["actions"] = [{"title": b.get("text", ""), "url": self._link(command, str(b["url"]))} for b in shown]
        arrived = Opening(command.send_id, command.identifier, command.channel, f"{NOUN} Delivered")
        if link := address(self._public_url, self._secret(), arrived):
            told["delivered"] = f"{link}.gif"
        payload = orjson.dumps(told)
        if len(payload) > LONGEST_PAYLOAD:
            raise ValueError(f"{len(payload)} bytes; a notification takes at most {LONGEST_PAYLOAD}")
        return payload

    def _link(self, command: SendCommand, url: str) -> str:
        tapped = Click(command.send_id, command.identifier, command.channel, f"{NOUN} Tapped", url)
        return address(self._public_url, self._secret(), tapped) or url

    def _token(self, endpoint: str) -> dict[str, str]:
        """The Authorization of a push service; signed now and then only."""
        parts = urlsplit(endpoint)
        audience, now = f"{parts.scheme}://{parts.netloc}", time.time()
        made, headers = self._tokens.get(audience, (0.0, {}))
        if now - made > RENEW_SECONDS:
            claims = {"sub": self._settings.subject, "aud": audience, "exp": int(now) + TOKEN_SECONDS}
            headers = dict(self._key.sign(claims))
            self._tokens[audience] = (now, headers)
        return headers


def subscription_of(address: str) -> dict[str, Any]:
    """The subscription of an address. Raises ValueError when it is none."""
    try:
        found = orjson.loads(address)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not found.get("endpoint") or not isinstance(found.get("keys"), dict):
        raise ValueError("the address is no push subscription: JSON.stringify(subscription) of the browser is expected")
    return found


def encrypted(subscription: Mapping[str, Any], payload: bytes) -> bytes:
    """The payload, for this browser alone. Raises ValueError when the keys of the subscription are none."""
    try:
        return bytes(WebPusher(subscription).encode(payload)["body"])
    except Exception as error:
        # the library and those below it raise whatever a wrong key makes them stumble over
        raise ValueError(f"the keys of the subscription can't be used: {type(error).__name__}: {error}") from error


def _outcome(answer: httpx.Response) -> Outcome:
    """What a push service says (RFC 8030, 5 to 8)."""
    said = f"{answer.status_code} {answer.text[:300]}".strip()
    if answer.is_success:
        return Outcome("accepted", str(answer.status_code), provider_id=answer.headers.get("location", ""))
    if answer.status_code in (404, 410):
        return Outcome("refused", said, bounce="hard")
    if answer.status_code in (408, 429) or answer.status_code >= 500:
        return Outcome("temporary", said, retry_after=retry_after(answer))
    return Outcome("failed", said)
