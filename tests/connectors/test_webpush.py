"""Notifications in browsers, to a push service on loopback, decrypted as a browser decrypts them."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import http_ece
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from connectors.links import Click, Opening, read
from connectors.outbound.channel import Channel, Outcome
from connectors.outbound.standin import StandIn
from connectors.outbound.webpush import WebPush, connect
from connectors.vapid import WebPushSettings, key_of, public_key
from schemas.settings import Settings
from tests.connectors.dispatching import command
from tests.connectors.server import Answer, Server, serving


class Browser:
    """A subscription and the keys that only the browser has."""

    def __init__(self, endpoint: str) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _base64(point), "auth": _base64(self.auth)}
        self.subscription = orjson.dumps({"endpoint": endpoint, "expirationTime": None, "keys": keys}).decode()

    def read(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth, version="aes128gcm")
        told: dict[str, Any] = orjson.loads(plain)
        return told


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def service() -> Iterator[Server]:
    with serving() as server:
        server.answers = [Answer(201, b"", {"Location": "https://push.example/m/1"})]
        yield server


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Vapid02:
    return key_of(WebPushSettings(), tmp_path_factory.mktemp("home"))


def channel(key: Vapid02, **settings: Any) -> WebPush:
    own = WebPushSettings(**{"subject": "mailto:ops@shop.example", "services": "127.0.0.1", "timeout": 60, **settings})
    return WebPush(own, key, lambda: b"secret", "https://go.shop.example")


def give(to: Channel, address: str, category: str = "marketing", **parts: Any) -> Outcome:
    content = orjson.dumps({"title": "Hello", "text": "Your order is ready", **parts})
    return asyncio.run(to.hand_over(command(to=address, channel="web_push", category=category, content=content)))


def test_only_the_browser_can_read_it_and_it_tells_of_arrival_and_taps(service: Server, key: Vapid02) -> None:
    browser = Browser(f"{service.url}/sub/1")
    outcome = give(
        channel(key), browser.subscription, url="https://shop.example/o/1", icon="https://shop.example/i.png"
    )
    assert (outcome.kind, outcome.provider_id) == ("accepted", "https://push.example/m/1")
    (asked,) = service.asked
    assert asked.path == "/sub/1"
    assert asked.headers["content-encoding"] == "aes128gcm"
    assert b"order" not in asked.body
    told = browser.read(asked.body)
    assert (told["title"], told["body"], told["send_id"]) == ("Hello", "Your order is ready", "s1")
    assert told["icon"] == "https://shop.example/i.png"
    tapped = read(b"secret", told["url"].removeprefix("https://go.shop.example/l/"), Click)
    assert (tapped.url, tapped.receipt, tapped.send_id) == (
        "https://shop.example/o/1",
        "Push Notification Tapped",
        "s1",
    )
    token = told["delivered"].removeprefix("https://go.shop.example/o/").removesuffix(".gif")
    assert read(b"secret", token, Opening).receipt == "Push Notification Delivered"


@pytest.mark.parametrize(("category", "urgency"), [("marketing", "normal"), ("transactional", "high")])
def test_it_waits_for_a_browser_that_is_away(service: Server, key: Vapid02, category: str, urgency: str) -> None:
    give(channel(key, ttl=3600), Browser(service.url).subscription, category)
    assert (service.asked[0].headers["ttl"], service.asked[0].headers["urgency"]) == ("3600", urgency)
    assert int(WebPushSettings().ttl) > 0, "0 drops what can't be delivered at once"


def test_the_push_service_knows_who_sends(service: Server, key: Vapid02) -> None:
    give(channel(key), Browser(f"{service.url}/sub/1").subscription)
    header = service.asked[0].headers["authorization"]
    assert header.startswith("vapid t=")
    assert header.endswith(f",k={public_key(key)}")
    assert Vapid02.verify(header)
    claims = orjson.loads(base64.urlsafe_b64decode(header.split("t=")[1].split(",")[0].split(".")[1] + "=="))
    assert (claims["sub"], claims["aud"]) == ("mailto:ops@shop.example", service.url)


def test_buttons_become_actions(service: Server, key: Vapid02) -> None:
    browser = Browser(service.url)
    give(channel(key), browser.subscription, buttons='[{"text": "Pay", "url": "https://shop.example/pay"}]')
    (action,) = browser.read(service.asked[0].body)["actions"]
    assert action["title"] == "Pay"
    assert action["url"].startswith("https://go.shop.example/l/")


@pytest.mark.parametrize(
    ("answer", "kind", "bounce", "pause"),
    [
        (Answer(200), "accepted", "", 0.0),
        (Answer(404, b""), "refused", "hard", 0.0),
        (Answer(410, b""), "refused", "hard", 0.0),
        (Answer(413, b""), "failed", "", 0.0),
        (Answer(403, b"wrong key"), "failed", "", 0.0),
        (Answer(429, b"", {"Retry-After": "20"}), "temporary", "", 20.0),
        (Answer(503, b""), "temporary", "", 0.0),
        (Answer(silent=True), "ambiguous", "", 0.0),
    ],
)
def test_what_the_service_answers_is_understood(
    service: Server, key: Vapid02, answer: Answer, kind: str, bounce: str, pause: float
) -> None:
    service.answers = [answer]
    outcome = give(channel(key), Browser(service.url).subscription)
    assert (outcome.kind, outcome.bounce, outcome.retry_after) == (kind, bounce, pause), outcome


def test_one_service_that_is_away_holds_back_no_other(key: Vapid02) -> None:
    assert give(channel(key), Browser("http://127.0.0.1:1/sub").subscription).kind == "temporary"


@pytest.mark.parametrize(
    "address",
    [
        "tok-1",
        "{}",
        '{"endpoint": "https://127.0.0.1", "keys": {}}',
        '{"endpoint": "https://127.0.0.1", "keys": {"p256dh": "!", "auth": "!"}}',
        '{"endpoint": "https://127.0.0.1", "keys": {"p256dh": "AAAA", "auth": 7}}',
    ],
)
def test_an_address_that_is_no_subscription_fails_alone(key: Vapid02, address: str) -> None:
    assert give(channel(key), address).kind == "failed"


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "localhost", "kafka", "evilgoogleapis.com", "googleapis.com.evil.example"]
)
def test_nothing_is_posted_to_who_is_no_push_service(key: Vapid02, host: str) -> None:
    to = channel(key, services=WebPushSettings().services)
    outcome = give(to, Browser(f"https://{host}/latest").subscription)
    assert (outcome.kind, "no push service" in outcome.detail) == ("failed", True)


def test_a_payload_that_no_service_takes_fails_here(service: Server, key: Vapid02) -> None:
    outcome = give(channel(key), Browser(service.url).subscription, text="a" * 4000)
    assert (outcome.kind, "at most 3993" in outcome.detail) == ("failed", True)
    assert service.asked == []


def test_a_key_is_made_once_in_the_home_or_taken_from_the_settings(tmp_path: Path) -> None:
    made = key_of(WebPushSettings(), tmp_path)
    assert public_key(key_of(WebPushSettings(), tmp_path)) == public_key(made)
    assert (tmp_path / "vapid.pem").stat().st_mode & 0o077 == 0
    raw = _base64(made.private_key.private_numbers().private_value.to_bytes(32, "big"))
    assert public_key(key_of(WebPushSettings(private_key=raw), tmp_path / "other")) == public_key(made)
    with pytest.raises(ValueError, match="P-256"):
        key_of(WebPushSettings(private_key="nonsense"), tmp_path)


def test_without_a_sender_everything_goes_to_the_mailbox(service: Server) -> None:
    to = connect(Settings(catcher=service.url), "web_push")
    assert isinstance(to, StandIn)
    assert give(to, "tok-1").kind == "accepted"
    assert service.asked[0].path == "/caught/web_push"
    assert service.asked[0].json["text"] == "Your order is ready"
