"""Kafka is not there at the start, or goes away later: every process waits, says so, needs no processor time for it,
loses nothing, and goes on when Kafka is back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from pathline.local import ports
from pathline.local.kafka import KafkaBroker
from schemas.codec import Codec
from schemas.records import Event
from schemas.topics import EVENTS
from tests.runtime.workers import read, until

#: share of a processor that waiting may take, over so many seconds: some four times what it takes, and less than a loop
#: without a pause does, of which Kafka's client lets pass little while it looks for the broker
MOST, LOOK_SECONDS = 0.08, 3.0
POST_SECONDS = 30.0


class Line:
    """Every process of a line, each by the command a person would run, and a broker that comes and goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = KafkaBroker(folder / "kafka", heap_mb=256, port=ports.free())
        self.project = folder / "shop"
        self.project.mkdir()
        (self.project / "project.yaml").write_text("name: shop\n")
        event = {"type": "track", "event": "E", "userId": "u1", "timestamp": "2026-01-01T00:00:00Z"}
        (folder / "history.jsonl").write_text(json.dumps(event))
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.web: dict[str, int] = {}

    def start(self, name: str, *arguments: str, port: int = 0) -> None:
        """Start `pathline` with these arguments; `port` is that of its /ready where it is not a setting."""
        self.web[name] = port or ports.free()
        environment = os.environ | {
            "PATHLINE_HOME": str(self.folder / "home"),
            "PATHLINE_BROKERS": self.broker.bootstrap,
            "PATHLINE_WEB_PORT": str(self.web[name]),
            "PATHLINE_WRITE_KEYS": "key",
            "PATHLINE_SMTP": "smtp://127.0.0.1:9",
        }
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "pathline", *arguments],
                env=environment,
                cwd=self.project,
                stdout=log,
                stderr=log,
            )

    def start_processes(self) -> None:
        for processor in ("identity", "graph", "segments", "journeys"):
            self.start(processor, "process", processor)
        self.start("dispatch", "dispatch", "email")
        self.start("sink", "sink")
        port = ports.free()
        self.start("profiles", "profiles", "--port", str(port), port=port)
        self.start_collector()

    def start_collector(self) -> None:
        port = ports.free()
        self.start("collector", "collect", "--port", str(port), port=port)

    def do(self, name: str, *arguments: str) -> None:
        """Run a command to its end."""
        self.start(name, *arguments)
        assert self.running[name].wait(120) == 0, self.log(name).read_text()
        del self.running[name]

    def freeze(self) -> None:
        """Stop the broker without a word; its connections stay."""
        assert self.broker.pid is not None
        os.kill(self.broker.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.broker.pid is not None
        os.kill(self.broker.pid, signal.SIGCONT)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def state(self, name: str) -> str:
        try:
            return str(httpx.get(f"http://127.0.0.1:{self.web[name]}/ready", timeout=10).json()["state"])
        except httpx.TransportError:
            return "down"

    def ended(self, name: str) -> int | None:
        return self.running[name].poll()

    def revive(self) -> None:
        """As a supervisor does: who ended because Kafka was away is started again."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                assert process.returncode == 75, f"{name}: {self.log(name).read_text()[-3000:]}"
                self.start(name, *process.args[3:])  # type: ignore[index]

    def all_are(self, state: str) -> bool:
        self.revive()
        return all(self.state(name) == state for name in self.running)

    def post(self, message_id: str) -> httpx.Response:
        event = {"userId": "u1", "event": "E", "messageId": message_id}
        url = f"http://127.0.0.1:{self.web['collector']}/v1/track"
        return httpx.post(url, json=event, auth=("key", ""), timeout=POST_SECONDS)

    def accepted(self) -> set[str]:
        """Message ids of the collector's events in Kafka."""
        codec = Codec()
        found = (codec.decode(Event, record.value or b"") for record in read(self.broker.bootstrap, EVENTS))
        return {event.message_id for event in found if event.source == "collector:key"}

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        if self.broker.running():
            self.broker.kill()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """One line for the tests of this file, each of which leaves it at work."""
    line = Line(tmp_path_factory.mktemp("waiting"))
    yield line
    line.stop()


def assert_quiet(line: Line, *names: str) -> None:
    """None of these, all if none are named, has ended, or needs much of the processor when it is done with its work."""

    def quiet() -> bool:
        shares = processor_share({name: line.running[name] for name in names or line.running})
        print({name: f"{share:.1%}" for name, share in shares.items()})
        assert not [name for name in shares if line.ended(name) is not None]
        return max(shares.values()) < MOST

    until(quiet, "they wait quietly", 20 * LOOK_SECONDS)


def processor_share(processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, float]:
    """Share of a processor that each needs."""

    def used() -> dict[str, float]:
        return {name: sum(psutil.Process(process.pid).cpu_times()[:2]) for name, process in processes.items()}

    before, began = used(), time.monotonic()
    time.sleep(LOOK_SECONDS)
    after, seconds = used(), time.monotonic() - began
    return {name: (after[name] - before[name]) / seconds for name in before}


def test_every_process_waits_quietly_for_kafka_at_the_start_and_goes_on(line: Line) -> None:
    line.start_processes()
    until(lambda: line.all_are("waiting for broker"), "all say that they wait", every=0.5)
    commands = {"topics": ("topics", "apply"), "load": ("load", str(line.folder / "history.jsonl"))}
    for name, arguments in commands.items():
        line.start(name, *arguments)
    for name in commands:
        until(lambda name=name: "does not answer" in line.log(name).read_text(), f"{name} says that it waits")
    assert_quiet(line)

    line.broker.start()
    assert line.running.pop("topics").wait(120) == 0, line.log("topics").read_text()
    until(lambda: line.state("collector") == "waiting for a project", "the collector says what is missing")
    # it comes too early: how far the others are is chance, but it says what is missing
    assert line.running.pop("load").wait(120) == 1
    assert line.log("load").read_text().rstrip().endswith("apply` first")
    line.do("apply", "apply")
    line.do("load again", *commands["load"])
    until(lambda: line.all_are("running"), "all do their work", every=0.5)
    assert line.post("first").status_code == 200
    assert_quiet(line)


def test_kafka_goes_away_and_comes_back_and_nothing_that_was_accepted_is_lost(line: Line) -> None:
    accepted: set[str] = set()
    refused: list[httpx.Response] = []
    over = threading.Event()

    def customer(number: int) -> None:
        for count in range(10**6):
            if over.is_set():
                return
            message_id = f"{number}-{count}"
            response = line.post(message_id)
            if response.status_code == 200:
                accepted.add(message_id)
            else:
                refused.append(response)
            time.sleep(0.01)

    def some_are_refused() -> None:
        before = len(refused)
        until(lambda: len(refused) >= before + len(customers), "the collector refuses")
        until(lambda: line.state("collector") == "waiting for broker", "the collector says that it waits")

    def some_are_accepted() -> None:
        before = len(accepted)
        until(lambda: len(accepted) >= before + 20, "events are accepted")

    customers = [threading.Thread(target=customer, args=(number,)) for number in range(4)]
    for each in customers:
        each.start()
    try:
        some_are_accepted()
        line.freeze()
        some_are_refused()
        assert_quiet(line, "collector")
        line.thaw()
        some_are_accepted()
        line.broker.kill()
        some_are_refused()
        until(lambda: line.all_are("waiting for broker"), "all say that they wait", every=0.5)
        assert_quiet(line)
        line.broker.start()
        some_are_accepted()
    finally:
        over.set()
        for each in customers:
            each.join()
    until(lambda: line.all_are("running"), "all do their work again", every=0.5)
    assert {(response.status_code, response.headers["Retry-After"]) for response in refused} == {(503, "5")}
    assert accepted <= line.accepted()
