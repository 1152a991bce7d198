"""`pathline status`: what runs, how it does and how it can be reached."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Group

    from pathline.local.condition import Condition, Process
    from pathline.local.home import Line

WATCH_SECONDS = 2.0
WIDTH = 200


def status(
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the table again every 2 s until Ctrl-C.")] = False,
) -> None:
    """Show what each process of the local line does, its lag and dead letters, and what needs a look.

    Exit code 1 when no line runs.
    """
    from rich.console import Console
    from rich.live import Live

    from pathline.local import condition, current

    line = current.running_line()
    home = str(current.home().path)
    if line is None:
        nothing = {"home": home, "state": "stopped", "processes": [], "problems": []}
        typer.echo(json.dumps(nothing) if format == "json" else f"Nothing runs in {home}; `pathline up` starts it.")
        raise typer.Exit(1)
    if format == "json":
        typer.echo(json.dumps(_as_json(line, condition.look(line)), indent=2))
        return
    if not watch:
        # what goes into a file is not cut to the width of nobody's screen
        told = Console(width=None if sys.stdout.isatty() else WIDTH)
        told.print(_as_table(line, condition.look(line)))
        return
    with Live(auto_refresh=False, screen=True) as screen:
        while line is not None:
            screen.update(_as_table(line, condition.look(line)), refresh=True)
            time.sleep(WATCH_SECONDS)
            line = current.running_line()
    typer.echo("The line was stopped")


def _as_json(line: Line, found: Condition) -> dict[str, Any]:
    reached = {name: value for name, value in asdict(line).items() if name not in ("settings", "ports")}
    return reached | {"processes": [_process(process) for process in found.processes], "problems": found.problems}


def _process(process: Process) -> dict[str, Any]:
    figures = process.figures
    return asdict(process.known) | {
        "doing": process.doing,
        "detail": process.about["detail"] if process.about else "",
        "lag": figures.lag,
        "dead_letters": figures.dead_letters,
        "history_left": figures.history_left,
        "unsent": figures.unsent,
        "paused": figures.paused,
        "partitions": sorted(figures.partitions),
        "commit_ages": {str(number): round(age, 1) for number, age in sorted(figures.commit_ages.items())},
    }


def _as_table(line: Line, found: Condition) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from pathline.commands.up import summary

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("process", "pid", "restarts", "partitions", "lag", "last commit", "dead letters", "metrics"):
        table.add_column(name, no_wrap=True, justify="left" if name == "process" else "right")
    table.add_column("state", overflow="fold", min_width=20)
    for process in found.processes:
        known, figures = process.known, process.figures
        oldest = max(figures.commit_ages.values(), default=None)
        cells = (
            known.name,
            known.pid,
            known.restarts,
            ",".join(map(str, sorted(figures.partitions))),
            figures.lag,
            None if oldest is None else f"{oldest:.0f} s ago",
            figures.dead_letters,
            f":{known.web_port}" if known.web_port else None,
            process.doing,
        )
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))
    looks = [Text(f"! {problem}", "bold red") for problem in found.problems]
    return Group(table, *looks, Text(summary(line)))
