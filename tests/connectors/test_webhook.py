"""Signed webhooks, to a server on loopback that checks them as the specification says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from connectors.outbound.channel import Outcome
from connectors.outbound.dispatch import BACK_OFF
from connectors.outbound.registry import make, usual
from connectors.outbound.webhook import Webhook, WebhookSettings
from schemas.definitions.model import Channel
from schemas.services import CALLS
from schemas.settings import Settings
from tests.connectors.dispatching import Line, command
from tests.connectors.server import Answer, Server, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def service() -> Iterator[Server]:
    with serving() as server:
        yield server


def channel(service: Server) -> Webhook:
    return Webhook(WebhookSettings(url=f"{service.url}/hook", secret=SECRET, timeout=60))


def give(service: Server) -> Outcome:
    return asyncio.run(channel(service).hand_over(command(to="u1", channel="webhook")))


def test_a_message_is_signed_and_named_by_its_send_id(service: Server) -> None:
    service.answers = [Answer(202, {"id": "w-7"})]
    outcome = give(service)
    assert (outcome.kind, outcome.provider_id) == ("accepted", "w-7")
    (asked,) = service.asked
    assert asked.headers["webhook-id"] == asked.headers["idempotency-key"] == "s1"
    told = Verifier(SECRET).verify(asked.body, asked.headers)
    assert told["type"] == "message"
    assert told["timestamp"] == "2023-11-14T22:13:20Z"
    assert told["data"]["send_id"] == "s1"
    assert told["data"]["to"] == "u1"
    assert told["data"]["content"]["subject"] == "Hello Ann"


def test_who_changes_a_word_of_it_is_found_out(service: Server) -> None:
    give(service)
    (asked,) = service.asked
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(asked.body.replace(b"Ann", b"Eve"), asked.headers)


@pytest.mark.parametrize(
    ("answer", "kind", "pause"),
    [
        (Answer(200), "accepted", 0.0),
        (Answer(204, b""), "accepted", 0.0),
        (Answer(302, b"", {"Location": "http://elsewhere.example"}), "failed", 0.0),
        (Answer(400, {"error": "no such template"}), "failed", 0.0),
        (Answer(410, b"gone"), "failed", 0.0),
        (Answer(429, b"", {"Retry-After": "12"}), "away", 12.0),
        (Answer(429, b""), "away", 1.0),
        (Answer(500, b""), "away", 0.0),
        (Answer(503, b"", {"Retry-After": "30"}), "away", 30.0),
        (Answer(silent=True), "ambiguous", 0.0),
    ],
)
def test_what_the_service_answers_is_understood(service: Server, answer: Answer, kind: str, pause: float) -> None:
    service.answers = [answer]
    outcome = give(service)
    assert (outcome.kind, outcome.retry_after) == (kind, pause), outcome


@pytest.mark.parametrize("lane", ["marketing", "transactional"])
def test_a_message_in_doubt_is_posted_again_under_the_same_id(service: Server, lane: str) -> None:
    service.answers = [Answer(silent=True), Answer(200)]
    line = Line(channel(service), lane, written=Channel("webhook", consent="none", identifiers=("user_id",)))
    line.send(command(to="u1", channel="webhook"))
    line.after(BACK_OFF[0])
    assert line.states() == ["handed over", "deferred", "handed over", "accepted"]
    assert [asked.headers["webhook-id"] for asked in service.asked] == ["s1", "s1"]
    bodies = [orjson.loads(asked.body) for asked in service.asked]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("secret", ["", "secret!", "whsec_"])
def test_a_secret_that_is_none_is_told_at_the_start(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        Webhook(WebhookSettings(url="http://127.0.0.1", secret=secret))


def test_a_call_is_a_task_of_the_call_centre(service: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_TASK_URL", f"{service.url}/tasks")
    monkeypatch.setenv("PATHLINE_TASK_SECRET", SECRET)
    centre = make(usual("call"), Settings(), "call")
    assert (centre.noun, centre.traits.doubt) == ("Call", "idempotent")
    one = command(to="+380501234567", channel="call", content=b'{"title": "Ask Ann", "text": "Is she happy?"}')
    assert asyncio.run(centre.hand_over(one)).kind == "accepted"
    (asked,) = service.asked
    told = Verifier(SECRET).verify(asked.body, asked.headers)
    assert (told["type"], told["data"]["to"]) == ("task", "+380501234567")
    assert told["data"]["content"]["title"] == "Ask Ann"


def test_a_call_of_a_journey_goes_where_its_step_says(service: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_STEP_CALL_SECRET", SECRET)
    calls = make(usual(CALLS), Settings(), CALLS)
    content = orjson.dumps({"url": f"{service.url}/erp?id=7", "headers": {"X-Shop": "Kyiv"}, "data": {"total": 12.5}})
    assert asyncio.run(calls.hand_over(command(channel=CALLS, content=content))).kind == "accepted"
    (asked,) = service.asked
    assert asked.headers["x-shop"] == "Kyiv"
    told = Verifier(SECRET).verify(asked.body, asked.headers)
    assert (told["type"], told["data"]["content"]) == ("call", {"total": 12.5})


def test_nothing_that_people_forbid_holds_back_a_call_and_one_given_up_is_told(
    service: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHLINE_STEP_CALL_SECRET", SECRET)
    service.answers = [Answer(503), Answer(400)]
    line = Line(make(usual(CALLS), Settings(), CALLS), "marketing")
    content = orjson.dumps({"url": service.url, "headers": {}, "data": {}})
    line.send(command(channel=CALLS, content=content))
    line.after(BACK_OFF[0])
    assert line.states() == ["handed over", "deferred", "handed over", "failed"]
