"""A whole line under faults: what `pathline status` tells of each, and a rolling restart that nobody notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from pathline.local.condition import look
from pathline.local.stack import Stack
from schemas.codec import Codec
from schemas.records import Event, Update
from schemas.topics import UPDATES
from tests.runtime.workers import read, until

#: more than a busy machine needs, and less than it would take to wait for who hangs
PATIENCE = 120.0


class Line:
    """A running stack and the commands of a person who operates it."""

    def __init__(self, folder: Path) -> None:
        project = folder / "shop"
        project.mkdir()
        (project / "project.yaml").write_text("name: shop\n")
        self.stack = Stack(folder / "home", project, partitions=2, workers={"segments": 2}, heap_mb=256)
        self.environment = os.environ | {"PATHLINE_HOME": str(folder / "home")}

    def run(self, *arguments: str, seconds: float = 300.0) -> str:
        """What a command that succeeds says."""
        command = [sys.executable, "-m", "pathline", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=seconds, check=True
        ).stdout

    def status(self) -> dict[str, Any]:
        """What the command says, for programs."""
        found: dict[str, Any] = json.loads(self.run("status", "--format", "json", seconds=PATIENCE))
        return found

    def doing(self, name: str) -> str:
        """The same of one process, without starting a command for it."""
        return next(each.doing for each in look(self.stack.line).processes if each.known.name == name)

    def signal(self, name: str, number: signal.Signals) -> None:
        pid = next(state.pid for state in self.stack.line.processes if state.name == name)
        assert pid is not None
        os.kill(pid, number)

    def well(self) -> bool:
        """Whether every process does its work and nothing needs a look."""
        found = look(self.stack.line)
        return not found.problems and {each.doing for each in found.processes} == {"running"}

    def post(self, message_id: str) -> bool:
        event = {"userId": f"u-{message_id}", "event": "E", "messageId": message_id}
        line = self.stack.line
        try:
            answer = httpx.post(f"{line.collector}/v1/track", json=event, auth=(line.write_key, ""), timeout=30)
        except httpx.TransportError:  # the collector is restarted just now: a client comes again
            return False
        return answer.status_code == 200

    def arrived(self) -> Counter[str]:
        """How often each event is in the updates, and the longest time between two of them."""
        return Counter(message_id for message_id, _ in self._updates())

    def longest_stop(self) -> float:
        """Longest seconds between two updates."""
        times = sorted(at for _, at in self._updates())
        return max(after - before for before, after in pairwise(times)) / 1000

    def _updates(self) -> list[tuple[str, int]]:
        codec, found = Codec(), []
        for record in read(self.stack.line.broker, UPDATES):
            update = codec.decode(Update, record.value or b"")
            if update.event is not None:
                found.append((codec.decode(Event, update.event).message_id, record.timestamp))
        return found


def process(status: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in status["processes"] if each["name"] == name)
    return found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    line = Line(tmp_path_factory.mktemp("operating"))
    with line.stack:
        until(line.well, "all is well", every=0.5)
        yield line


def test_a_killed_process_is_told_with_how_it_ended(line: Line) -> None:
    line.signal("graph", signal.SIGKILL)
    until(lambda: line.doing("graph") != "running", "the end is noticed")
    until(line.well, "all is well", every=0.5)
    told = process(line.status(), "graph")
    assert told["restarts"] >= 1
    assert told["last_end"] == "killed by signal 9"
    assert "running" in line.run("status")


def test_a_frozen_process_is_told_with_since_when_and_what_waits_for_it(line: Line) -> None:
    line.signal("identity", signal.SIGSTOP)
    until(lambda: line.doing("identity").startswith("not answering for "), "it is told")
    found = line.status()["problems"]
    assert "identity: partitions 0, 1 without an owner" in found
    assert any(problem.startswith("identity: not answering for ") for problem in found)
    line.signal("identity", signal.SIGCONT)
    until(line.well, "all is well", every=0.5)


def test_while_the_broker_hangs_status_comes_all_the_same(line: Line) -> None:
    line.signal("kafka", signal.SIGSTOP)
    try:
        until(lambda: line.doing("kafka").startswith("not answering for "), "it is told")
        found = line.status()["problems"]
        assert found[0].startswith(f"Kafka at {line.stack.line.broker} does not answer")
        until(lambda: line.doing("collector").startswith("waiting for broker"), "the collector says that it waits")
    finally:
        line.signal("kafka", signal.SIGCONT)
    until(line.well, "all is well", 120, every=0.5)


def test_a_rolling_restart_under_load_loses_nothing_and_doubles_nothing(line: Line) -> None:
    accepted: list[str] = []
    over = threading.Event()

    def customers() -> None:
        while not over.is_set():
            message_id = f"rolling-{len(accepted)}"
            if line.post(message_id):
                accepted.append(message_id)
            time.sleep(0.01)

    load = threading.Thread(target=customers)
    load.start()
    # the long form of the campaign restarts all of them, and the broker (`python -m tests.faults.line`)
    names = ("segments", "segments-1", "sink")
    first = line.status()
    before = {name: process(first, name)["pid"] for name in names}
    told = line.run("restart", *names)
    over.set()
    load.join()
    assert all(f"{name} " in told for name in names)
    after = line.status()
    assert not [name for name in names if process(after, name)["pid"] == before[name]]
    assert process(after, "collector")["pid"] == process(first, "collector")["pid"], "it was not named"
    until(lambda: line.arrived().keys() >= set(accepted), "all is through", every=1.0)
    arrived = line.arrived()
    assert {message_id: arrived[message_id] for message_id in accepted} == dict.fromkeys(accepted, 1)
    print(f"\n{told}{len(accepted)} events, the line stood still for {line.longest_stop():.1f} s at most")


def test_a_restart_of_what_there_is_not_is_refused(line: Line) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        line.run("restart", "snik")
    assert "There is no process snik; there are kafka, " in refused.value.stderr
