"""The app inbox from the journey that sends to the app that reads, over real HTTP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from schemas import reasons, topics
from schemas.records import Decision
from sinks.profiles.kept import left
from tests.profiles.lab import CODEC, Lab
from tests.profiles.serving import Served, serving

DAY = 86_400_000
FILES = {
    "channels.yaml": "app_inbox: {cost: 0, consent: none, expires: 10d, identifiers: [user_id, anonymous_id]}\n"
    "email: {cost: 0.001, connector: smtp, consent: opt_in}\n",
    "templates/offer.yaml": "title: 'For {{ entry.properties.name }}'\nbody: Ten percent\nurl: https://shop.example/offer\n",
    "journeys/offer.yaml": "name: offer\nenter: {event: Product Added, on_repeat: parallel}\n"
    "exit: [{event: Order Completed}]\nsteps:\n  - send: {template: offer, channels: [app_inbox]}\n  - wait: 20d\n",
}
SHOP = "https://shop.example"


class Inbox:
    """A person's own app."""

    def __init__(self, served: Served, token: str) -> None:
        self._served = served
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, **asked: Any) -> httpx.Response:
        return httpx.get(f"{self._served.url}/v1/inbox", headers=self.headers, params=asked)

    def read(self, **asked: Any) -> Any:
        answer = self.get(**asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def titles(self, **asked: Any) -> list[str]:
        return [message["content"]["title"] for message in self.read(**asked)["messages"]]

    def report(self, done: str, *ids: str, **more: str) -> httpx.Response:
        body = {"ids": ids, **more}
        return httpx.post(f"{self._served.url}/v1/inbox/{done}", headers=self.headers, json=body)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(Lab(FILES), tmp_path) as running:
        yield running


def token(served: Served, who: str, key: str = "", **more: Any) -> httpx.Response:
    key = key or served.key(f"backend of {who}", inbox=True, origins=[SHOP])
    return served.post("/v1/inbox/tokens", key, {"who": who, **more})


def inbox(served: Served, who: str = "user_id:ann") -> Inbox:
    answer = token(served, who)
    assert answer.status_code == 201, answer.text
    return Inbox(served, answer.json()["token"])


def add(served: Served, name: str, seconds: float = 1, **who: str) -> None:
    """Somebody is sent a message of that name."""
    served.lab.happen("Product Added", seconds, properties={"name": name}, **(who or {"userId": "ann"}))
    served.lab.follow()


def told(served: Served) -> None:
    """What apps told comes into the line."""
    for record in served.kafka.of(topics.EVENTS):
        served.lab.line.publish(topics.EVENTS, (record.key or b"").decode(), record.value)
        served.lab.line.drain()
    served.kafka.kept.clear()
    served.lab.follow()


def withdrawn(served: Served) -> list[str]:
    found = [CODEC.decode(Decision, record.value) for record in served.lab.line.outputs[topics.DECISIONS]]
    return [decision.send_id or "" for decision in found if decision.reason == reasons.WITHDRAWN]


def test_a_message_of_a_journey_is_there_to_read(served: Served) -> None:
    add(served, "Ann")
    read = inbox(served).read()
    [message] = read["messages"]
    assert (read["unseen"], read["next"]) == (1, None)
    assert message["content"] == {"title": "For Ann", "text": "Ten percent", "url": "https://shop.example/offer"}
    assert (message["channel"], message["seen"], message["clicked"]) == ("app_inbox", False, False)
    assert (message["at"], message["expires_at"]) == ("2026-03-01T00:00:01.000Z", "2026-03-11T00:00:01.000Z")
    assert inbox(served, "user_id:bob").read()["messages"] == []


def test_what_is_seen_shows_at_once_and_comes_back_as_a_receipt(served: Served) -> None:
    add(served, "A")
    add(served, "B")
    ann = inbox(served)
    second, first = ann.read()["messages"]
    assert ann.report("seen", first["id"]).json() == {"accepted": 1}
    assert [(m["id"], m["seen"]) for m in ann.read()["messages"]] == [(second["id"], False), (first["id"], True)]
    assert ann.read()["unseen"] == 1
    [event] = served.events()
    assert (event.name, event.identifiers, event.send_id) == ("App Inbox Opened", ["user_id:ann"], first["id"])
    assert orjson.loads(event.properties)["journey"] == "offer"
    told(served)
    assert served.lab.names("user_id:ann")[0] == "App Inbox Opened"
    # the order ends both runs: what was seen stays, the other is taken back
    served.lab.happen("Order Completed", userId="ann")
    served.lab.follow()
    assert withdrawn(served) == [second["id"]]
    assert [m["id"] for m in ann.read()["messages"]] == [first["id"]]


def test_a_click_has_its_link_and_a_dismissed_message_is_gone(served: Served) -> None:
    add(served, "A")
    add(served, "B")
    ann = inbox(served)
    second, first = ann.read()["messages"]
    ann.report("clicked", first["id"], url="https://shop.example/offer")
    ann.report("dismissed", second["id"])
    assert [(m["id"], m["seen"], m["clicked"]) for m in ann.read()["messages"]] == [(first["id"], True, True)]
    click, dismissal = served.events()
    assert (click.name, orjson.loads(click.properties)["url"]) == (
        "App Inbox Link Clicked", "https://shop.example/offer",
    )  # fmt: skip
    assert dismissal.name == "App Inbox Dismissed"
    told(served)
    assert [m["id"] for m in ann.read()["messages"]] == [first["id"]]


def test_a_report_said_again_is_the_same_event(served: Served) -> None:
    add(served, "A")
    ann = inbox(served)
    [message] = ann.read()["messages"]
    for _ in range(2):
        assert ann.report("seen", message["id"], message["id"]).status_code == 202
    first, again = served.events()
    assert first.event_id == again.event_id
    told(served)
    assert served.lab.names("user_id:ann").count("App Inbox Opened") == 1


def test_pages_and_what_is_unseen(served: Served) -> None:
    for name in "ABCDE":
        add(served, name)
    ann = inbox(served)
    first = ann.read(limit=2)
    assert ([m["content"]["title"] for m in first["messages"]], first["unseen"]) == (["For E", "For D"], 5)
    add(served, "F")  # what comes in between shifts no page
    second = ann.read(limit=2, after=first["next"])
    assert [m["content"]["title"] for m in second["messages"]] == ["For C", "For B"]
    third = ann.read(limit=2, after=second["next"])
    assert ([m["content"]["title"] for m in third["messages"]], third["next"]) == (["For A"], None)
    ann.report("seen", first["messages"][0]["id"])
    assert ann.titles(unseen=True) == ["For F", "For D", "For C", "For B", "For A"]
    assert (ann.read(limit=0)["unseen"], ann.read(limit=0)["messages"]) == (5, [])
    assert ann.get(after="nonsense").json()["code"] == "after"
    assert ann.get(limit=101).status_code == 400


def test_a_message_leaves_when_its_time_is_over(served: Served) -> None:
    add(served, "A")
    ann = inbox(served)
    served.lab.line.advance(served.lab.clock.now() + 10 * DAY - 1)
    assert ann.titles() == ["For A"]
    served.lab.line.advance(served.lab.clock.now() + 1)
    assert ann.titles() == []
    store = served.lab.store
    store.apply(left(store.scan, served.lab.clock.now(), 100).items())
    assert not [key for key, _ in store.scan(b"\0", b"\xff") if key[:1] in b"qzf"]


def test_messages_of_a_visitor_are_those_of_whoever_logs_in(served: Served) -> None:
    add(served, "visitor", anonymousId="c1")
    add(served, "Ann")
    served.lab.happen("Logged In", userId="ann", anonymousId="c1")
    served.lab.follow()
    for who in ("user_id:ann", "anonymous_id:c1"):
        assert inbox(served, who).titles() == ["For Ann", "For visitor"]


def test_what_dispatch_did_not_let_in_is_not_there(served: Served) -> None:
    served.lab.happen("Product Added", properties={"name": "A"}, userId="ann")
    ann = inbox(served)
    for topic in (topics.outbound("app_inbox"), topics.UPDATES):
        for record in served.lab.line.outputs[topic]:
            if b"App Inbox Sent" not in (record.value or b""):
                served.lab.take(topic, record.key, record.value)
    assert ann.titles() == []
    served.lab.follow()
    assert ann.titles() == ["For A"]


def test_whoever_is_forgotten_has_no_inbox_any_more(served: Served) -> None:
    add(served, "Ann")
    add(served, "Bob", userId="bob")
    ann, bob = inbox(served), inbox(served, "user_id:bob")
    served.lab.forget("user_id:ann")
    served.lab.follow()
    assert (ann.get().status_code, ann.get().json()["code"]) == (410, "erased")
    assert bob.titles() == ["For Bob"]
    assert not [key for key, value in served.lab.store.scan(b"\0", b"\xff") if key[:1] in b"qz" and b"ann" in key]
    # a command that is read again, from before, revives nothing
    for record in served.lab.line.outputs[topics.outbound("app_inbox")]:
        served.lab.take(record.topic, record.key, record.value)
    assert not [key for key, _ in served.lab.store.scan(b"q", b"r") if b"ann" in key]


def test_whatever_is_read_first_the_inbox_is_the_same(served: Served) -> None:
    lab, people = served.lab, ("user_id:u0", "user_id:u1")
    for number in range(6):
        lab.happen("Product Added", properties={"name": str(number)}, userId=f"u{number % 2}")
    lab.happen("Order Completed", userId="u1")
    for seed in range(8):
        other = Lab(FILES)
        other.line, other.clock = lab.line, lab.clock
        other.follow(random.Random(seed))
        assert [len(other.inbox(who)) for who in people] == [3, 0], seed


# --- who may ----------------------------------------------------------------------------------------------------------


def test_tokens_are_for_servers_to_ask_for(served: Served) -> None:
    backend, reader = served.key("backend", inbox=True), served.key("reader", "*")
    answer = token(served, "user_id: ann ", backend, seconds=600)
    assert (answer.status_code, answer.json()["expires_at"]) == (201, "1970-01-01T00:10:00Z")
    assert token(served, "user_id:ann", reader).json()["code"] == "inbox"
    assert token(served, "user_id:null", backend).json()["message"] == "user_id: blocked value"
    assert token(served, "00000000-0000-8000-8000-000000000000", backend).status_code == 400
    assert token(served, "user_id:ann", backend, seconds=1).json()["code"] == "invalid"
    assert token(served, "user_id:ann", "plk_0_0").status_code == 401
    # a key is no token, and a token no key
    assert Inbox(served, backend).get().status_code == 401
    assert served.get("user_id:ann", answer.json()["token"]).status_code == 401


def test_a_token_ends_with_its_time_and_with_its_key(served: Served) -> None:
    add(served, "Ann")
    backend = served.key("backend", inbox=True)
    ann = Inbox(served, token(served, "user_id:ann", backend, seconds=600).json()["token"])
    assert ann.titles() == ["For Ann"]
    served.state["now"] += 600
    assert ann.get().json()["message"] == "the token's time is over: ask for another"
    ann = Inbox(served, token(served, "user_id:ann", backend).json()["token"])
    assert ann.titles() == ["For Ann"]
    served.keys.revoke("backend")
    assert (ann.get().status_code, ann.get().json()["message"]) == (401, "the key 'backend' was revoked")


@pytest.mark.parametrize("wrong", ["x", "pli_x", "AAAA", "ÿ"])
def test_what_is_no_token_opens_nothing(served: Served, wrong: str) -> None:
    answer = httpx.get(f"{served.url}/v1/inbox", headers=[(b"Authorization", f"Bearer {wrong}".encode())])
    assert answer.status_code == 401


def test_nobody_reports_what_is_in_another_inbox(served: Served) -> None:
    add(served, "Ann")
    [message] = inbox(served).read()["messages"]
    answer = inbox(served, "user_id:bob").report("seen", message["id"])
    assert (answer.status_code, answer.json()["message"]) == (404, f"no such message in this inbox: {message['id']}")
    assert inbox(served, "user_id:bo").report("eaten", message["id"]).status_code == 400
    assert served.events() == []


def test_pages_of_the_shop_may_read_and_those_of_others_not(served: Served) -> None:
    ann = inbox(served)
    ann.headers["Origin"] = SHOP
    assert ann.get().headers["access-control-allow-origin"] == SHOP
    ann.headers["Origin"] = "https://evil.example"
    assert (ann.get().status_code, ann.get().json()["code"]) == (403, "origin")


def test_a_line_that_does_not_answer_is_said_and_nothing_counts_as_seen(served: Served) -> None:
    add(served, "Ann")
    ann = inbox(served)
    [message] = ann.read()["messages"]
    served.kafka.silent = True
    assert ann.report("seen", message["id"]).status_code == 503
    assert ann.read()["unseen"] == 1
