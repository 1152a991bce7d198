"""A program lets people into journeys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import topics
from schemas.requests import ENTRY_REQUESTED
from sinks.profiles.keys import KeyFile
from tests.profiles.lab import CODEC, Lab
from tests.profiles.serving import Served, serving

JOURNEYS = {
    "journeys/callback.yaml": "name: callback\nenter: {api: true, key: properties.ticket}\nsteps:\n  - wait: 1h\n",
    "journeys/gold.yaml": "name: gold\nenter: {api: true}\nsteps:\n  - wait: 1h\n",
}
ENTER = "/v1/journeys/callback/enter"
BODY = {"userId": "ann", "messageId": "m-1", "properties": {"ticket": 7}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(Lab(JOURNEYS), tmp_path) as running:
        yield running


def test_a_request_becomes_an_event_of_the_line_and_the_person_is_inside(served: Served) -> None:
    backend = served.key("backend", enter=["callback"])
    answer = served.post(ENTER, backend, BODY)
    assert answer.status_code == 202
    told, [event] = answer.json(), served.events()
    assert (told["message_id"], told["event_id"]) == ("m-1", event.event_id)
    assert (event.name, event.identifiers, event.source) == (ENTRY_REQUESTED, ["user_id:ann"], "api:backend")
    assert orjson.loads(event.properties) == {"journey": "callback", "ticket": 7}
    lab = served.lab
    for _ in range(2):  # also when it is there twice
        lab.line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
        lab.line.drain()
    lab.follow()
    assert [(j["journey"], j["instance_id"]) for j in lab.ask("user_id:ann", "journeys")["journeys"]] == [
        ("callback", told["instance_id"])
    ]


def test_the_same_request_has_the_same_ids_and_another_key_other_ones(served: Served) -> None:
    backend, shop = served.key("backend", enter=["*"]), served.key("shop", enter=["*"])
    ids = [served.post(ENTER, key, BODY).json()["event_id"] for key in (backend, backend, shop)]
    assert (ids[0] == ids[1], ids[0] == ids[2]) == (True, False)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/journeys/nothing/enter", BODY, 404, "there is no journey 'nothing' to be entered by request; those"),
        ("/v1/journeys/welcome/enter", BODY, 409, "the journey 'welcome' is not entered by request; those that"),
        (ENTER, {"properties": {}}, 400, "no usable identifier"),
        (ENTER, {"userId": "null"}, 400, "no usable identifier (user_id:null: blocked value)"),
        (ENTER, BODY | {"properties": [1]}, 400, "properties: an object expected"),
        (ENTER, BODY | {"timestamp": "yesterday"}, 400, "timestamp: 'yesterday' is not an ISO 8601 time"),
        (ENTER, b"{", 400, "not JSON"),
        (ENTER, b"[]", 400, "a JSON object is expected"),
        (ENTER, b'{"userId": "' + b"x" * 300_000 + b'"}', 413, "the body is above 262144 bytes"),
    ],
)  # fmt: skip
def test_a_request_that_nothing_can_come_of_is_refused(
    served: Served, path: str, body: Any, status: int, message: str
) -> None:
    answer = served.post(path, served.key("backend", enter=["*"]), body)
    assert (answer.status_code, message in answer.json()["message"]) == (status, True), answer.text
    assert served.events() == []


def test_a_key_lets_people_into_the_journeys_it_is_for(served: Served) -> None:
    reader, backend = served.key("reader", "*"), served.key("backend", enter=["gold"])
    for key in (reader, backend):
        refused = served.post(ENTER, key, BODY)
        assert (refused.status_code, refused.json()["code"]) == (403, "journey")
    assert served.post("/v1/journeys/gold/enter", backend, BODY).status_code == 202
    assert served.post(ENTER, "plk_0_0", BODY).status_code == 401
    # and reads nothing by it
    assert served.get("user_id:ann", backend).json()["message"] == "the key 'backend' may read nothing of people"


def test_a_line_that_does_not_answer_is_said(served: Served) -> None:
    served.kafka.silent = True
    answer = served.post(ENTER, served.key("backend", enter=["*"]), BODY)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")


def test_a_key_of_a_local_line_has_the_rights_of_now(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key, text = file.add("local", {"fields": ["*"]})
    file.add("local", {"fields": ["*"], "enter": ["*"]}, text)
    assert [(known.id, known.enter) for known in file.current()] == [(key.id, ["*"])]
    assert file.key(text).enters("callback")
