"""A job that asks for a timer at each event, all due at one instant (line milliseconds); each sends one record."""

from __future__ import annotations

import os
import sys
from typing import Any

from processors.runtime.contract import Record, Turn
from processors.runtime.worker import faust_app, run


class Waiting:
    """Each key is woken once."""

    def __init__(self, app: str, into: str, out: str, due: int) -> None:
        self.app = app
        self.inputs: tuple[str, ...] = (into,)
        self._out = out
        self._due = due

    def on_record(self, record: Record, turn: Turn) -> None:
        turn.wake((record.key or b"").decode(), self._due)

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        turn.send(self._out, key, b"%d" % due)

    def on_assigned(self, turn: Turn) -> None: ...

    def on_result(self, key: str, result: Any, turn: Turn) -> None: ...


def main(brokers: str, app: str, into: str, out: str, home: str, partitions: str, due: str) -> None:
    os.environ["PATHLINE_BROKERS"], os.environ["PATHLINE_HOME"] = brokers, home
    run(faust_app(lambda source, codec: Waiting(app, into, out, int(due))), loglevel="WARN")


if __name__ == "__main__":
    main(*sys.argv[1:8])
