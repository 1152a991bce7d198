"""Joining and leaving audiences at dispatch: once, in order, and as a signed webhook."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
from standardwebhooks.webhooks import Webhook as Verifier

from connectors.outbound.catcher import make_app
from connectors.outbound.caught import Mailbox
from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.dispatch import BACK_OFF
from connectors.outbound.webhook import Webhook, WebhookSettings, body_of
from schemas import topics
from schemas.audiences import CATEGORY, JOIN, LEAVE
from schemas.definitions.model import Channel
from schemas.records import Erasure, SendCommand, Update
from tests.connectors.dispatching import CODEC, COMMAND, NOW, Line, Provider
from tests.connectors.server import Answer, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HASH = sha256(b"ann@example.com").hexdigest()
WRITTEN = Channel("google_ads", kind="audience", consent="opt_in")


class Network(Provider):
    name = "google_ads"


def told(send_id: str, action: str, audience: str = "vip") -> SendCommand:
    return msgspec.structs.replace(
        COMMAND,
        send_id=send_id,
        journey="",
        step=audience,
        template=action,
        channel="google_ads",
        category=CATEGORY,
        to="",
        content=orjson.dumps([{"type": "email", "hash": HASH}]),
    )


def send(line: Line, *commands: SendCommand) -> None:
    for one in commands:
        line.line.publish(topics.outbound("google_ads"), one.person_id, CODEC.encode(one))
    line.line.drain()


def network() -> tuple[Network, Line]:
    made = Network(Traits(doubt="idempotent"))
    line = made.line(written=WRITTEN)
    line.profile(consents=[{"address": "", "channel": "google_ads", "purpose": "", "granted": True, "at": NOW}])
    return made, line


def test_it_is_told_once_and_leaves_no_receipt() -> None:
    ads, line = network()
    send(line, told("a", JOIN), told("a", JOIN))
    line.restart()
    send(line, told("a", JOIN))
    assert [one for _, one in ads.given] == ["a"]
    assert line.states("a") == ["handed over", "accepted"]
    assert line.receipts() == []


def test_nobody_leaves_before_the_joining_said_earlier_was_taken() -> None:
    ads, line = network()
    answers = [Outcome("temporary"), Outcome("temporary")]
    ads.answer = lambda command: answers.pop() if answers and command.send_id == "a" else Outcome("accepted")
    send(line, told("a", JOIN), told("b", LEAVE), told("c", JOIN), told("other", JOIN, "fans"))
    assert [one for _, one in ads.given] == ["a", "other"]
    line.after(sum(BACK_OFF[:3]))
    assert [one for _, one in ads.given] == ["a", "other", "a", "a", "b", "c"]
    assert line.states("b") == ["reserved", "handed over", "accepted"]


def test_the_order_outlives_a_crash() -> None:
    ads, line = network()
    line.line.performing = False
    send(line, told("a", JOIN), told("b", LEAVE))
    line.restart()
    line.after(BACK_OFF[0])
    assert [one for _, one in ads.given] == ["a", "b"]


def test_who_withdrew_consent_meanwhile_does_not_join_but_may_leave() -> None:
    ads, line = network()
    line.profile(consents=[{"address": "", "channel": "google_ads", "purpose": "", "granted": False, "at": NOW}])
    send(line, told("a", JOIN), told("b", LEAVE))
    line.after(1)
    assert [one for _, one in ads.given] == ["b"]
    assert line.states("a") == ["withheld"]


def test_who_is_forgotten_still_leaves() -> None:
    ads, line = network()
    erasure = Erasure(identifiers=["email:ann@example.com"], slots=["email:ann@example.com#0"], at=NOW, persons=["p1"])
    update = Update(kind="erasure", person_id="p1", at=NOW, erasure=erasure)
    line.line.publish(topics.UPDATES, "p1", CODEC.encode(update))
    send(line, told("b", LEAVE))
    assert [one for _, one in ads.given] == ["b"]


def test_the_mailbox_shows_who_joined_what(tmp_path: Path) -> None:
    app = make_app(Mailbox(tmp_path))

    async def talk() -> list[Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mailbox") as client:
            await client.post("/webhook/google_ads", content=body_of(told("a", JOIN), {}))
            kept: list[Any] = (await client.get("/messages")).json()
            return kept

    (kept,) = asyncio.run(talk())
    assert (kept["to"], kept["text"], kept["send_id"]) == (["p1"], "join audience vip", "a")


def test_the_network_hears_of_it_by_a_signed_webhook() -> None:
    with serving() as server:
        server.answers = [Answer(200, {})]
        ads = Webhook(WebhookSettings(url=server.url, secret=SECRET), "google_ads")
        assert asyncio.run(ads.hand_over(told("a", JOIN))).kind == "accepted"
        (asked,) = server.asked
    heard = Verifier(SECRET).verify(asked.body, asked.headers)
    assert heard["type"] == "audience"
    assert heard["data"] == {
        "send_id": "a",
        "channel": "google_ads",
        "audience": "vip",
        "action": "join",
        "person_id": "p1",
        "identifiers": [{"type": "email", "hash": HASH}],
    }
