"""`pathline demo`: real shop data through the whole line, then what came out of it."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

HOUSEHOLDS = 2_469


def demo(
    households: Annotated[
        int | None, typer.Option(min=1, max=HOUSEHOLDS, help=f"Fewer than all {HOUSEHOLDS:,}, always the same ones.")
    ] = None,
    weeks: Annotated[int, typer.Option(min=1, max=53, help="Weeks from 2017-01-01.")] = 30,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the line up until Ctrl-C.")] = False,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.")] = None,
) -> None:
    """Run the main job on real data: till, postal campaigns and coupons of a grocer's households, up to e-mails and
    paths, in a line and a home of its own (.pathline/demo)."""
    from rich.console import Console

    from pathline.demo import run, story
    from schemas.definitions import find_project
    from schemas.settings import Settings

    console, began = Console(), time.monotonic()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    home = (Settings().home / "demo").absolute()
    # a signal must end the processes of the demo too
    signal.signal(signal.SIGTERM, lambda *_: _interrupt())
    folder = find_project(project)
    say("The demo runs a real Kafka, all processors, an SMTP server and ClickHouse on this machine; it takes minutes.")
    stack = run.run(home, folder, run.Choice(households, weeks), say)
    try:
        story.tell(console, stack, home, folder)
        console.print(f"\nDone in {time.monotonic() - began:.0f} s.", highlight=False)
        if keep:
            say("The line stays up until Ctrl-C.")
            while stack.running():
                time.sleep(0.5)
    except KeyboardInterrupt:
        say("Stopping")
    finally:
        stack.stop()


def _interrupt() -> None:
    raise KeyboardInterrupt
