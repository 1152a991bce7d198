"""A local line as the faults see it: processes that its supervisor starts again, and what recovering took."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pathline.local import ports
from pathline.local.home import Home, ProcessState, Restart
from pathline.local.plan import PROCESSORS, environment
from pathline.local.services import PythonService
from pathline.local.stack import Stack
from processors.runtime.points import VARIABLE
from schemas.topics import dispatch_apps
from sinks.clickhouse.crash import VARIABLE as SINK_VARIABLE
from tests.faults.injectors import Impossible, inject
from tests.faults.schedule import Fault

#: apps that the runtime runs, and those of them that more than one process may share
WORKERS = (*PROCESSORS, *dispatch_apps("email"))
SHARED = ("identity", "segments", "journeys")
SINK_POINTS = ("sink.written-ahead", "sink.inserted", "sink.committed")
PATIENCE = 300.0
LOOK_SECONDS = 0.2
_RESTORED = re.compile(rb"restored .*?records=(\d+)")
#: who has lost its partitions may look well until it finds out
_STEADY_SECONDS = 1.0


class Stuck(AssertionError):
    """The line did not do in time what it should have."""


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE, every: float = LOOK_SECONDS) -> None:
    """Wait for a condition. Raises Stuck."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Stuck(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


class Member:
    """One process of a stack, whichever pid it has at the moment."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self.name = name

    @property
    def app(self) -> str:
        """The app it is a worker of; its own name if it is none."""
        base = self.name.rpartition("-")[0] if self.name[-1].isdigit() else self.name
        return base if base in WORKERS else self.name

    @property
    def state(self) -> ProcessState:
        """What the supervisor knows of it."""
        return next(process for process in self._stack.line.processes if process.name == self.name)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing to one that is down."""
        pid = self.state.pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def wipe(self) -> None:
        if self.app in WORKERS:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where a worker keeps its state."""
        number = self.name.removeprefix(self.app).removeprefix("-") or "0"
        return Path(self._stack.line.home) / "state" / f"{self.app}-{number}"

    def ready(self) -> bool:
        """Whether it does its work, asked of itself."""
        state = self.state
        if state.pid is None or state.state == "starting":
            return False
        # the broker has no page; what the supervisor sees counts
        return state.state == "ready" if not state.web_port else answers(state.web_port)

    def start(self) -> None:
        """Wait until it serves again: the supervisor starts what has ended."""
        until(self.ready, f"{self.name} serves again")


def answers(port: int) -> bool:
    """Whether /ready of a process says yes."""
    return PythonService("", (), {}, Path(), port, Path()).ready()


@dataclass(frozen=True, slots=True)
class Recovery:
    """A fault, the seconds from its end until every process did its work again, and changelog records read again."""

    fault: str
    seconds: float
    restored: int


class RunningLine:
    """A stack that faults happen to; see `tests.faults.injectors.Line`."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self._folder = folder
        self._members = [Member(stack, process.name) for process in stack.line.processes]
        self.broker = next(member for member in self._members if member.name == "kafka")

    def suffer(self, fault: Fault) -> Recovery:
        """Let a fault happen and wait until the line has recovered. Raises Stuck."""
        self.wait(fault.calm)
        restored = self.restored()
        inject(fault, self)
        return self.recovered(f"{fault.kind}: {fault.point}" if fault.point else str(fault.kind), restored)

    def restored(self) -> int:
        """Changelog records that workers have read in restores so far."""
        logs = (Path(self.stack.line.home) / "logs").glob("*.log*")
        return sum(int(found) for log in logs for found in _RESTORED.findall(log.read_bytes()))

    def recovered(self, fault: str, restored: int) -> Recovery:
        """Wait until every process does its work, and goes on doing it; so much was restored before. Raises Stuck."""
        began = since = time.monotonic()

        def steady() -> bool:
            nonlocal since
            if not self._all_ready():
                since = time.monotonic()
            return time.monotonic() - since > _STEADY_SECONDS

        until(steady, f"all processes work again after: {fault}")
        return Recovery(fault, since - began, self.restored() - restored)

    def _all_ready(self) -> bool:
        for process in self.stack.line.processes:
            if process.state == "failed":
                raise Stuck(f"{process.name} was given up; see {process.log}")
        return all(member.ready() for member in self._members)

    def roll(self) -> Iterator[Recovery]:
        """Restart every process, the broker too, one after another as `pathline restart` does."""
        restored = self.restored()
        asked = Restart(uuid4().hex, [member.name for member in self._members])
        Home(Path(self.stack.line.home)).ask_restart(asked)
        until(lambda: self._restarted(asked), "every process is restarted", len(asked.left) * PATIENCE)
        yield self.recovered("every process restarted", restored)

    def _restarted(self, asked: Restart) -> bool:
        known = self.stack.line.restart
        if known is None or known.id != asked.id:
            return False
        if known.failed:
            raise Stuck(known.failed)
        return not known.left

    def processes(self) -> Sequence[Member]:
        return [member for member in self._members if member is not self.broker]

    def member(self, name: str) -> Member:
        """A process by name."""
        return next(member for member in self._members if member.name == name)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def scale(self, leaving: Member, seconds: float) -> None:
        app = leaving.app if leaving.app in SHARED else SHARED[1]
        line, port = self.stack.line, ports.free()
        extra = PythonService(
            name=f"{app}-extra",
            arguments=("process", app),
            settings=environment({**line.settings, "worker": 9, "web_port": port}),
            home=Path(line.home),
            web_port=port,
            log=Path(line.home) / "logs" / f"{app}-extra.log",
        )
        extra.launch()
        try:
            until(extra.ready, f"{extra.name} has joined")
            leaving.terminate()
            self.wait(seconds)
            extra.terminate()
            until(lambda: not extra.running(), f"{extra.name} has left")
        finally:
            extra.kill()

    def fill_disk(self, process: Member) -> None:
        raise Impossible("the disks of a local line are one; the campaign of the runtime fills them")

    def crash(self, process: Member, point: str) -> None:
        if point in SINK_POINTS:
            self._crash_sink(point)
            return
        victim = process if process.app in WORKERS else self.member("segments")
        marker = self._folder / f"crashed-{uuid4().hex}"
        os.environ[VARIABLE] = f"{victim.app}:{point}:1:{marker}"
        try:
            # what is restored at the start is what is lost before it
            victim.kill()
            victim.wipe()
            until(marker.exists, f"{victim.name} comes to the point {point!r}")
        finally:
            del os.environ[VARIABLE]

    def _crash_sink(self, point: str) -> None:
        sink = self.member("sink")
        restarts = sink.state.restarts
        os.environ[SINK_VARIABLE] = point
        try:
            sink.terminate()
            until(lambda: sink.state.restarts >= restarts + 2, f"the sink comes to the point {point!r}")
        finally:
            del os.environ[SINK_VARIABLE]
