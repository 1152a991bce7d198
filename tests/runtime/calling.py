"""A stage for tests that calls outside: each record is one call, noted in a file; the answer goes out."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from processors.runtime.contract import Record, Table, Turn

STATES = Table("call", str)


class CallingStage:
    """What was asked and not answered when its process died is asked again."""

    def __init__(self, source: str, out: str, app: str) -> None:
        self.app = app
        self.inputs: tuple[str, ...] = (source,)
        self.out = out

    def on_record(self, record: Record, turn: Turn) -> None:
        key = (record.key or b"").decode()
        turn.put(STATES, key, "asked")
        turn.call(key, key)

    async def perform(self, request: Any) -> Any:
        await asyncio.sleep(float(os.environ.get("CALLING_SECONDS", "0.02")))
        with open(os.environ["CALLING_NOTES"], "a") as notes:  # noqa: ASYNC230 - short
            notes.write(f"{request}\n")
        return f"answer to {request}"

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        turn.put(STATES, key, "answered")
        turn.send(self.out, key, str(result).encode())

    def on_assigned(self, turn: Turn) -> None:
        for key, state in turn.scan(STATES):
            if state == "asked":
                turn.call(key, key)

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        pass
