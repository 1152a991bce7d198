"""Dispatch as a process on a real Kafka, killed while messages are at the provider."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from connectors.outbound.caught import Mailbox
from schemas import topics
from schemas.codec import Codec
from schemas.kafka import producer_config
from schemas.records import Event, LedgerEntry
from schemas.settings import Settings
from tests.connectors.dispatching import command
from tests.connectors.reading import records
from tests.connectors.smtp import Smtp

SENDS = 400


def start(line: Settings, port: int, lane: str, worker: int = 0) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "PATHLINE_WORKER": str(worker),
        "PATHLINE_HOME": str(line.home),
        "PATHLINE_BROKERS": line.brokers,
        "PATHLINE_SMTP": f"smtp://127.0.0.1:{port}",
    }
    return subprocess.Popen([sys.executable, "-m", "pathline", "dispatch", "email", "--lane", lane], env=environment)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


def states(line: Settings, lane: str) -> dict[str, str]:
    """Last state of each send of a lane, by partition in order."""
    found: dict[str, str] = {}
    for record in records(line.brokers, topics.ledger("email")):
        entry = Codec().decode(LedgerEntry, record.value())
        if entry.send_id.startswith(lane):
            found[entry.send_id] = entry.state
    return found


@pytest.mark.parametrize("lane", ["marketing", "transactional"])
def test_two_share_the_work_and_a_kill_repeats_no_marketing_and_loses_nothing_transactional(
    line: Settings, tmp_path: Path, lane: str
) -> None:
    smtp = Smtp(Mailbox(tmp_path / "mailbox"))
    smtp.start()
    producer = Producer(producer_config(line.brokers))
    for number in range(SENDS):
        one = msgspec.structs.replace(
            command(f"{lane}-{number}", to=f"ann{number}@example.com", at=line.make_clock().now()),
            person_id=f"p{number}",
            category=lane,
        )
        topic = topics.outbound("email", lane == "transactional")
        producer.produce(topic, key=one.person_id, value=Codec().encode(one))
    producer.flush(10)

    # two share the work; one of them is killed and comes back
    workers = [start(line, smtp.port, lane, number) for number in range(2)]
    until(lambda: len(smtp.mailbox.ids()) > SENDS // 5)
    workers[0].send_signal(signal.SIGKILL)
    workers[0].wait()
    workers[0] = start(line, smtp.port, lane)
    final = {"accepted", "unknown"}
    until(lambda: sum(state in final for state in states(line, lane).values()) == SENDS)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.wait(180)
    smtp.stop()

    ends = Counter(states(line, lane).values())
    mails = Counter(caught.send_id for caught in smtp.caught())
    receipts = Counter(
        event.send_id
        for record in records(line.brokers, topics.EVENTS)
        if (event := Codec().decode(Event, record.value())).name == "Email Sent"
    )
    accepted = [send for send, state in states(line, lane).items() if state == "accepted"]
    assert {send: receipts[send] for send in accepted} == dict.fromkeys(accepted, 1)
    assert set(accepted) <= set(mails)
    if lane == "marketing":
        assert max(mails.values()) == 1
        assert ends["unknown"] <= 2 * 20  # partitions, and sends of one at the provider at a time
    else:
        assert ends == {"accepted": SENDS}
        assert len(mails) == SENDS
