"""A worker of the job as a process that can be hit, and started again as its supervisor would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathline.local.children import die_with_parent
from processors.runtime.exits import HOPELESS

#: a worker that ended by itself is started again after this long
_BACK_OFF_SECONDS = 0.5
_RESTORED = re.compile(rb"restored .*?records=(\d+)")
_ASSIGNED = re.compile(rb"assigned .*?partitions=")


class Stuck(AssertionError):
    """Something that must happen did not, however long it was waited for."""


@dataclass
class Hand:
    """A worker with a number of its own. `wanted`: it is started again when it ends."""

    number: int
    environment: dict[str, str]
    state: Path
    log: Path
    wanted: bool = True
    ends: Counter[int] = field(default_factory=Counter)
    _process: subprocess.Popen[bytes] | None = None
    _ended: float = 0.0

    @property
    def name(self) -> str:
        return f"worker {self.number}"

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        assert self._process is not None
        return self._process.pid

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by a signal), None while it runs."""
        return self._process.poll() if self._process else None

    def start(self, wrapper: Sequence[str] = (), **more: str) -> None:
        """Start the process, within a `wrapper` command that becomes it, with `more` environment."""
        command = [*wrapper, sys.executable, "-m", "faust", "-A", "tests.faults.runtime.app", "worker", "-l", "warn"]
        self._ended = 0.0
        environment = os.environ | self.environment | {"PATHLINE_WORKER": str(self.number)} | more
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent(signal.SIGKILL)
            )

    def tend(self) -> None:
        """Start it again when it has ended and is wanted. Raises Stuck when it says that this would not help."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        if not self._ended:
            self._ended = time.monotonic()
            self.ends[code] += 1
            if code == 1 or code in HOPELESS:
                raise Stuck(f"{self.name} ended with exit code {code}:\n{self.last_words()}")
        if self.wanted and (code < 0 or time.monotonic() - self._ended > _BACK_OFF_SECONDS):
            self.start()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def wipe(self) -> None:
        shutil.rmtree(self.state, ignore_errors=True)

    def last_words(self) -> str:
        """The end of its log."""
        return self._told()[-2_000:].decode("utf-8", "replace")

    def restored(self) -> int:
        """Changelog records it has read in restores so far."""
        return sum(int(found) for found in _RESTORED.findall(self._told()))

    def assignments(self) -> int:
        """How often the group has told it which partitions it has, none included."""
        return len(_ASSIGNED.findall(self._told()))

    def _told(self) -> bytes:
        return self.log.read_bytes() if self.log.exists() else b""

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
