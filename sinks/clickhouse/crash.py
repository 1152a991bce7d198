"""Named places at which a test can make the process die, as kill -9 would."""

from __future__ import annotations

import os
import signal

VARIABLE = "PATHLINE_SINK_CRASH_AT"


def crash_point(name: str) -> None:
    """Die here if the environment says `PATHLINE_SINK_CRASH_AT=name`; nothing otherwise."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
