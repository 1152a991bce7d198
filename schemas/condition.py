"""What a process says about itself at /ready: one shape for all processes of a line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypedDict

#: what every process may be doing
WAITING_FOR_BROKER = "waiting for broker"
JOINING = "joining"
RUNNING = "running"
STOPPING = "stopping"


class About(TypedDict):
    """The body of /ready. `since` is seconds since 1970 UTC, `detail` a part of a sentence or empty."""

    app: str
    state: str
    ready: bool
    since: float
    detail: str


class Condition:
    """What a process is doing and since when. May be set in one thread and read in others."""

    def __init__(self, app: str, state: str, ready: Callable[[str], bool]) -> None:
        """`ready` tells whether in this state the process does all its work."""
        self.app = app
        self._ready = ready
        self._now = (state, time.time(), "")

    @property
    def state(self) -> str:
        return self._now[0]

    @property
    def since(self) -> float:
        """Since when, in seconds since 1970 UTC."""
        return self._now[1]

    @property
    def ready(self) -> bool:
        """Whether it does all its work."""
        return self._ready(self.state)

    def be(self, state: str, detail: str = "") -> None:
        """Take note of a state; without `detail` what was said about the same state holds on."""
        before, since, said = self._now
        if state != before:
            self._now = (state, time.time(), detail)
        elif detail and detail != said:
            self._now = (state, since, detail)

    def about(self) -> About:
        """All of it."""
        state, since, detail = self._now
        return About(app=self.app, state=state, ready=self.ready, since=since, detail=detail)
