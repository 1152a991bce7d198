"""Places in the runtime where a worker can be made to die as by kill -9, for tests of what is promised about crashes.

`PATHLINE_CRASH_AT` says where, as `app:point:skip:marker`: the worker of this app dies when it has passed the point
`skip` times, unless the file `marker` exists, which it makes before it dies. So one that is started again with the same
environment runs on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

VARIABLE = "PATHLINE_CRASH_AT"


class Point(StrEnum):
    """The places, in the order in which a transaction that changes state passes them.

    One of offsets alone passes none: to die in it leaves nothing behind that could be wrong.
    """

    AFTER_BEGIN = "after begin"
    AFTER_OUTPUTS = "after outputs"
    AFTER_CHANGELOG = "after changelog"
    AFTER_OFFSETS = "after offsets"
    AFTER_COMMIT = "after commit"
    AFTER_LOCAL_WRITE = "after local write"
    DURING_RESTORE = "during restore"


@dataclass(slots=True)
class Crash:
    """Where to die, once."""

    app: str
    point: Point
    skip: int
    marker: Path

    def here(self, first: Callable[[], object]) -> None:
        """The point is reached: die, or count."""
        if self.skip:
            self.skip -= 1
        elif not self.marker.exists():
            first()
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def crash_of(text: str) -> Crash | None:
    """What the environment variable asks for; None when it is empty. Raises ValueError when it can't be understood."""
    if not text:
        return None
    try:
        app, point, skip, marker = text.split(":", 3)
        return Crash(app, Point(point), int(skip), Path(marker))
    except ValueError as error:
        points = ", ".join(Point)
        raise ValueError(
            f"{VARIABLE}={text}: wanted is app:point:skip:marker with one of the points {points}"
        ) from error


_crash = crash_of(os.environ.get(VARIABLE, ""))


def reached(app: str, point: Point, first: Callable[[], object] = lambda: None) -> None:
    """A worker of this app is at this point; who dies here does `first` before."""
    if _crash is not None and _crash.point is point and _crash.app == app:
        _crash.here(first)
