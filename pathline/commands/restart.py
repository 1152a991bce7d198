"""`pathline restart`: processes of the running line one after another."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

import typer

from pathline.errors import UserError

POLL_SECONDS = 0.2


def restart(
    processes: Annotated[
        list[str] | None, typer.Argument(help="Names as in `pathline status`; none: all but Kafka.")
    ] = None,
) -> None:
    """Restart processes of the local line, each once the one before does its work again.

    Nothing is lost or doubled. It prints how long each was away; exit code 1 when one does not come back.
    """
    from pathline.local import current
    from pathline.local.home import Restart

    home, line = current.home(), current.running_line()
    if line is None:
        raise UserError(f"Nothing runs in {home.path}; `pathline up` starts it.")
    names = [process.name for process in line.processes]
    if unknown := set(processes or ()) - set(names):
        raise UserError(f"There is no process {', '.join(sorted(unknown))}; there are {', '.join(names)}.")
    asked = Restart(uuid.uuid4().hex, processes or [name for name in names if name != "kafka"])
    home.ask_restart(asked)
    left, began = list(asked.left), time.monotonic()
    while left:
        time.sleep(POLL_SECONDS)
        line = current.running_line()
        if line is None:
            raise UserError("The line was stopped meanwhile.")
        if line.restart is None or line.restart.id != asked.id:
            continue
        while left != line.restart.left:
            typer.echo(f"{left.pop(0):<24} back after {time.monotonic() - began:5.1f} s")
            began = time.monotonic()
        if line.restart.failed:
            raise UserError(f"{line.restart.failed}. The others were left alone: {', '.join(left[1:]) or 'none'}")
