"""The fault campaign on the whole line.

    python -m tests.faults.line [--events 1000000] [--seed 3] [--faults 60]

Prints what happens and, at the end, the figures of every invariant; ends with 1 when one does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from processors.runtime.points import Point
from tests.faults.line.campaign import SESSION_SECONDS, Campaign, running_line, stores_alike
from tests.faults.line.invariants import Figures, Violation
from tests.faults.line.running import SINK_POINTS, Recovery, Stuck
from tests.faults.schedule import Kind, schedule

#: what can happen to a line as a whole
KINDS = tuple(kind for kind in Kind if kind is not Kind.DISK_FULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="at least so many messages")
    parser.add_argument("--seed", type=int, default=1, help="of the crowd and of the faults")
    parser.add_argument("--faults", type=int, default=60, help="at least so many faults")
    parser.add_argument("--folder", type=Path, help="where the line lives, and stays; else a temporary one")
    parser.add_argument("--calm", type=float, default=5.0, help="mean seconds between a recovery and the next fault")
    asked = parser.parse_args()
    faults = schedule(
        asked.seed,
        asked.faults,
        session_seconds=SESSION_SECONDS,
        calm_seconds=asked.calm,
        kinds=KINDS,
        points=(*Point, *SINK_POINTS),
    )
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    with kept(asked.folder) as folder, running_line(folder, say) as running:
        campaign = Campaign(running, asked.seed, say)
        try:
            given = campaign.run(asked.events, campaign.steer(faults))
            say("faults over: every process is restarted in order")
            given += campaign.run(0, running.roll(), "r")
            say(f"{given:,} events given; the line comes to rest")
            campaign.settle()
            took = time.monotonic() - began
            table = {**campaign.judge(), "2 local stores": stores_alike(running.stack.line)}
        except (Violation, Stuck) as error:
            say(f"FAILED: {error}")
            return 1
    console = Console()
    console.print(recovery(campaign.recoveries), invariants(table))
    console.print(f"{given:,} events, {len(campaign.recoveries)} faults, {took:.0f} s; seed {asked.seed}")
    return 0


def recovery(recoveries: Iterable[Recovery]) -> Table:
    """What each kind of fault cost."""
    kinds: dict[str, list[Recovery]] = {}
    for one in recoveries:
        kinds.setdefault(one.fault, []).append(one)
    table = Table("fault", "times", "all at work again after s (median)", "at most", "records restored (at most)")
    for kind, found in sorted(kinds.items()):
        seconds, restored = [one.seconds for one in found], max(one.restored for one in found)
        table.add_row(kind, str(len(found)), f"{median(seconds):.1f}", f"{max(seconds):.1f}", f"{restored:,}")
    return table


def invariants(figures: Mapping[str, Figures]) -> Table:
    """What was looked at; all of it holds."""
    table = Table("invariant", "figures")
    for name, found in figures.items():
        table.add_row(name, ", ".join(f"{value:,} {figure}" for figure, value in found.items()))
    return table


def kept(folder: Path | None) -> AbstractContextManager[Path]:
    """The folder, or one that goes when the campaign is over."""
    return nullcontext(folder) if folder is not None else temporary()


@contextmanager
def temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pathline-") as name:
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
