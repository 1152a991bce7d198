"""What a supervisor runs: the broker and Python processes of the line, seen alike."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pathline.local.children import die_with_parent, environment
from processors.runtime.exits import LAST_WORDS

LOG_BYTES = 20 * 1024 * 1024


class Service(Protocol):
    """A process that can be started again and again."""

    @property
    def name(self) -> str:
        """Unique within a stack."""

    @property
    def pid(self) -> int | None:
        """Process id of the last launch."""

    @property
    def log(self) -> Path:
        """File its output goes to."""

    @property
    def web_port(self) -> int:
        """Where it serves /ready and /metrics; 0 when it does not."""

    def launch(self) -> None:
        """Start the process without waiting until it is ready. Raises RuntimeError when it can't be started."""

    def running(self) -> bool:
        """Whether the process is there."""

    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs or was never launched."""

    def ready(self) -> bool:
        """Whether it does its work; takes a second or two at most."""

    @property
    def answers(self) -> bool:
        """Whether it gave any answer when it was asked last."""

    def last_words(self) -> str:
        """Why it ended, as far as it said so; one line."""

    def terminate(self) -> None:
        """Ask it to stop; does nothing when it is not running."""

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within that time."""

    def kill(self) -> None:
        """End it at once."""


@dataclass
class PythonService:
    """`python -m pathline ...`, ready when /ready of its web port answers 200."""

    name: str
    arguments: tuple[str, ...]
    settings: Mapping[str, str]
    home: Path
    web_port: int
    log: Path
    answers: bool = field(default=False, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def _said(self) -> Path:
        """Where it writes why it ends."""
        return self.home / "run" / f"{self.name}.end"

    def launch(self) -> None:
        rotate(self.log)
        self._said.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pathline", *self.arguments],
                env={**environment(self.home), **self.settings, LAST_WORDS: str(self._said)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # nothing is lost by a kill, and a process that still waits for a broker can't be asked
                preexec_fn=die_with_parent(signal.SIGKILL),
                # Ctrl-C in a terminal is for the supervisor, which stops the processes in order
                start_new_session=True,
            )

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=1)
        try:
            connection.request("GET", "/ready")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            self.answers = False
            return False
        else:
            self.answers = True
            return status == 200
        finally:
            connection.close()

    def last_words(self) -> str:
        for file in (self._said, self.log):
            if file.exists() and (lines := file.read_text("utf-8", "replace").splitlines()):
                return lines[-1].strip()
        return ""

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def rotate(log: Path) -> None:
    """Keep a log and its predecessor below about 20 MiB each; works while a process appends to it."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
