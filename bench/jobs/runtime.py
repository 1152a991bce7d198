"""The counting job on Pathline's runtime, all settings at their defaults."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from processors.runtime.contract import Record, Table, Turn
from processors.runtime.worker import faust_app, run


class Seen(msgspec.Struct, frozen=True):
    count: int


SEEN = Table("seen", Seen)


class Counting:
    """Counts events per key and passes each on."""

    def __init__(self, app: str, into: str, out: str) -> None:
        self.app = app
        self.inputs: tuple[str, ...] = (into,)
        self._out = out

    def on_record(self, record: Record, turn: Turn) -> None:
        key = (record.key or b"").decode()
        seen = turn.get(SEEN, key)
        turn.put(SEEN, key, Seen(seen.count + 1 if seen else 1))
        turn.send(self._out, key, record.value)

    def on_wake(self, key: str, due: int, turn: Turn) -> None: ...

    def on_assigned(self, turn: Turn) -> None: ...

    def on_result(self, key: str, result: Any, turn: Turn) -> None: ...


def main(brokers: str, app: str, into: str, out: str, home: str) -> None:
    os.environ["PATHLINE_BROKERS"], os.environ["PATHLINE_HOME"] = brokers, home
    run(faust_app(lambda source, codec: Counting(app, into, out)), loglevel="WARN")


if __name__ == "__main__":
    main(*sys.argv[1:6])
