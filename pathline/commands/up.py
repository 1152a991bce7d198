"""`pathline up`: the whole line on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathline.local.home import Home, Line
    from pathline.local.plan import Ports

POLL_SECONDS = 0.2
READY = "Ready after"


def up(
    project: Annotated[Path | None, typer.Option(help="Folder of the project.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready; `pathline down` stops it.")] = False,
    partitions: Annotated[int | None, typer.Option(min=1, help="Partitions; fixed once a line exists.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes for each of identity, segments, journeys.")] = 1,
    kafka_port: Annotated[int, typer.Option(help="Port of Kafka.")] = 0,
    collector_port: Annotated[int, typer.Option(help="Port of the collector.")] = 0,
    warehouse_port: Annotated[int, typer.Option(help="Port of the warehouse's HTTP interface.")] = 0,
    profiles_port: Annotated[int, typer.Option(help="Port of profiles over HTTP.")] = 0,
    mailbox_port: Annotated[int, typer.Option(help="Port of the page with the messages caught.")] = 0,
    smtp_port: Annotated[int, typer.Option(help="Port of the SMTP catcher.")] = 0,
    smpp_port: Annotated[int, typer.Option(help="Port of the SMPP catcher.")] = 0,
) -> None:
    """Start Kafka, collector, processors, sink, dispatch and a mailbox for what is sent, and keep them running.

    It stays in the foreground until Ctrl-C, or with --detach until `pathline down`. Ports that are not given are
    those of last time, or free ones.
    """
    from pathline.local import current
    from pathline.local.plan import Ports
    from schemas.definitions import find_project

    home = current.home()
    if home.held():
        line = home.line()
        typer.echo(f"A line runs in {home.path} already.")
        if line is not None:
            typer.echo(summary(line))
        return
    folder = find_project(project)
    if detach:
        _detach(home)
        return
    ports = Ports(kafka_port, collector_port, warehouse_port, profiles_port, mailbox_port, smtp_port, smpp_port)
    _stay(home, folder, partitions, dict.fromkeys(("identity", "segments", "journeys"), workers), ports)


def summary(line: Line) -> str:
    """What a person needs of a running line."""
    rows = [
        ("state", f"{line.state}, {len(line.processes)} processes (pathline status)"),
        ("collector", f"{line.collector}  (write key {line.write_key}, API at {line.collector}/docs)"),
        ("profiles", f"{line.profiles}  (key {line.profiles_key})" if line.profiles_key else line.profiles),
        ("warehouse", line.warehouse),
        ("mailbox", line.mailbox or "none: all channels have providers"),
        ("kafka", line.broker),
        ("home", line.home),
    ]
    return "\n".join(f"  {name:<10} {value}" for name, value in rows if value)


def next_steps(line: Line) -> str:
    """What to try first with a new line."""
    event = '{"userId": "u1", "event": "Product Viewed", "context": {"channel": "web"}, "properties": {"price": 20}}'
    return "\n".join(
        [
            "Try:",
            f"  curl -u {line.write_key}: {line.collector}/v1/track -H 'Content-Type: application/json' -d '{event}'",
            f"  curl -H 'Authorization: Bearer {line.profiles_key}' {line.profiles}/v1/people/user_id:u1",
            "  pathline person user_id:u1",
            "  pathline status",
        ]
    )


def _stay(home: Home, project: Path, partitions: int | None, workers: dict[str, int], ports: Ports) -> None:
    from pathline.local.stack import Stack

    began = time.monotonic()
    stack = Stack(home.path, project, partitions=partitions, workers=workers, ports=ports, say=typer.echo)
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: asked.set())
    stack.start()
    told = False
    while stack.running() and not asked.wait(POLL_SECONDS):
        if stack.ready() and not told:
            told = True
            typer.echo(f"{READY} {time.monotonic() - began:.0f} s.\n{summary(stack.line)}\n{next_steps(stack.line)}")
            sys.stdout.flush()
    if asked.is_set():
        typer.echo("Stopping")
    stack.stop()
    stack.raise_failure()
    typer.echo("Stopped; nothing is left running")


def _detach(home: Home) -> None:
    """Run the same command in a session of its own and show what it says until it is ready."""
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "supervisor.log"
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "pathline", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with log.open("r", encoding="utf-8", errors="replace") as told:
        said = ""
        while READY not in said:
            # asked before its words are read, so that these are shown whole
            ended = child.poll() is not None
            said = told.read()
            sys.stdout.write(said)
            sys.stdout.flush()
            if ended:
                raise typer.Exit(child.returncode or 1)
            time.sleep(POLL_SECONDS)
