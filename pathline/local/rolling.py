"""A rolling restart: one process after another, each only when the one before does its work again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pathline.local.home import ProcessState, Restart
from pathline.local.supervisor import Supervisor

#: a process that takes longer to do its work again ends the restart of the others
PATIENCE_SECONDS = 300.0


class Rolling:
    """Carries out the restart that was asked for last. Called from the supervisor's thread."""

    def __init__(
        self, supervisor: Supervisor, say: Callable[[str], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._supervisor = supervisor
        self._say = say
        self._clock = clock
        self._began = 0.0
        self.now: Restart | None = None

    def begin(self, asked: Restart) -> None:
        """Start with the first; what was asked for before is forgotten."""
        known = {state.name for state in self._supervisor.states()}
        self.now = replace(asked, left=[name for name in asked.left if name in known])
        self._next()

    def tick(self) -> None:
        """Go on with the next when the one under way is done; call it several times a second."""
        if self.now is None or self.now.failed or not self.now.left:
            return
        process = next(state for state in self._supervisor.states() if state.name == self.now.left[0])
        if process.state == "ready":
            self._say(f"{process.name} was restarted and does its work after {self._clock() - self._began:.1f} s")
            self.now = replace(self.now, left=self.now.left[1:])
            self._next()
        elif why := self._hopeless(process):
            self._say(f"The restart ends here: {why}")
            self.now = replace(self.now, failed=why)

    def _next(self) -> None:
        if self.now is not None and self.now.left:
            self._began = self._clock()
            self._supervisor.restart(self.now.left[0])

    def _hopeless(self, process: ProcessState) -> str:
        if process.state == "failed":
            return f"{process.name} failed ({process.last_end}); see {process.log}"
        if self._clock() - self._began > PATIENCE_SECONDS:
            return f"{process.name} does not do its work after {PATIENCE_SECONDS:.0f} s; see {process.log}"
        return ""
