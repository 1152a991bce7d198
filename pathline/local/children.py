"""Child processes of a supervisor: they never outlive it, and what a dead one left running can be found."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

#: set in the environment of every process of a local line; its value is the line's home
MARK = "PATHLINE_SUPERVISED"
_PR_SET_PDEATHSIG = 1


def die_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` by which Linux sends the child `how` when the thread that starts it ends, kill -9 included.

    Start such children from a thread that lives as long as they should. None where the kernel can't do it; there
    `pathline down` and the next `up` find what was left running.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prctl() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # it died before the call above
            os.kill(os.getpid(), how)

    return prctl


def environment(home: Path) -> dict[str, str]:
    """The environment of a process that belongs to the line in `home`."""
    return os.environ | {MARK: str(home.absolute()), "PYTHONUNBUFFERED": "1"}


def orphans(home: Path) -> list[psutil.Process]:
    """Processes of the line in `home` that run without this process having started them, the supervisor apart."""
    mine = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in mine and process.environ().get(MARK) == str(home.absolute()):
                found.append(process)
        except psutil.Error:  # another user's, or gone meanwhile
            continue
    return found


def end(processes: list[psutil.Process], seconds: float = 10.0) -> None:
    """Ask processes to stop, and kill what is still there after `seconds`."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            try:
                ask(process)
            except psutil.NoSuchProcess:
                continue
        _, processes = psutil.wait_procs(processes, timeout=seconds)
