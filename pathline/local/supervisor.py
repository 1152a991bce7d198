"""Keeps the processes of a line running: restarts with back-off, readiness, an orderly end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from pathline.local.home import ProcessState
from pathline.local.services import Service, rotate
from processors.runtime.exits import HOPELESS

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
#: who ran this long is no longer failing at its start
STEADY_SECONDS = 30.0
READY_CHECK_SECONDS = 2.0
LOG_CHECK_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass
class _Watched:
    service: Service
    state: str = "starting"
    since: float = 0.0
    restarts: int = 0
    delay: float = FIRST_DELAY_SECONDS
    launched: float = 0.0
    restart_at: float = 0.0
    check_at: float = 0.0
    check: Future[bool] | None = None
    silent_since: float = 0.0
    kill_at: float = 0.0
    last_end: str = ""

    def be(self, state: str, now: float) -> None:
        if state != self.state or not self.since:
            self.state, self.since = state, now


class Supervisor:
    """Runs services. All methods are called from one thread, which must live as long as the services.

    `say` is told in one line about each unexpected end. Services are asked whether they are ready in `asking`, so that
    a frozen one holds up nobody. The clock gives seconds since 1970 UTC.
    """

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.time, asking: Executor | None = None
    ) -> None:
        self._say = say
        self._clock = clock
        self._asking = asking or ThreadPoolExecutor(8, thread_name_prefix="ready")
        self._watched: list[_Watched] = []
        self._logs_checked = clock()

    def add(self, service: Service) -> None:
        """Start a service and keep it running."""
        watched = _Watched(service)
        self._watched.append(watched)
        self._launch(watched)

    def tick(self) -> None:
        """Look after every service once; call it several times a second."""
        now = self._clock()
        for watched in self._watched:
            if watched.state == "failed":
                continue
            if watched.state == "waiting":
                if now >= watched.restart_at:
                    self._launch_again(watched)
            elif not watched.service.running():
                self._ended(watched)
            elif watched.state == "restarting":
                if now >= watched.kill_at:
                    self._kill(watched)
            else:
                self._check(watched)
        if now - self._logs_checked > LOG_CHECK_SECONDS:
            self._logs_checked = now
            for watched in self._watched:
                rotate(watched.service.log)

    def states(self) -> list[ProcessState]:
        """What is known about each service."""
        return [
            ProcessState(
                name=w.service.name,
                pid=w.service.pid if w.state in ("starting", "ready", "not ready", "restarting") else None,
                state=w.state,
                restarts=w.restarts,
                web_port=w.service.web_port,
                log=str(w.service.log),
                since=w.since,
                restart_at=w.restart_at if w.state == "waiting" else 0.0,
                silent_since=w.silent_since,
                last_end=w.last_end,
            )
            for w in self._watched
        ]

    def restart(self, name: str) -> None:
        """Let a service end in order and start it again at once, also one that waits for its restart or failed."""
        watched = next(watched for watched in self._watched if watched.service.name == name)
        watched.be("restarting", self._clock())
        watched.kill_at = self._clock() + STOP_SECONDS
        watched.service.terminate()

    def stop(self, names: Callable[[str], bool] = lambda name: True) -> None:
        """End the services with these names together; who does not end within 15 s is killed."""
        chosen = [w for w in self._watched if names(w.service.name) and w.state != "stopped"]
        for watched in chosen:
            watched.service.terminate()
        deadline = self._clock() + STOP_SECONDS
        for watched in chosen:
            if not watched.service.wait(max(0.0, deadline - self._clock())):
                self._kill(watched)
            watched.be("stopped", self._clock())

    def _kill(self, watched: _Watched) -> None:
        self._say(f"{watched.service.name} did not stop within {STOP_SECONDS:.0f} s and is killed")
        watched.service.kill()

    def _launch(self, watched: _Watched) -> None:
        watched.be("starting", self._clock())
        watched.launched = self._clock()
        watched.check_at = watched.silent_since = 0.0
        # an answer of its predecessor tells nothing
        watched.check = None
        watched.service.launch()

    def _launch_again(self, watched: _Watched) -> None:
        try:
            self._launch(watched)
        except (OSError, RuntimeError) as error:
            self._say(f"{watched.service.name} could not be started: {error}")
            self._ended(watched)

    def _ended(self, watched: _Watched) -> None:
        if watched.state == "restarting":
            watched.delay = FIRST_DELAY_SECONDS
            self._launch_again(watched)
            return
        now = self._clock()
        name, log, code = watched.service.name, watched.service.log, watched.service.exit_code()
        words = watched.service.last_words() if code is not None and code > 0 else ""
        watched.last_end = f"{_told(code)}: {words}" if words else _told(code)
        watched.silent_since = 0.0
        if code in HOPELESS:
            watched.be("failed", now)
            self._say(f"{name} can't go on ({watched.last_end}) and is left alone; see {log}")
            return
        if now - watched.launched > STEADY_SECONDS:
            watched.delay = FIRST_DELAY_SECONDS
        watched.be("waiting", now)
        watched.restarts += 1
        watched.restart_at = now + watched.delay
        self._say(f"{name} ended ({watched.last_end}) and starts again in {watched.delay:g} s; see {log}")
        watched.delay = min(2 * watched.delay, LONGEST_DELAY_SECONDS)

    def _check(self, watched: _Watched) -> None:
        now = self._clock()
        if watched.check is None and now >= watched.check_at:
            watched.check = self._asking.submit(watched.service.ready)
        if watched.check is None or not watched.check.done():
            return
        ready, watched.check = watched.check.result(), None
        watched.silent_since = 0.0 if watched.service.answers else watched.silent_since or now
        if ready:
            watched.be("ready", now)
            watched.check_at = now + READY_CHECK_SECONDS
        elif watched.state != "starting":
            watched.be("not ready", now)


def _told(code: int | None) -> str:
    if code is None:
        return "not started"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def all_ready(states: Sequence[ProcessState]) -> bool:
    """Whether every process does its work."""
    return all(state.state == "ready" for state in states)
