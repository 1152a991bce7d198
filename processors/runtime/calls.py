"""Calls to the world outside Kafka: made on the event loop after their transaction, answered in a later one."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from processors.runtime.contract import Calling

#: Calls at a time. No more are committed than can be made at once: after a crash nobody knows of those in between
#: whether they were made.
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a call of a turn on this partition during this assignment."""

    partition: int
    epoch: int
    key: str
    answer: Any


class Calls:
    """Used from the Kafka thread; the calls themselves run on the event loop of the worker."""

    def __init__(
        self, stage: Calling, loop: asyncio.AbstractEventLoop, failed: Callable[[BaseException], None]
    ) -> None:
        self._stage = stage
        self._loop = loop
        self._failed = failed
        self._answers: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._first: list[Result] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked = 0
        self._taken = 0

    @property
    def under_way(self) -> int:
        """Calls asked for whose results were not taken yet."""
        return self._asked - self._taken

    @property
    def full(self) -> bool:
        """Whether no more records should be taken."""
        return self.room == 0

    @property
    def room(self) -> int:
        """How many more calls can be asked for."""
        return max(0, AT_ONCE - self.under_way)

    @property
    def answered(self) -> bool:
        """Whether there are results to take."""
        return bool(self._first) or not self._answers.empty()

    def launch(self, partition: int, epoch: int, key: str, request: Any) -> None:
        """Make a call whose turn was committed."""
        self._asked += 1
        self._loop.call_soon_threadsafe(self._start, partition, epoch, key, request)

    def take(self) -> list[Result]:
        """All results there are."""
        results = list(self._first)
        self._first.clear()
        while not self._answers.empty():
            results.append(self._answers.get_nowait())
        self._taken += len(results)
        return results

    def wait_for_one(self, seconds: float) -> None:
        """Wait up to this long until there is a result to take."""
        if not self._first:
            with contextlib.suppress(queue.Empty):
                self._first.append(self._answers.get(timeout=seconds))

    def wait_for_all(self, seconds: float) -> list[Result]:
        """Results of all calls under way, as far as they come within this time."""
        deadline, results = time.monotonic() + seconds, self.take()
        while self.under_way and (left := deadline - time.monotonic()) > 0:
            self.wait_for_one(left)
            results += self.take()
        return results

    def _start(self, partition: int, epoch: int, key: str, request: Any) -> None:
        task = self._loop.create_task(self._perform(partition, epoch, key, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, partition: int, epoch: int, key: str, request: Any) -> None:
        try:
            answer = await self._stage.perform(request)
        except Exception as error:
            self._failed(error)
            return
        self._answers.put(Result(partition, epoch, key, answer))
