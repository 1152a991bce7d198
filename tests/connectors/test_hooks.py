"""Webhooks of providers, over real HTTP: proven on the bytes as they came, read, kept, answered."""

from __future__ import annotations

import asyncio
import base64
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import orjson
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from standardwebhooks.webhooks import Webhook as Signer

from connectors.callbacks import callback
from connectors.inbound.collector.intake import Intake
from connectors.inbound.hooks.base import Call, Hook
from connectors.inbound.hooks.mailgun import Mailgun
from connectors.inbound.hooks.registry import PROVIDERS, hook_of
from connectors.inbound.hooks.router import hooks
from connectors.inbound.hooks.sendgrid import SendGrid
from connectors.inbound.hooks.ses import Ses
from connectors.inbound.hooks.standard import Standard
from connectors.inbound.hooks.telegram import TelegramHook
from connectors.receipts import as_event
from schemas.clock import WallClock
from schemas.codec import Codec
from schemas.definitions import Project, parse
from schemas.records import Event
from schemas.services import TASKS
from schemas.topics import DEAD_LETTERS, EVENTS
from tests.connectors.doubles import KeepingProducer, KeepingPublisher
from tests.runtime.workers import until

SEND = str(uuid5(NAMESPACE_URL, "send"))
PROJECT = parse(
    {
        "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  email: {normalize: email}\n"
        "  phone: {normalize: phone}\n  telegram: {limit: 1}\n",
        "channels.yaml": "email: {connector: smtp}\ntelegram: {connector: telegram}\nwebhook: {connector: webhook}\n",
    }
)


