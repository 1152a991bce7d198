"""The life of a local line: start in order, stay up, stop in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from pathline.errors import UserError
from pathline.history.links import links_of
from pathline.local import children, jars
from pathline.local.home import Home, Line, ProcessState
from pathline.local.plan import Plan, Ports, broker, prepare, services, stop_order, topic_channels
from pathline.local.rolling import Rolling
from pathline.local.services import Service
from pathline.local.supervisor import Supervisor, all_ready
from schemas.clock import ScaledClock
from schemas.definitions import load
from schemas.kafka import apply_topics
from schemas.settings import Settings

TICK_SECONDS = 0.2
#: a process that ends this often before the line was ready once will not come up
START_TRIES = 3
LOG_LINES_SHOWN = 15


class StackError(UserError):
    """The stack could not be started, or went down by itself."""


class Stack:
    """A line in its home: Kafka, mail catcher, collector, processors, dispatch and sink.

    Processes belong to a thread of this object: they end with `stop()`, and with this process however it ends. A stack
    that was killed is started again with the same home and loses nothing. See `Plan` for the arguments; `say` is told
    about progress in single lines, from another thread.
    """

    def __init__(
        self,
        home: Path,
        project: Path,
        *,
        partitions: int | None = None,
        clock: ScaledClock | None = None,
        workers: Mapping[str, int] | None = None,
        ports: Ports | None = None,
        heap_mb: int = 512,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._plan = Plan(home, project, partitions, clock, workers or {}, ports or Ports(), heap_mb)
        self._home = Home(home)
        self._say = say
        self._supervisor = Supervisor(say)
        self._rolling = Rolling(self._supervisor, say)
        self._line: Line | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Stack:
        self.start()
        self.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def line(self) -> Line:
        """How the line can be reached, as of now. Raises StackError before `start()`."""
        if self._line is None:
            raise StackError("the stack was not started")
        return self._line

    @property
    def settings(self) -> Settings:
        """Settings of the line's processes, for clients in this process."""
        return Settings.model_validate(self.line.settings)

    def start(self) -> None:
        """Begin to start everything; returns before anything is ready.

        Raises Invalid for a project with mistakes, StackError when the home is in use or a port asked for is taken.
        """
        load(self._plan.project)
        if not self._home.take():
            raise StackError(f"a line runs in {self._home.path} already")
        try:
            if left := children.orphans(self._home.path):
                self._say(f"Stopping {len(left)} processes that an earlier line left running")
                children.end(left)
            self._line = prepare(self._plan, self._home)
        except ValueError as error:
            self._home.release()
            raise StackError(str(error)) from error
        except BaseException:
            self._home.release()
            raise
        self._thread.start()

    def wait_ready(self, seconds: float = 300.0) -> None:
        """Return when every process does its work.

        Raises StackError, with what to look at, when one does not start or the time is over; the stack is down then.
        """
        deadline = time.monotonic() + seconds
        while not self._ready.wait(TICK_SECONDS):
            if not self.running():
                self.raise_failure()
                raise StackError("the stack was stopped before it was ready")
            if time.monotonic() > deadline:
                slow = [state for state in self.line.processes if state.state != "ready"]
                self.stop()
                told = ", ".join(f"{state.name} is {state.state} (see {state.log})" for state in slow)
                raise StackError(f"not ready after {seconds:.0f} s: {told}")

    def ready(self) -> bool:
        """Whether every process has come to do its work since the start."""
        return self._ready.is_set()

    def running(self) -> bool:
        """Whether the stack is up or on its way; False before the start, after `stop()` and after a failure."""
        return self._thread.is_alive()

    def raise_failure(self) -> None:
        """Raise what brought the stack down, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End everything in order; returns when nothing is left running."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    # --- in the supervising thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            if self._bring_up():
                self._publish("ready")
                self._ready.set()
                while not self._stopping.wait(TICK_SECONDS):
                    self._supervisor.tick()
                    if asked := self._home.restart_asked():
                        self._rolling.begin(asked)
                    self._rolling.tick()
                    self._publish("ready")
        except BaseException as error:
            self._error = error
        finally:
            self._publish("stopping")
            for wave in stop_order():
                self._supervisor.stop(wave)
            self._home.forget_line()
            self._home.release()

    def _bring_up(self) -> bool:
        """Start everything; False when the stack is to stop meanwhile."""
        began = time.monotonic()
        jars.fetch(self._say)
        self._say(f"Starting Kafka {jars.KAFKA} at {self.line.broker}")
        if not self._start([broker(self._plan, self.line, self._home)]):
            return False
        self._say(f"Kafka is ready after {time.monotonic() - began:.1f} s; creating topics, publishing definitions")
        self._publish_project()
        started = services(self._plan, self.line, self._home)
        self._say(f"Starting {', '.join(service.name for service in started)}")
        return self._start(started)

    def _publish_project(self) -> None:
        from pathline.commands.apply import fill_pools, publish, with_fitted

        project = load(self._plan.project)
        apply_topics(self.settings, topic_channels(project))
        self._home.remember_partitions(self.settings.partitions)
        fill_pools(self.settings, self._plan.project, project, self._say)
        publish(self.settings, with_fitted(self.settings, project))
        if links := links_of(self._home.path).publish(self.settings):
            self._say(f"{links:,} links of loaded history are in")

    def _start(self, wanted: Sequence[Service]) -> bool:
        """Start services and wait until all are ready; False when the stack is to stop meanwhile."""
        for service in wanted:
            self._supervisor.add(service)
        while not self._stopping.wait(TICK_SECONDS):
            self._supervisor.tick()
            self._publish("starting")
            if all_ready(self.line.processes):
                return True
            for process in self.line.processes:
                if process.state == "failed" or process.restarts >= START_TRIES:
                    raise StackError(_failure(process))
        return False

    def _publish(self, state: str) -> None:
        """Write how the line can be reached, when it changed."""
        now = replace(self.line, state=state, processes=self._supervisor.states(), restart=self._rolling.now)
        if now != self._line:
            # the file first: who asks here is not to know more than who asks by a command
            self._home.write_line(now)
            self._line = now


def _failure(process: ProcessState) -> str:
    log = Path(process.log)
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    # the frames of Java's stack traces hide the message
    told = [line for line in lines if not line.startswith("\t")][-LOG_LINES_SHOWN:]
    return "\n".join([f"{process.name} does not start; the end of {log}:", *told])
