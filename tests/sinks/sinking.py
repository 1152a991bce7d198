"""A sink process as a line runs it, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from pathline.local.ports import free
from schemas.settings import Settings
from sinks.clickhouse.crash import VARIABLE


class Sink:
    """`pathline sink` in a home of its own."""

    def __init__(self, home: Path, brokers: str) -> None:
        self.settings = Settings(home=home, brokers=brokers, partitions=2, web_port=free())
        self._port = free()
        self._log = home / "sink.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, crash_at: str = "") -> None:
        given = {f"PATHLINE_{name.upper()}": str(value) for name, value in self.settings.model_dump().items()}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pathline", "sink", "--port", str(self._port)],
                env=os.environ | given | {VARIABLE: crash_at},
                stdout=log,
                stderr=log,
            )
        if not crash_at:
            wait(self.ready, "the sink to be ready", self._log)

    def ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.settings.web_port}/ready").status_code == 200
        except httpx.TransportError:
            return False

    def condition(self) -> dict[str, Any]:
        """What it says of itself."""
        said: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.settings.web_port}/ready").json()
        return said

    def died(self, seconds: float = 300) -> int:
        """Wait for the process to end by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(300)

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.settings.web_port}/metrics").text

    def rows(self, sql: str) -> list[dict[str, Any]]:
        answer = httpx.post(f"http://127.0.0.1:{self._port}/", content=f"{sql} FORMAT JSON")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count() AS n FROM pathline.{table}")[0]["n"])


def wait(until: Callable[[], bool], what: str, log: Path | None = None, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}\n{log.read_text()[-3000:] if log else ''}")
        time.sleep(0.05)
