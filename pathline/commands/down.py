"""`pathline down`: stop the line of this home, whatever is left of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import typer

STOP_SECONDS = 90.0


def down() -> None:
    """Stop the local line in order; also what a killed `pathline up` left running. Data stays in the home."""
    from pathline.local import children, current

    home = current.home()
    line = home.line()
    stopped = False
    if home.held() and line is not None:
        typer.echo(f"Stopping the line in {home.path}")
        _stop_supervisor(line.supervisor, home.held)
        stopped = True
    if left := children.orphans(home.path):
        typer.echo(f"Stopping {len(left)} processes that were left running")
        children.end(left)
        stopped = True
    if not home.held():
        home.forget_line()
    typer.echo("Stopped; nothing is left running" if stopped else f"Nothing runs in {home.path}")


def _stop_supervisor(pid: int, held: Callable[[], bool]) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while held():
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.1)
