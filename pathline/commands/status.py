"""`pathline status`: what runs, how it does and how it can be reached."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pathline.local.home import ProcessState

#: processors, collector and sink each count under a name of their own
DEAD_LETTERS = "dead_letters_total"


def status(format: Annotated[str, typer.Option(help="table or json.")] = "table") -> None:
    """Show the processes of the local line with their health, lag and dead letters; exit code 1 when none runs."""
    from rich.console import Console
    from rich.table import Table

    from pathline.commands.up import summary
    from pathline.local import current

    line = current.running_line()
    home = str(current.home().path)
    if line is None:
        nothing = {"home": home, "state": "stopped", "processes": []}
        typer.echo(json.dumps(nothing) if format == "json" else f"Nothing runs in {home}; `pathline up` starts it.")
        raise typer.Exit(1)
    processes = [asdict(process) | measures(process) for process in line.processes]
    if format == "json":
        reached = {name: value for name, value in asdict(line).items() if name not in ("settings", "ports")}
        typer.echo(json.dumps(reached | {"processes": processes}, indent=2))
        return
    table = Table(
        "process", "pid", "state", "restarts", "lag", "dead letters", "metrics", box=None, padding=(0, 1, 0, 0)
    )
    for process in processes:
        shown = (process[name] for name in ("name", "pid", "state", "restarts", "lag", "dead_letters"))
        port = f":{process['web_port']}" if process["web_port"] else ""
        table.add_row(*("" if value is None else str(value) for value in shown), port)
    Console().print(table)
    typer.echo(summary(line))


def measures(process: ProcessState) -> dict[str, Any]:
    """Records behind and dead letters so far, from the process's own metrics; None where it has none."""
    from pathline.local import quiet

    if not process.web_port:
        return {"lag": None, "dead_letters": None}
    try:
        samples = list(quiet.samples(process))
    except OSError:
        return {"lag": None, "dead_letters": None}
    lags = [sample.value for sample in samples if sample.name == quiet.LAG]
    letters = [sample.value for sample in samples if sample.name.endswith(DEAD_LETTERS)]
    return {"lag": int(sum(lags)) if lags else None, "dead_letters": int(sum(letters))}
