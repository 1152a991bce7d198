"""Ends a process that waits for a call which never comes back.

After a broker restart librdkafka's `send_offsets_to_transaction` was seen to wait for ever, whatever its timeout: the
reply it waits for is lost inside the client. Such a process holds its partitions and looks alive; only another thread
can end it, and a new process goes on from what is committed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_SECONDS = 0.5


class Watchdog:
    """`bark` is told what hangs, in another thread; it is to end the process."""

    def __init__(self, bark: Callable[[str], object]) -> None:
        self._bark = bark
        self._watched: tuple[float, str] | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, what: str, seconds: float) -> Iterator[None]:
        """Bark if the block takes longer than so many seconds. For one block at a time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
            self._thread.start()
        self._watched = time.monotonic() + seconds, f"{what} did not come back within {seconds:.0f} s"
        try:
            yield
        finally:
            self._watched = None

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            watched = self._watched
            if watched is not None and time.monotonic() > watched[0]:
                self._watched = None
                self._bark(watched[1])
