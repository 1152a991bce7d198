"""Child processes that never outlive the process that started them."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` by which Linux sends the child SIGTERM when the thread that starts it ends, kill -9 included.

    Start such children from a thread that lives as long as they should. None where the kernel can't do it; there
    `pathline down` and the next `up` find what was left running.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))

    return prctl
