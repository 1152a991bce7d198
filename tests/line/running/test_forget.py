"""A person forgotten on a running line: real Kafka, the real ClickHouse engine, processes that are killed meanwhile."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from segment.analytics.client import Client
from segment.analytics.request import APIError
from typer.testing import CliRunner

from pathline.cli import app
from pathline.local.quiet import wait_quiet
from schemas import topics
from schemas.identifiers import person_id
from schemas.kafka import producer_config
from sinks.clickhouse.engine import open_server
from tests.faults.line.project import ORDERED, REGULAR
from tests.faults.line.running import RunningLine

CONSENT = {"consent": {"categoryPreferences": {"email": True}}, "channel": "web"}


@pytest.fixture
def here(running: RunningLine, monkeypatch: pytest.MonkeyPatch) -> RunningLine:
    monkeypatch.setenv("PATHLINE_HOME", str(running.stack.line.home))
    return running


def cli(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--format", "json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else result.output


def person(line: RunningLine, name: str) -> None:
    """Two devices, a login on both, orders, a mail; and a message that the edge refuses."""
    client = Client(line.stack.line.write_key, host=line.stack.line.collector, sync_mode=True)
    for device in ("phone", "laptop"):
        client.track(anonymous_id=f"{name}-{device}", event="Product Viewed", context={"channel": "web"})
        client.identify(name, {"email": f"{name}@example.com"}, anonymous_id=f"{name}-{device}", context=CONSENT)
    # refused at the edge: a dead letter that names the person
    with suppress(APIError):
        client.track(name, "Too Early", {"total": 1}, timestamp=datetime(1900, 1, 1, tzinfo=UTC))
    for number in range(REGULAR):
        client.track(name, ORDERED, {"total": 10, "order_id": f"{name}{number}"}, context={"channel": "web"})


def spoil(line: RunningLine) -> None:
    """Records that nobody can read, wherever an order to forget looks for what is left."""
    producer = Producer(producer_config(line.stack.line.broker))
    for topic in (topics.PEOPLE, topics.UPDATES, topics.ASSIGNMENTS, topics.ledger("email")):
        producer.produce(topic, b"noise", b"\xff")
    producer.flush()


def rows(line: RunningLine, name: str) -> int:
    """Rows of events in which this stands, wherever."""
    warehouse = open_server(line.stack.line.warehouse, prepare=False)
    try:
        sql = "SELECT count() AS n FROM pathline.events_raw WHERE position(toString(tuple(*)), {name:String}) > 0"
        return int(warehouse.rows(sql, {"name": name})[0]["n"])
    finally:
        warehouse.close()


def asked(line: RunningLine, who: str) -> tuple[int, str]:
    """What a program is told of somebody: the status, and the person id or why there is none."""
    answer = httpx.get(
        f"{line.stack.line.profiles}/v1/people/{who}",
        headers={"Authorization": f"Bearer {line.stack.line.profiles_key}", "Pathline-Actor": "agent 17"},
        timeout=30,
    )
    return answer.status_code, answer.json().get("person_id") or answer.json()["code"]


def test_forget_goes_through_the_running_line_and_proves_it(here: RunningLine) -> None:
    person(here, "annika")
    person(here, "benno")
    spoil(here)
    wait_quiet(lambda: here.stack.line)
    assert rows(here, "annika") > 0
    for who in ("user_id:annika", "email:Annika@example.com", person_id("anonymous_id:annika-phone")):
        assert asked(here, who) == (200, person_id("user_id:annika"))
    wait_quiet(lambda: here.stack.line)
    exported = json.loads(CliRunner().invoke(app, ["export", "user_id:annika"]).stdout)
    assert {"events", "sends", "memberships", "touches", "conversions", "links", "state"} <= set(exported)
    assert exported["missing"] == []
    assert [(a["actor"], a["asked_by"], a["outcome"]) for a in exported["accesses"]] == [
        ("agent 17", "user_id", "read"), ("agent 17", "email", "read"), ("agent 17", "person_id", "read"),
    ]  # fmt: skip
    assert len(exported["dead_letters"]) == 1
    assert exported["sends"][0]["states"][-1]["state"] == "accepted"
    assert exported["sends"][0]["receipts"][0]["name"] == "Email Sent"
    report = cli("forget", "email:annika@example.com", "--reason", "asked")
    assert report["dead_letters"] == 1
    assert report["clean"]
    assert report["persons"][0] is not None
    assert set(report["identifiers"]) == {
        "user_id:annika",
        "email:annika@example.com",
        "anonymous_id:annika-phone",
        "anonymous_id:annika-laptop",
    }
    assert all(place["remaining"] == 0 for place in report["places"])
    assert {"state of segments", "warehouse events_raw", "profiles", "dead letters", "topic identity.assignments"} <= {
        place["place"] for place in report["places"]
    }
    assert all(place["until"] for place in report["places"] if place["place"] in ("topic events", "topic people"))
    assert rows(here, "annika") == 0
    assert rows(here, "benno") > 0
    for who in ("user_id:annika", "email:annika@example.com", person_id("anonymous_id:annika-phone")):
        assert asked(here, who) == (410, "erased")
    assert asked(here, "user_id:benno") == (200, person_id("user_id:benno"))
    again = cli("forget", "user_id:annika")
    assert again["already"] == report["at"]
    assert again["clean"]
    assert "nobody is known by user_id:nobody" in cli("forget", "user_id:nobody", code=1)
    person(here, "annika")
    wait_quiet(lambda: here.stack.line)
    told = cli("person", "user_id:annika")
    assert told["person_id"] == person_id("user_id:annika", 1)
    assert asked(here, "user_id:annika") == (200, person_id("user_id:annika", 1))


def test_a_person_is_forgotten_whole_while_processes_are_killed(here: RunningLine) -> None:
    for name in ("catrin", "daniela"):
        person(here, name)
    over = threading.Event()

    def killing() -> None:
        while not over.is_set():
            for name in ("graph", "identity", "segments", "journeys", "profiles", "sink"):
                next(member for member in here.processes() if member.app == name).kill()
                time.sleep(0.7)

    killer = threading.Thread(target=killing)
    killer.start()
    try:
        person(here, "catrin")
        time.sleep(2)
    finally:
        order = threading.Thread(target=lambda: (time.sleep(3), over.set()))
        order.start()
        report = cli("forget", "user_id:catrin", "--patience", "300")
        order.join()
        killer.join()
    assert report["clean"]
    wait_quiet(lambda: here.stack.line)
    assert rows(here, "catrin") == 0
    assert cli("forget", "user_id:catrin")["clean"]
    # visits, logins, orders and the receipt of one mail
    assert rows(here, "daniela") == 2 * 2 + REGULAR + 1
