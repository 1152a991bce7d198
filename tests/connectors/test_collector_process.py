"""The collector as a process in front of a real Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
import segment.analytics

from pathline.local.ports import free
from schemas import topics
from schemas.settings import Settings
from tests.connectors.conftest import IDENTITY, publish
from tests.connectors.reading import events, records

_COLLECT = """
import sys
from connectors.inbound.collector.run import run
from schemas.settings import Settings
run(Settings(), int(sys.argv[1]), ["key"])
"""


@pytest.fixture
def collector(line: Settings) -> Iterator[str]:
    port = free()
    environment = os.environ | {"PATHLINE_HOME": str(line.home), "PATHLINE_BROKERS": line.brokers}
    process = subprocess.Popen([sys.executable, "-c", _COLLECT, str(port)], env=environment)
    url = f"http://127.0.0.1:{port}"
    until(lambda: httpx.get(f"{url}/ready").status_code == 200)
    yield url
    process.send_signal(signal.SIGTERM)
    process.wait(120)


def until(holds: object) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            if holds():  # type: ignore[operator]
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("not in time")


def test_what_it_accepts_is_in_kafka_and_what_it_rejects_in_the_dead_letters(line: Settings, collector: str) -> None:
    failures: list[object] = []
    client = segment.analytics.Client("key", host=collector, on_error=lambda *args: failures.append(args))
    for number in range(300):
        client.track(f"u{number % 7}", "Product Viewed", {"number": number}, message_id=f"seg-{number}")
    client.flush()
    client.join()
    assert failures == []
    body = b'{"event": "broken'
    answer = httpx.post(f"{collector}/v1/track", content=body, auth=("key", ""))
    assert answer.status_code == 400

    accepted = [event for event in events(line.brokers, "collector:key") if event.message_id.startswith("seg-")]
    assert sorted(int(event.message_id[4:]) for event in accepted) == list(range(300))
    assert body in [letter.value() for letter in records(line.brokers, topics.DEAD_LETTERS)]
    by_key: dict[bytes | None, set[int | None]] = {}
    for record in records(line.brokers, topics.EVENTS):
        by_key.setdefault(record.key(), set()).add(record.partition())
    assert all(len(partitions) == 1 for partitions in by_key.values())


def test_rules_that_change_are_in_force_at_the_edge_soon(line: Settings, collector: str) -> None:
    message = {"userId": "robot", "event": "E"}

    def status() -> int:
        return httpx.post(f"{collector}/v1/track", json=message, auth=("key", "")).status_code

    assert status() == 200
    publish(line.brokers, IDENTITY + 'blocked: ["robot"]\n')
    until(lambda: status() == 400)
    publish(line.brokers)
    until(lambda: status() == 200)
