"""The HTTP collector as its clients see it, over real HTTP; Kafka is a producer that keeps what it is given."""

from __future__ import annotations

import base64
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
import segment.analytics
import uvicorn

from connectors.inbound.collector.app import CALLS, Parts, make_app
from connectors.inbound.collector.intake import Intake
from connectors.inbound.collector.payload import BATCH_BYTES
from connectors.inbound.collector.publisher import Publisher
from connectors.links import Choice, Click, Opening, address, token
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.model import IdentityRules
from schemas.records import Event
from schemas.topics import DEAD_LETTERS, EDGE_BYTES, EVENTS
from tests.connectors.doubles import NOW, RULES, KeepingProducer, KeepingPublisher
from tests.runtime.workers import until

KEY = "a-write-key"
SECRET = b"s"


@dataclass
class Served:
    url: str
    kafka: KeepingProducer
    publisher: Publisher
    rules: IdentityRules | None = RULES

    def post(self, call: str, body: Any, key: str | None = KEY, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        auth = (key, "") if key is not None else None
        return httpx.post(f"{self.url}/v1/{call}", content=content, headers=headers, auth=auth)

    def events(self) -> list[Event]:
        return [Codec().decode(Event, record.value) for record in self.kafka.of(EVENTS)]


@pytest.fixture
def served() -> Iterator[Served]:
    kafka = KeepingProducer()
    publisher = KeepingPublisher(kafka)
    intake = Intake(publisher, Codec(), VirtualClock(NOW))
    line = Served("", kafka, publisher)

    async def ready() -> str | None:
        return None

    app = make_app(Parts(intake, [KEY, "another"], lambda: line.rules, ready, SECRET, lambda: "BKey"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    socket = server.config.bind_socket()
    line.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    # the socket is bound, but who connects before the server listens is refused
    until(lambda: server.started, "it listens")
    yield line
    server.should_exit = True
    thread.join()
    publisher.close(1)


def track(**more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1"} | more


def test_an_event_of_the_segment_library_becomes_a_keyed_record(served: Served) -> None:
    failures: list[Any] = []
    client = segment.analytics.Client(KEY, host=served.url, gzip=True, on_error=lambda *args: failures.append(args))
    client.identify("u1", {"email": "ann@example.com"}, anonymous_id="a1")
    client.track("u1", "Order Completed", {"total": 12.5}, context={"channel": "web"})
    client.flush()
    client.join()
    assert failures == []
    identify, order = served.events()
    assert identify.identifiers == ["user_id:u1", "email:ann@example.com", "anonymous_id:a1"]
    assert (order.name, order.channel, orjson.loads(order.properties)) == ("Order Completed", "web", {"total": 12.5})
    assert order.source == f"collector:{KEY}"
    # the client's clock is this machine's, the line's another: the event is as old as it was when it was sent
    assert 0 <= NOW - order.occurred_at < 5_000
    assert [record.key for record in served.kafka.of(EVENTS)] == [b"user_id:u1"] * 2


@pytest.mark.parametrize("call", [*CALLS, *CALLS.values()])
def test_every_call_has_its_endpoint(served: Served, call: str) -> None:
    answer = served.post(call, {"event": "E", "userId": "u1", "messageId": "m1"})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    assert served.events()[0].type.startswith(call)


def test_a_batch_is_judged_message_by_message(served: Served) -> None:
    bad = b'{ "type":"track", "event":"E", "userId":null,"messageId":"m2" }'
    batch = b'{"batch": [%s, %s, 7, {"type": "page", "userId": "\xff"}], "sentAt": "2023-11-14T22:13:20Z"}' % (
        orjson.dumps(track()),
        bad,
    )
    answer = served.post("batch", batch)
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "rejected": [
            {"index": 1, "messageId": "m2", "reason": "no usable identifier"},
            {"index": 2, "messageId": None, "reason": "not a JSON object"},
            {"index": 3, "messageId": None, "reason": "not UTF-8: byte 28"},
        ],
    }
    letters = served.kafka.of(DEAD_LETTERS)
    assert [letter.value for letter in letters] == [bad, b"7", b'{"type": "page", "userId": "\xff"}']
    assert letters[0].headers["message"] == "no usable identifier"
    assert letters[0].headers["source"] == f"collector:{KEY}"
    assert letters[0].headers["app"] == "collector"
    assert letters[0].headers["at"] == str(NOW)


def test_what_a_batch_says_for_all_counts_where_a_message_is_silent(served: Served) -> None:
    messages = [track(timestamp="2030-01-01T00:00:00Z"), track(messageId="m2", context={"channel": "web"})]
    context = {"channel": "app"}
    served.post("batch", {"batch": messages, "sentAt": "2030-01-01T00:00:07Z", "context": context})
    assert [(event.channel, event.occurred_at) for event in served.events()] == [("app", NOW - 7_000), ("web", NOW)]


def test_nothing_good_is_400_and_says_why(served: Served) -> None:
    answer = served.post("track", track(userId="null"))
    assert answer.status_code == 400
    assert answer.json()["message"] == "no usable identifier (user_id:null: blocked value)"
    assert answer.json()["rejected"][0]["messageId"] == "m1"
    assert len(served.kafka.of(DEAD_LETTERS)) == 1
    assert served.post("batch", {"batch": []}).status_code == 400


def test_nobody_is_let_into_a_journey_with_a_write_key(served: Served) -> None:
    """Write keys stand in pages: who finds one must not start what is for servers to start."""
    answer = served.post("track", track(event="Journey Entry Requested", properties={"journey": "welcome"}))
    assert answer.status_code == 400
    assert "is reserved, see POST /v1/journeys/NAME/enter" in answer.json()["message"]


@pytest.mark.parametrize(
    ("call", "body", "reason"),
    [
        ("track", b'{"event": "E", ', "not JSON"),
        ("track", b'{"event": "E\xc3", "userId": "u"}', "not UTF-8: byte 12"),
        ("track", b"[1]", "a JSON object is expected"),
        ("track", b"", "not JSON"),
        ("batch", b'{"batch": 3}', "not a batch"),
        ("batch", b'{"batch": [}', "not a batch"),
        ("batch", b"\xff\xfe", "not a batch"),
        ("batch", b"{}", "not a batch"),
    ],
)
def test_a_body_that_is_no_json_is_400_and_kept_as_it_was(served: Served, call: str, body: bytes, reason: str) -> None:
    answer = served.post(call, body)
    assert (answer.status_code, answer.json()["accepted"]) == (400, 0)
    assert reason in answer.json()["message"]
    (letter,) = served.kafka.of(DEAD_LETTERS)
    assert letter.value == body
    assert reason in letter.headers["message"]


def test_a_body_that_is_no_gzip_is_400_and_kept_as_it_was(served: Served) -> None:
    whole = gzip.compress(orjson.dumps(track()))
    for body in (b"plain", whole[:-12]):
        assert served.post("track", body, **{"Content-Encoding": "gzip"}).status_code == 400
        assert served.kafka.of(DEAD_LETTERS)[-1].value == body
    assert served.post("track", b"x", **{"Content-Encoding": "br"}).status_code == 415


def test_strangers_get_401_and_leave_nothing(served: Served) -> None:
    assert served.post("track", track(), key="wrong").status_code == 401
    assert served.post("track", track(), key=None).status_code == 401
    assert served.post("track", b"{", key="wrong").status_code == 401
    assert served.post("track", b"{", key=None).status_code == 401
    assert served.post("track", track(), key=None, Authorization="Bearer x").status_code == 401
    assert served.post("track", track(), key=None, Authorization="Basic ?").status_code == 401
    assert served.kafka.kept == []


def test_the_key_may_stand_in_the_body_as_browsers_send_it(served: Served) -> None:
    assert served.post("track", track(writeKey=KEY), key=None).status_code == 200
    assert served.post("batch", {"batch": [track()], "writeKey": "another"}, key=None).status_code == 200
    assert served.post("track", track(writeKey="wrong"), key=None).status_code == 401


def test_too_large_bodies_are_413(served: Served) -> None:
    assert served.post("track", track(properties={"x": "x" * 5_000_000})).status_code == 413
    assert served.post("batch", {"batch": [track(properties={"x": "x" * 5_000_000})]}).status_code == 413
    bomb = gzip.compress(b"[" * (BATCH_BYTES + 1))
    assert served.post("batch", bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    assert served.kafka.kept == []


def test_one_event_too_large_does_not_spoil_its_batch(served: Served) -> None:
    answer = served.post("batch", {"batch": [track(properties={"x": "x" * EDGE_BYTES}), track()]})
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["reason"].startswith("too large: ")


def test_an_event_from_the_far_future_is_refused(served: Served) -> None:
    answer = served.post("track", track(timestamp="2031-01-01T00:00:00Z"))
    assert answer.status_code == 400
    assert "ahead of its arrival" in answer.json()["message"]


def test_kafka_that_does_not_answer_is_503_and_a_full_queue_429(served: Served) -> None:
    served.kafka.silent = True
    down = served.post("track", track())
    assert (down.status_code, down.headers["Retry-After"]) == (503, "5")
    busy = served.post("batch", {"batch": [track()] * 1_000})
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")
    served.kafka.silent = False
    while served.publisher.outstanding:
        pass
    assert served.post("track", track()).status_code == 200
    served.kafka.room = 0
    assert served.post("track", track()).status_code == 429
    assert served.publisher.outstanding == 0


def test_it_waits_for_the_first_project(served: Served) -> None:
    assert httpx.get(f"{served.url}/ready").status_code == 200
    served.rules = None
    assert httpx.get(f"{served.url}/ready").status_code == 503
    assert served.post("track", track()).status_code == 503
    assert httpx.get(f"{served.url}/health").status_code == 200


def test_browsers_may_call_from_any_site(served: Served) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(
        f"{served.url}/v1/t", headers=asked | {"Access-Control-Request-Headers": "authorization,content-type"}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


def test_openapi_page_shows_the_calls_and_how_to_authenticate(served: Served) -> None:
    assert httpx.get(f"{served.url}/docs").status_code == 200
    described = httpx.get(f"{served.url}/openapi.json").json()
    assert {f"/v1/{call}" for call in ("track", "identify", "page", "screen", "group", "alias", "batch")} <= set(
        described["paths"]
    )
    assert described["components"]["securitySchemes"]["writeKey"]["scheme"] == "basic"
    assert "/v1/t" not in described["paths"]


def test_metrics_count_what_came_in(served: Served) -> None:
    served.post("batch", {"batch": [track(), {}]})
    text = httpx.get(f"{served.url}/metrics").text
    assert 'pathline_collector_messages_total{outcome="accepted"} 1.0' in text
    assert 'pathline_collector_messages_total{outcome="rejected"} 1.0' in text
    assert 'pathline_collector_requests_total{call="batch",status="200"} 1.0' in text


def test_an_unsubscribe_link_asks_first_and_then_withdraws_the_consent(served: Served) -> None:
    link = f"{served.url}/unsubscribe/" + token(SECRET, Choice("s1", "email:ann@example.com", "email", "promotions"))
    assert "<button>" in httpx.get(link).text
    assert served.kafka.kept == []
    assert httpx.post(link, content="List-Unsubscribe=One-Click").status_code == 200
    (event,) = served.events()
    assert (event.name, event.channel, event.send_id) == ("Unsubscribed", "email", "s1")
    assert event.identifiers == ["email:ann@example.com"]
    assert orjson.loads(event.properties) == {
        "send_id": "s1",
        "channel": "email",
        "address": "ann@example.com",
        "purpose": "promotions",
    }


def test_a_forged_unsubscribe_link_does_nothing(served: Served) -> None:
    forged = token(b"other", Choice("s1", "email:ann@example.com", "email", ""))
    for text in (forged, "x", "%00", base64.urlsafe_b64encode(b"{}" * 20).decode()):
        assert httpx.get(f"{served.url}/unsubscribe/{text}").status_code == 404
        assert httpx.post(f"{served.url}/unsubscribe/{text}").status_code == 404
    assert served.kafka.kept == []


BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
CLICK = Click("s1", "email:ann@example.com", "email", "Email Link Clicked", "https://shop.example/p?a=1&b=2")
OPENING = Opening("s1", "email:ann@example.com", "email", "Email Opened")


def test_a_click_leads_on_and_is_a_receipt(served: Served) -> None:
    answer = httpx.get(address(served.url, SECRET, CLICK), headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (302, CLICK.url)
    assert answer.headers["cache-control"].startswith("no-store")
    (event,) = served.events()
    assert (event.name, event.channel, event.send_id) == ("Email Link Clicked", "email", "s1")
    assert event.identifiers == ["email:ann@example.com"]
    assert orjson.loads(event.properties) == {
        "send_id": "s1",
        "channel": "email",
        "address": "ann@example.com",
        "url": CLICK.url,
    }


def test_an_opening_is_a_receipt_and_gives_a_picture(served: Served) -> None:
    answer = httpx.get(address(served.url, SECRET, OPENING), headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    assert [(event.name, event.send_id) for event in served.events()] == [("Email Opened", "s1")]


@pytest.mark.parametrize(
    ("method", "agent"),
    [
        ("HEAD", BROWSER["User-Agent"]),
        ("GET", "Mozilla/5.0"),
        ("GET", ""),
        ("GET", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
        ("GET", "BarracudaCentral"),
    ],
)
def test_what_machines_look_at_is_marked(served: Served, method: str, agent: str) -> None:
    for link in (CLICK, OPENING):
        answer = httpx.request(method, address(served.url, SECRET, link), headers={"User-Agent": agent})
        assert answer.status_code in (200, 302)
    assert [orjson.loads(event.properties)["machine"] for event in served.events()] == [True, True]


def test_who_clicks_gets_to_the_page_also_when_kafka_is_away(served: Served) -> None:
    served.kafka.silent = True
    answer = httpx.get(address(served.url, SECRET, CLICK), headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (302, CLICK.url)
    assert httpx.get(address(served.url, SECRET, OPENING), headers=BROWSER).status_code == 200
    served.kafka.silent = False


def test_nobody_makes_the_collector_lead_to_a_page_of_their_own(served: Served) -> None:
    forged = token(b"other", CLICK)
    for text in (forged, token(SECRET, OPENING), "https://evil.example", "%00"):
        assert httpx.get(f"{served.url}/l/{text}").status_code == 404
    assert httpx.get(f"{served.url}/o/{token(SECRET, CLICK)}").status_code == 404
    assert served.kafka.kept == []


def test_a_site_gets_the_worker_and_the_key_of_web_push(served: Served) -> None:
    worker = httpx.get(f"{served.url}/webpush.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert "showNotification" in worker.text
    assert httpx.get(f"{served.url}/webpush/key").text == "BKey"
