"""Every process of a real line is killed once in the middle of a run; the counts are those known from its input."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from pathline.local.home import ProcessState
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from sinks.clickhouse.engine import Warehouse, open_server
from tests.faults.line.running import RunningLine, until
from tests.line.running.mailbox import mails

USERS, WAVE = 500, 125
#: per user: two anonymous views, one identify that joins them, seven orders
EVENTS = 10
BATCH = 50
PACE_SECONDS = 0.9


def message(user: int, step: int) -> dict[str, Any]:
    """The messages of a user, in order."""
    common = {"messageId": f"kill-{user}-{step}", "context": {"channel": "web"}}
    if step < 2:
        return {**common, "type": "track", "event": "Product Viewed", "anonymousId": f"cookie-{user}"}
    if step == 2:
        context = {**common["context"], "consent": {"categoryPreferences": {"email": True}}}
        traits = {"email": f"killed-{user}@example.com"}
        about = {"userId": f"killed-{user}", "anonymousId": f"cookie-{user}", "traits": traits, "context": context}
        return {**common, "type": "identify", **about}
    properties = {"total": 5, "order_id": f"{user}-{step}"}
    return {**common, "type": "track", "event": "Order Completed", "userId": f"killed-{user}", "properties": properties}


def post(stack: Stack, batch: list[dict[str, Any]]) -> None:
    """As a client library does: the same batch again until the collector has accepted it."""
    key = b64encode(f"{stack.line.write_key}:".encode()).decode()
    body = json.dumps({"batch": batch}).encode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    deadline = time.monotonic() + 180
    while True:
        try:
            request = urllib.request.Request(f"{stack.line.collector}/v1/batch", body, headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.load(answer)["accepted"] == len(batch)
                return
        except OSError:  # not there, not acknowledged, or told to come back
            assert time.monotonic() < deadline, "the collector takes nothing any more"
            time.sleep(0.3)


def profile(stack: Stack, who: str, *fields: str) -> dict[str, Any]:
    """What a program is told of a person."""
    url = f"{stack.line.profiles}/v1/people/{who}?fields={','.join(fields)}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {stack.line.profiles_key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def kill_each(stack: Stack, done: threading.Event) -> list[str]:
    """kill -9 of one process of each kind in turn, each after the one before is back."""
    killed = []
    for name in kinds(stack):
        if done.wait(0.3):
            break
        pid = kill(stack, name)
        killed.append(name)
        until(lambda: is_back(stack, killed[-1], pid), f"{name} is back")  # noqa: B023 - called before the next round
    return killed


def kill(stack: Stack, name: str) -> int:
    """kill -9 of a process at work, its pid; it may have ended by itself when another died, and be started again."""
    killed = list[int]()

    def attempt() -> bool:
        process = process_of(stack, name)
        if process.state == "ready" and process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
        return bool(killed)

    until(attempt, f"{name} is there to be killed")
    return killed[0]


def kinds(stack: Stack) -> list[str]:
    """Names of processes, one of those that share their work."""
    names = [process.name for process in stack.line.processes]
    return [name for name in names if not (name[-1].isdigit() and name.rpartition("-")[0] in names)]


def process_of(stack: Stack, name: str) -> ProcessState:
    return next(process for process in stack.line.processes if process.name == name)


def is_back(stack: Stack, name: str, killed: int) -> bool:
    process = process_of(stack, name)
    return process.state == "ready" and process.pid != killed


def test_a_kill_of_each_process_in_mid_run_changes_no_count(running: RunningLine) -> None:
    stack = running.stack
    # users one after the other within a wave, so that logins, orders and sends happen all the time
    waves = [range(first, first + WAVE) for first in range(0, USERS, WAVE)]
    messages = [message(user, step) for wave in waves for step in range(EVENTS) for user in wave]
    batches = [messages[at : at + BATCH] for at in range(0, len(messages), BATCH)]
    done, killed = threading.Event(), list[str]()
    killer = threading.Thread(target=lambda: killed.extend(kill_each(stack, done)))
    killer.start()
    try:
        with ThreadPoolExecutor(2) as clients:
            for first in range(0, len(batches), 2):
                list(clients.map(lambda batch: post(stack, batch), batches[first : first + 2]))
                # the run is to be going on while each process dies
                time.sleep(PACE_SECONDS if killer.is_alive() else 0)
    finally:
        killer.join(timeout=600)
        done.set()
    wait_quiet(lambda: stack.line)
    assert killed == kinds(stack)
    warehouse = open_server(stack.line.warehouse, prepare=False)
    try:
        everything_counts_once(stack, warehouse)
    finally:
        warehouse.close()


def everything_counts_once(stack: Stack, warehouse: Warehouse) -> None:
    [events] = warehouse.rows(
        "SELECT count() AS n, uniqExact(event_id) AS different, uniqExact(person_id) AS persons "
        "FROM pathline.events WHERE startsWith(message_id, 'kill-')"
    )
    assert events == {"n": USERS * EVENTS, "different": USERS * EVENTS, "persons": USERS}
    entered = warehouse.rows(
        "SELECT person_id, countIf(change = 'entered') AS n, countIf(change = 'left') AS gone "
        "FROM pathline.memberships WHERE segment = 'regulars' AND person_id IN (SELECT person_id FROM pathline.events "
        "WHERE startsWith(message_id, 'kill-')) GROUP BY person_id"
    )
    assert Counter((row["n"], row["gone"]) for row in entered) == {(1, 0): USERS}
    sends = warehouse.rows(
        "SELECT count() AS n, uniqExact(send_id) AS different, uniqExact(address) AS addresses FROM pathline.sends "
        "WHERE startsWith(address, 'killed-')"
    )
    assert sends == [{"n": USERS, "different": USERS, "addresses": USERS}]
    # who asks for a person is told the same: each event once, whatever died
    for user in range(0, USERS, 10):
        told = profile(stack, f"user_id:killed-{user}", "segments", "events")
        assert "regulars" in told["segments"]
        did = [event["event_id"] for event in told["events"] if event["channel"] == "web"]
        assert len(set(did)) == len(did) == EVENTS
    in_doubt = {
        row["address"]
        for row in warehouse.rows(
            "SELECT address FROM pathline.sends WHERE startsWith(address, 'killed-') AND send_id IN "
            "(SELECT send_id FROM pathline.ledger WHERE state = 'unknown')"
        )
    }
    caught = Counter(mail["to"][0] for mail in mails(stack) if mail["to"][0].startswith("killed-"))
    assert set(caught.values()) == {1}, "marketing is never repeated"
    missing = {f"killed-{user}@example.com" for user in range(USERS)} - set(caught)
    assert missing <= in_doubt, "what did not arrive is known to be in doubt"
