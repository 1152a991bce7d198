"""A stage for tests: counts events per key, emits one output each, and is woken some time after each event."""

from __future__ import annotations

from typing import Any

import msgspec

from processors.runtime.contract import BadRecord, Record, Table, Turn


class Count(msgspec.Struct, frozen=True):
    seen: int = 0
    woken: int = 0


COUNTS = Table("count", Count)


class CountingStage:
    """Outputs `key -> n`; a value `poison` is a bad record; with `wake_after` (ms) `key -> woken:due` too."""

    def __init__(self, source: str = "in", out: str = "out", app: str = "counting", wake_after: int = 0) -> None:
        self.app = app
        self.inputs: tuple[str, ...] = (source,)
        self.out = out
        self.wake_after = wake_after

    def on_record(self, record: Record, turn: Turn) -> None:
        key = (record.key or b"").decode()
        count = turn.get(COUNTS, key) or Count()
        turn.put(COUNTS, key, Count(count.seen + 1, count.woken))
        turn.send(self.out, key, b"%d" % (count.seen + 1))
        if self.wake_after:
            turn.wake(key, turn.now + self.wake_after)
        if record.value == b"poison":
            raise BadRecord("poison")

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        count = turn.get(COUNTS, key) or Count()
        turn.put(COUNTS, key, Count(count.seen, count.woken + 1))
        turn.send(self.out, key, b"woken:%d" % due)

    def on_assigned(self, turn: Turn) -> None:
        pass

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        pass
