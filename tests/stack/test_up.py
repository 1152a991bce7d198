"""A whole line on this machine: it comes up, says what it is, survives kills and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pathline.commands.apply import in_force, publish
from pathline.local import children
from pathline.local.home import Home
from schemas.codec import Codec
from schemas.definitions import load, parse
from schemas.settings import Settings

SECONDS = 120.0
#: as `pathline rfm fit`, `predict fit` and `journeys winners` find them
FITTED = {
    "rfm_bounds.yaml": "{recency: [20h, 12h, 6h, 3h], frequency: [1, 2, 3, 4], monetary: [10, 20, 40, 80]}\n",
    "predict_parameters.yaml": "purchases: {r: 0.9, alpha: 6.2, a: 0.51, b: 2.63}\n",
    "winners.yaml": "welcome/subject: a\n",
}


class Line:
    """A home and the commands in it, as a person runs them."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = folder / "shop"
        self.project.mkdir()
        (self.project / "project.yaml").write_text("name: shop\n")
        (self.project / "promos.yaml").write_text("vip: {file: vip.txt}\n")
        (self.project / "vip.txt").write_text("A1\nA2\nA3\n")
        self.environment = os.environ | {"PATHLINE_HOME": str(self.home)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pathline", *arguments],
            env=self.environment,
            cwd=self.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=2 * SECONDS)
        return process.returncode, said

    def status(self) -> dict[str, Any]:
        _, said = self.run("status", "--format", "json")
        known: dict[str, Any] = json.loads(said)
        return known

    def settings(self) -> Settings:
        known = Home(self.home).line()
        assert known is not None
        return Settings.model_validate(known.settings)

    def running(self) -> list[psutil.Process]:
        return children.orphans(self.home)

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text('utf-8', 'replace')[-2000:]}" for path in self.home.glob("logs/*")
        )


def until(happened: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return found


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.run("down")
    assert not line.running()


def post(status: dict[str, Any], message_id: str) -> int:
    """Send one event; the answer's status."""
    event = {"userId": "u1", "event": "Product Viewed", "messageId": message_id, "context": {"channel": "web"}}
    return httpx.post(f"{status['collector']}/v1/track", json=event, auth=(status["write_key"], "")).status_code


def pids(status: dict[str, Any]) -> dict[str, int]:
    """Process id by name."""
    return {process["name"]: process["pid"] for process in status["processes"]}


def stored(status: dict[str, Any]) -> list[str]:
    """Message ids in the warehouse, asked as any ClickHouse client would."""
    query = "SELECT message_id FROM pathline.events WHERE NOT historical ORDER BY message_id"
    try:
        answer = httpx.post(status["warehouse"], content=query)
    except httpx.TransportError:
        return []
    return answer.text.split() if answer.status_code == 200 else []


def costs_and_history_come_in(line: Line) -> None:
    """Files of a running line: costs and rates at once, each file counts once; events by a mapping."""
    files = {
        "rates.csv": "day,currency,rate\n2026-01-01,EUR,2\n",
        "costs.csv": "day,channel,campaign,amount,currency\n2026-03-01,till,spring,10,EUR\n2026-03-01,till,,5,CHF\n",
        "orders.csv": "who;when;sum\nu9;01.03.2026;7,5\nnull;01.03.2026;1\n",
        "mapping.yaml": "columns: {who: userId, when: timestamp, sum: properties.total}\ndates: '%d.%m.%Y'\n"
        "decimal: ','\nconstants: {event: Order Completed, context.channel: till}\n",
    }
    for name, text in files.items():
        (line.project / name).write_text(text)
    assert line.run("load", "rates.csv", "costs.csv") == (0, "1 accepted, 0 rejected\n2 accepted, 0 rejected\n")
    assert line.run("load", "costs.csv")[0] == 0
    code, said = line.run("load", "orders.csv", "--mapping", "mapping.yaml")
    assert (code, "1 accepted, 1 rejected, 0 loaded before" in said) == (0, True), said
    assert "0 accepted, 0 rejected, 2 loaded before" in line.run("load", "orders.csv", "--mapping", "mapping.yaml")[1]

    def found() -> dict[str, Any] | None:
        _, said = line.run("paths", "channels", "--format", "json")
        assert "CHF" in said
        rows = {row["channel"]: row for row in json.loads(said[said.index("[") : said.rindex("]") + 1])}
        return rows["till"] if "(none)" in rows else None

    till = until(found, "the order of history in the channels")
    assert (till["cost"], till["roas"]) == (20.0, 0.0)


def test_a_line_comes_up_survives_kills_and_goes_down(line: Line) -> None:
    code, said = line.run("up", "--detach")
    assert code == 0, said + line.logs()
    assert "Ready after" in said
    first = line.status()
    assert {process["state"] for process in first["processes"]} == {"ready"}
    assert pids(first).keys() >= {"kafka", "collector", "identity", "graph", "segments", "journeys", "sink"}
    assert httpx.get(f"{first['mailbox']}/messages").json() == []

    code, said = line.run("up")
    assert (code, "already" in said, first["collector"] in said) == (0, True, True)
    assert line.status()["supervisor"] == first["supervisor"]

    # other commands take the settings of the line that runs
    code, said = line.run("topics", "apply")
    assert (code, f"topics as they should be at {first['broker']}" in said) == (0, True)

    # codes of the project's pools are there, and what was fitted on the line outlives it
    (promo,) = json.loads(line.run("promos", "list", "--format", "json")[1])
    assert promo["left"] == 3
    fitted = parse({**load(line.project).files, **FITTED})
    assert publish(line.settings(), fitted)

    costs_and_history_come_in(line)

    # a process that is killed comes back under its name
    os.kill(pids(first)["segments"], signal.SIGKILL)
    assert post(first, "m1") == 200
    until(lambda: stored(first) == ["m1"], "the event in the warehouse")
    again = line.status()
    ends = {process["name"]: process["last_end"] for process in again["processes"] if process["restarts"]}
    assert ends == {"segments": "killed by signal 9"}, line.logs()
    assert pids(again)["segments"] != pids(first)["segments"]

    # the supervisor is killed: nothing is left running, and nothing is lost
    assert post(first, "m2") == 200
    os.kill(first["supervisor"], signal.SIGKILL)
    until(lambda: not line.running(), "all processes gone", 20)
    assert line.run("status")[0] == 1

    # a start that is refused changes nothing
    code, said = line.run("up", "--partitions", "5")
    assert code == 1
    assert "topic events has 2 partitions, 5 are wanted" in said
    assert not line.running()

    code, said = line.run("up", "--detach")
    assert code == 0, said + line.logs()
    second = line.status()
    assert [second[name] for name in ("collector", "warehouse", "broker", "write_key")] == [
        first[name] for name in ("collector", "warehouse", "broker", "write_key")
    ]
    until(lambda: stored(second) == ["m1", "m2"], "both events in the warehouse")
    assert in_force(line.settings(), Codec()) == fitted.version

    code, said = line.run("down")
    assert (code, "nothing is left running" in said) == (0, True)
    assert not line.running()
    assert line.run("down") == (0, f"Nothing runs in {line.home}\n")


def test_ctrl_c_stops_a_line_in_the_foreground(line: Line) -> None:
    up = line.start("up")
    assert up.stdout is not None
    said = [up.stdout.readline()]
    while "Ready" not in said[-1]:
        assert said[-1], "".join(said) + line.logs()
        said.append(up.stdout.readline())
    up.send_signal(signal.SIGINT)
    rest, _ = up.communicate(timeout=2 * SECONDS)
    assert (up.returncode, "nothing is left running" in rest) == (0, True)
    assert not line.running()


def test_mistakes_are_told_in_a_line_and_nothing_is_started(line: Line) -> None:
    import socket

    (line.project / "segments").mkdir()
    (line.project / "segments" / "vip.yaml").write_text("name: vip\nwhen: {dd: Order Completed}\n")
    code, said = line.run("up")
    assert code == 1
    assert "segments/vip.yaml:2" in said
    assert "Traceback" not in said
    (line.project / "segments" / "vip.yaml").unlink()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, said = line.run("up", "--collector-port", str(port))
    assert (code, said) == (1, f"port {port} for collector is taken by another program\n")
    assert not line.running()