@dataclass
class Collector:
    url: str
    kafka: KeepingProducer
    found: dict[str, Hook] = field(default_factory=dict)
    project: Project | None = PROJECT

    def post(self, provider: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/hooks/{provider}", content=body, headers=headers or {})

    def events(self) -> list[Event]:
        return [Codec().decode(Event, record.value) for record in self.kafka.of(EVENTS)]

    def told(self) -> list[tuple[str, str | None, str]]:
        return [(event.name, event.send_id, event.identifiers[0]) for event in self.events()]


@pytest.fixture
def collector() -> Iterator[Collector]:
    kafka = KeepingProducer()
    publisher = KeepingPublisher(kafka)
    made = Collector("", kafka)
    app = FastAPI()
    app.include_router(
        hooks(
            Intake(publisher, Codec(), WallClock()),
            lambda: made.project,
            find=lambda provider, channel: made.found.get(provider),
        )
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    socket = server.config.bind_socket()
    made.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    # the socket is bound, but who connects before the server listens is refused
    until(lambda: server.started, "it listens")
    yield made
    server.should_exit = True
    thread.join()
    publisher.close(1)


# --- each signs in its own way: what a provider does, written once more ----------------------------------------------

NOW = int(time.time())
Signed = tuple[bytes, dict[str, str]]


class SendGridSide:
    """SendGrid, as its documentation says it signs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.hook: Hook = SendGrid(base64.b64encode(public).decode())

    def sign(self, told: Any, ago: int = 0) -> Signed:
        at = int(time.time()) - ago
        # line ends as SendGrid writes them: they are signed too
        body = orjson.dumps(told).replace(b"},{", b"},\r\n{") + b"\r\n"
        signature = self.key.sign(str(at).encode() + body, ec.ECDSA(SHA256()))
        return body, {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": str(at),
        }

    def example(self, **changes: Any) -> Any:
        event = {
            "email": "Ann@Example.com",
            "timestamp": NOW,
            "event": "delivered",
            "sg_event_id": "e1",
            "send_id": SEND,
        }
        return [event | changes]


class MailgunSide:
    key = "key-1"

    def __init__(self) -> None:
        self.hook: Hook = Mailgun(self.key)

    def sign(self, told: Any, ago: int = 0) -> Signed:
        at = int(time.time()) - ago
        token = "a" * 50
        signature = hmac.new(self.key.encode(), f"{at}{token}".encode(), sha256).hexdigest()
        signed = {"timestamp": str(at), "token": token, "signature": signature}
        return orjson.dumps({"signature": signed, "event-data": told}), {}

    def example(self, **changes: Any) -> Any:
        headers = {"message-id": f"{SEND}@shop.example"}
        event = {"event": "delivered", "id": "e1", "timestamp": NOW + 0.5, "recipient": "ann@example.com"}
        return event | {"message": {"headers": headers}} | changes


class SesSide:
    arn = "arn:aws:sns:eu-west-1:123456789012:ses"

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        start = datetime.now(UTC) - timedelta(days=1)
        built = x509.CertificateBuilder(name, name, self.key.public_key(), 1, start, start + timedelta(days=9))
        self.pem = built.sign(self.key, SHA256()).public_bytes(Encoding.PEM)
        self.fetched: list[str] = []

        async def fetch(url: str) -> bytes:
            self.fetched.append(url)
            return self.pem

        self.hook: Hook = Ses(frozenset({self.arn}), fetch)

    def sign(self, told: Any, kind: str = "Notification", **changes: Any) -> Signed:
        envelope = {
            "Type": kind,
            "MessageId": "m1",
            "TopicArn": self.arn,
            "Message": told if isinstance(told, str) else orjson.dumps(told).decode(),
            "Timestamp": "2026-11-28T12:00:00.000Z",
            "SignatureVersion": self.version,
            "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
        }
        if kind != "Notification":
            envelope |= {
                "Token": "t",
                "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
            }
        envelope |= {name: value for name, value in changes.items() if name in envelope}
        names = sorted(set(envelope) - {"SignatureVersion", "SigningCertURL"})
        signed = "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()
        hashed = SHA1() if self.version == "1" else SHA256()
        envelope["Signature"] = base64.b64encode(self.key.sign(signed, PKCS1v15(), hashed)).decode()
        # SNS says text/plain
        return orjson.dumps(envelope), {"Content-Type": "text/plain; charset=UTF-8"}

    def example(self, **changes: Any) -> Any:
        headers = [{"name": "X-Pathline-Send-Id", "value": SEND}]
        mail = {"messageId": "ses-1", "destination": ["ann@example.com"], "headers": headers}
        delivery = {"timestamp": "2026-11-28T12:00:00.000Z", "recipients": ["ann@example.com"]}
        return {"eventType": "Delivery", "mail": mail, "delivery": delivery} | changes


class TelegramSide:
    def __init__(self) -> None:
        self.hook: Hook = TelegramHook("s3cret")

    def sign(self, told: Any) -> Signed:
        return orjson.dumps(told), {"X-Telegram-Bot-Api-Secret-Token": "s3cret"}

    def example(self, **changes: Any) -> Any:
        user = {"id": 7, "is_bot": False, "username": "ann", "language_code": "uk"}
        chat = {"id": 7, "type": "private"}
        return {"update_id": 1, "message": {"message_id": 2, "from": user, "chat": chat, "date": NOW} | changes}


class StandardSide:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    def __init__(self) -> None:
        self.hook: Hook = Standard(self.secret, "webhook")

    def sign(self, told: Any, ago: int = 0) -> Signed:
        at = int(time.time()) - ago
        body = orjson.dumps({"type": "receipt", "timestamp": "2026-11-28T12:00:00Z", "data": told})
        signature = Signer(self.secret).sign("msg_1", datetime.fromtimestamp(at, UTC), body.decode())
        return body, {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}

    def example(self, **changes: Any) -> Any:
        return {"send_id": SEND, "event": "delivered", "address": "u1"} | changes


SIDES: dict[str, Callable[[], Any]] = {
    "sendgrid": SendGridSide,
    "mailgun": MailgunSide,
    "ses": SesSide,
    "telegram": TelegramSide,
    "standard": StandardSide,
}
FIRST = {
    "sendgrid": ("Email Delivered", SEND, "email:ann@example.com"),
    "mailgun": ("Email Delivered", SEND, "email:ann@example.com"),
    "ses": ("Email Delivered", SEND, "email:ann@example.com"),
    "telegram": ("Telegram Replied", None, "telegram:7"),
    "standard": ("Webhook Delivered", SEND, "user_id:u1"),
}


def test_every_provider_is_tried_here() -> None:
    assert set(SIDES) == set(PROVIDERS)


@pytest.mark.parametrize("provider", SIDES)
def test_what_a_provider_tells_becomes_an_event_of_its_send_and_address(collector: Collector, provider: str) -> None:
    side = SIDES[provider]()
    collector.found[provider] = side.hook
    answer = collector.post(provider, *side.sign(side.example()))
    assert answer.status_code == 200, answer.text
    assert collector.told() == [FIRST[provider]]
    (event,) = collector.events()
    assert event.channel == PROVIDERS[provider].channel
    assert orjson.loads(event.properties)["channel"] == PROVIDERS[provider].channel
    assert collector.kafka.of(EVENTS)[0].key == event.identifiers[0].encode()


@pytest.mark.parametrize("provider", SIDES)
def test_what_is_told_again_is_the_same_event(collector: Collector, provider: str) -> None:
    side = SIDES[provider]()
    collector.found[provider] = side.hook
    for _ in range(2):
        collector.post(provider, *side.sign(side.example()))
    first, second = collector.events()
    assert (first.event_id, first.message_id) == (second.event_id, second.message_id)


@pytest.mark.parametrize("provider", SIDES)
def test_who_does_not_prove_itself_is_refused_and_leaves_nothing(collector: Collector, provider: str) -> None:
    side = SIDES[provider]()
    collector.found[provider] = side.hook
    body, headers = side.sign(side.example())
    forged: list[Signed] = [
        (body, {}),
        (body, dict.fromkeys(headers, "x")),
        (b"", headers),
        (b"not json", headers),
    ]
    if provider != "telegram":
        other = SIDES[provider]()
        for name in ("key", "secret"):
            if isinstance(getattr(other, name, None), str):
                setattr(other, name, "whsec_" + "b" * 32)
        forged.append(other.sign(side.example()))  # of somebody else's key
    if provider not in ("telegram", "mailgun"):
        forged.append((body.replace(b"livered", b"nied"), headers))  # a word was changed
    if provider not in ("telegram", "ses"):
        forged.append(side.sign(side.example(), ago=8 * 86_400))
    for number, (content, given) in enumerate(forged):
        if provider in ("mailgun", "ses") and content == body:
            continue  # their proof stands in the body
        if provider == "telegram" and given == headers:
            continue  # its proof is the header alone
        assert collector.post(provider, content, given).status_code == 403, number
    assert collector.kafka.kept == []


@pytest.mark.parametrize("provider", SIDES)
def test_a_provider_that_is_not_set_up_is_not_there(collector: Collector, provider: str) -> None:
    hook_of.cache_clear()
    assert collector.post(provider, b"[]").status_code == 404
    assert hook_of(provider, PROVIDERS[provider].channel) is None


def test_a_provider_nobody_knows_is_not_there(collector: Collector) -> None:
    assert collector.post("pigeon", b"[]").status_code == 404


@pytest.mark.parametrize("provider", SIDES)
def test_what_is_the_providers_and_can_not_be_used_is_kept_as_a_dead_letter(
    collector: Collector, provider: str
) -> None:
    side = SIDES[provider]()
    collector.found[provider] = side.hook
    odd: dict[str, Any] = {
        "sendgrid": side.example(email="nobody"),
        "mailgun": side.example(recipient=None),
        "ses": "no json",
        "telegram": {"update_id": 1, "message": {"chat": {"id": True, "type": "private"}, "date": "x"}},
        "standard": side.example(event="seen from afar"),
    }
    body, headers = side.sign(odd[provider])
    assert collector.post(provider, body, headers).status_code in (200, 400)
    (letter,) = collector.kafka.of(DEAD_LETTERS)
    assert letter.value == body
    assert letter.headers["source"] == f"hook:{provider}"
    assert collector.events() == []


def test_a_provider_calls_again_while_kafka_is_away_or_no_project_is_published(collector: Collector) -> None:
    side = TelegramSide()
    collector.found["telegram"] = side.hook
    collector.kafka.silent = True
    assert collector.post("telegram", *side.sign(side.example(text="hi"))).status_code == 503
    collector.kafka.silent, collector.project = False, None
    assert collector.post("telegram", *side.sign(side.example(text="hi"))).status_code == 503


def one(collector: Collector, provider: str, side: Any, told: Any) -> tuple[str, dict[str, Any]]:
    """The event that a call becomes."""
    collector.found[provider] = side.hook
    assert collector.post(provider, *side.sign(told)).status_code == 200
    event = collector.events()[-1]
    properties = orjson.loads(event.properties)
    return event.name, {name: properties[name] for name in properties if name in OF_INTEREST}


OF_INTEREST = {"bounce_type", "reason", "url", "machine", "text", "data", "start"}


@pytest.mark.parametrize(
    ("changes", "name", "properties"),
    [
        (
            {"event": "bounce", "type": "bounce", "reason": "550 no"},
            "Email Bounced",
            {"bounce_type": "hard", "reason": "550 no"},
        ),
        ({"event": "bounce", "type": "blocked"}, "Email Bounced", {"bounce_type": "block"}),
        ({"event": "deferred"}, "Email Deferred", {}),
        ({"event": "dropped", "reason": "Bounced Address"}, "Email Dropped", {"reason": "Bounced Address"}),
        ({"event": "open"}, "Email Opened", {}),
        ({"event": "open", "sg_machine_open": True}, "Email Opened", {"machine": True}),
        ({"event": "click", "url": "https://a"}, "Email Link Clicked", {"url": "https://a"}),
        ({"event": "spamreport"}, "Email Marked as Spam", {}),
        ({"event": "group_unsubscribe"}, "Unsubscribed", {}),
    ],
)
def test_events_of_sendgrid(collector: Collector, changes: Any, name: str, properties: Any) -> None:
    side = SendGridSide()
    assert one(collector, "sendgrid", side, side.example(**changes)) == (name, properties)


def test_sendgrid_tells_many_things_at_once_some_of_them_not_about_people(collector: Collector) -> None:
    side = SendGridSide()
    collector.found["sendgrid"] = side.hook
    told = [side.example(event=event, sg_event_id=event)[0] for event in ("processed", "delivered", "open", "new one")]
    collector.post("sendgrid", *side.sign(told))
    assert [event.name for event in collector.events()] == ["Email Delivered", "Email Opened"]


@pytest.mark.parametrize(
    ("changes", "name", "properties"),
    [
        (
            {"event": "failed", "severity": "permanent", "delivery-status": {"message": "550"}},
            "Email Bounced",
            {"bounce_type": "hard", "reason": "550"},
        ),
        ({"event": "failed", "severity": "temporary"}, "Email Deferred", {}),
        ({"event": "opened", "client-info": {"bot": "apple"}}, "Email Opened", {"machine": True}),
        (
            {"event": "clicked", "url": "https://a", "client-info": {"bot": ""}},
            "Email Link Clicked",
            {"url": "https://a"},
        ),
        ({"event": "complained"}, "Email Marked as Spam", {}),
        ({"event": "unsubscribed"}, "Unsubscribed", {}),
    ],
)
def test_events_of_mailgun(collector: Collector, changes: Any, name: str, properties: Any) -> None:
    side = MailgunSide()
    assert one(collector, "mailgun", side, side.example(**changes)) == (name, properties)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("changes", "name", "properties"),
    [
        (
            {
                "eventType": "Bounce",
                "bounce": {
                    "bounceType": "Permanent",
                    "bounceSubType": "General",
                    "bouncedRecipients": [{"emailAddress": "ann@example.com"}],
                },
            },
            "Email Bounced",
            {"bounce_type": "hard", "reason": "Permanent/General"},
        ),
        (
            {
                "eventType": "Bounce",
                "bounce": {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": "ann@example.com"}]},
            },
            "Email Bounced",
            {"bounce_type": "soft", "reason": "Transient"},
        ),
        ({"eventType": "Open", "open": {}}, "Email Opened", {}),
        ({"eventType": "Click", "click": {"link": "https://a"}}, "Email Link Clicked", {"url": "https://a"}),
        (
            {
                "notificationType": "Complaint",
                "eventType": None,
                "complaint": {"complainedRecipients": [{"emailAddress": "ann@example.com"}]},
            },
            "Email Marked as Spam",
            {},
        ),
        (
            {"eventType": "Rendering Failure", "failure": {"errorMessage": "no name"}},
            "Email Failed",
            {"reason": "no name"},
        ),
    ],
)
def test_events_of_ses(collector: Collector, version: str, changes: Any, name: str, properties: Any) -> None:
    side = SesSide(version)
    assert one(collector, "ses", side, side.example(**changes)) == (name, properties)


def test_a_notice_of_ses_about_several_people_is_an_event_for_each(collector: Collector) -> None:
    side = SesSide()
    collector.found["ses"] = side.hook
    delivery = {"recipients": ["ann@example.com", "ben@example.com"]}
    collector.post("ses", *side.sign(side.example(delivery=delivery)))
    assert [event.identifiers for event in collector.events()] == [["email:ann@example.com"], ["email:ben@example.com"]]
    assert len({event.event_id for event in collector.events()}) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://user@sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://bucket.s3.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.txt",
    ],
)
def test_a_certificate_that_is_not_amazons_is_not_even_fetched(collector: Collector, url: str) -> None:
    side = SesSide()
    collector.found["ses"] = side.hook
    assert collector.post("ses", *side.sign(side.example(), SigningCertURL=url)).status_code == 403
    assert side.fetched == []


def test_a_topic_of_somebody_else_is_refused_and_ours_is_subscribed_to(collector: Collector) -> None:
    side = SesSide()
    collector.found["ses"] = side.hook
    assert collector.post("ses", *side.sign(side.example(), TopicArn="arn:aws:sns:eu-west-1:666:x")).status_code == 403
    assert collector.post("ses", *side.sign("confirm", "SubscriptionConfirmation")).status_code == 200
    assert side.fetched[-1].endswith("?Action=ConfirmSubscription")
    elsewhere = side.sign("confirm", "SubscriptionConfirmation", SubscribeURL="https://evil.example/")
    assert collector.post("ses", *elsewhere).status_code == 403


@pytest.mark.parametrize(
    ("changes", "name", "properties"),
    [
        ({"text": "Where is my order?"}, "Telegram Replied", {"text": "Where is my order?"}),
        ({"text": "/start from-site"}, "Telegram Started", {"start": "from-site"}),
        ({"text": "/stop"}, "Unsubscribed", {}),
    ],
)
def test_messages_to_the_bot(collector: Collector, changes: Any, name: str, properties: Any) -> None:
    side = TelegramSide()
    assert one(collector, "telegram", side, side.example(**changes)) == (name, properties)


def test_who_starts_the_bot_asks_for_its_messages(collector: Collector) -> None:
    side = TelegramSide()
    one(collector, "telegram", side, side.example(text="/start"))
    context = orjson.loads(collector.events()[-1].context)
    assert context["consent"]["categoryPreferences"] == {"telegram": True}


def test_who_sends_the_own_number_is_known_by_it(collector: Collector) -> None:
    side = TelegramSide()
    contact = {"phone_number": "380501234567", "user_id": 7}
    one(collector, "telegram", side, side.example(contact=contact))
    assert collector.events()[-1].identifiers == ["phone:+380501234567", "telegram:7"]
    one(collector, "telegram", side, side.example(contact={**contact, "user_id": 8}))
    assert collector.events()[-1].identifiers == ["telegram:7"], "a number of somebody else"


def test_a_pressed_button_is_a_click_on_its_send(collector: Collector) -> None:
    side = TelegramSide()
    pressed = {"id": "q1", "from": {"id": 7}, "data": callback(SEND, "yes"), "message": {"chat": {"id": 7}}}
    collector.found["telegram"] = side.hook
    answer = collector.post("telegram", *side.sign({"update_id": 5, "callback_query": pressed}))
    assert answer.json() == {"method": "answerCallbackQuery", "callback_query_id": "q1"}
    assert collector.told() == [("Telegram Link Clicked", SEND, "telegram:7")]
    assert orjson.loads(collector.events()[0].properties)["data"] == "yes"


@pytest.mark.parametrize(("status", "name"), [("kicked", "Telegram Bounced"), ("member", "Telegram Started")])
def test_who_blocks_the_bot_is_a_dead_address_until_coming_back(collector: Collector, status: str, name: str) -> None:
    side = TelegramSide()
    member = {"chat": {"id": 7, "type": "private"}, "date": NOW, "new_chat_member": {"status": status}}
    collector.found["telegram"] = side.hook
    collector.post("telegram", *side.sign({"update_id": 6, "my_chat_member": member}))
    assert collector.told() == [(name, None, "telegram:7")]


def test_what_others_say_in_groups_is_not_told(collector: Collector) -> None:
    side = TelegramSide()
    collector.found["telegram"] = side.hook
    group = {"id": -100, "type": "supergroup"}
    assert collector.post("telegram", *side.sign(side.example(chat=group, text="hi"))).status_code == 200
    assert collector.events() == []


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("opened", "Webhook Opened"),
        ("clicked", "Webhook Link Clicked"),
        ("unsubscribed", "Unsubscribed"),
        ("complained", "Webhook Marked as Spam"),
    ],
)
def test_receipts_of_ones_own_service(collector: Collector, event: str, name: str) -> None:
    side = StandardSide()
    assert one(collector, "standard", side, side.example(event=event, properties={"url": "https://a"})) == (
        name,
        {"url": "https://a"},
    )


@pytest.mark.parametrize("key", ["", "x", base64.b64encode(b"no key").decode()])
def test_a_key_of_sendgrid_that_is_none_is_told(key: str) -> None:
    with pytest.raises(ValueError, match="PATHLINE_SENDGRID_PUBLIC_KEY"):
        SendGrid(key)


def test_outcomes_of_calls_are_signed_by_the_call_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_TASK_SECRET", StandardSide.secret)
    hook_of.cache_clear()
    hook = hook_of("standard", "call")
    hook_of.cache_clear()
    assert hook is not None
    side = StandardSide()
    for event, name in (("answered", "Call Answered"), ("agreed", "Call Agreed"), ("bounced", "Call Bounced")):
        body, headers = side.sign(side.example(event=event, address="+380501234567"))
        heard = asyncio.run(hook.hear(Call(headers, body, "", time.time())))
        assert [incoming.name for incoming in heard.incoming] == [name]


def test_outcomes_of_tasks_are_events_that_journeys_can_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_TASK_SECRET", StandardSide.secret)
    hook_of.cache_clear()
    hook = hook_of("standard", TASKS)
    hook_of.cache_clear()
    assert hook is not None
    side = StandardSide()
    body, headers = side.sign(side.example(event="answered", address="+380501234567"))
    (told,) = asyncio.run(hook.hear(Call(headers, body, "", time.time()))).incoming
    event = as_event(told, parse({"project.yaml": "name: shop\n"}), TASKS, "hook", 1_800_000_000_000, False)
    assert (event.name, event.identifiers, event.send_id) == ("Task Answered", ["phone:+380501234567"], SEND)
