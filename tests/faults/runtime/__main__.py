"""`python -m tests.faults.runtime`: the long form of the campaign. Exit code 1 when anything does not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.runtime.campaign import Report, run
from tests.faults.runtime.hand import Stuck
from tests.faults.runtime.invariants import Violated


def main() -> int:
    """Run a campaign and print what it saw."""
    asked = argparse.ArgumentParser(prog="python -m tests.faults.runtime", description=__doc__)
    asked.add_argument("--events", type=int, default=1_000_000, help="messages to publish at least")
    asked.add_argument("--seed", type=int, default=7, help="of the messages and the schedule of faults")
    asked.add_argument("--faults", type=int, default=60, help="faults at least")
    asked.add_argument("--calm", type=float, default=2.0, help="mean seconds between recovery and the next fault")
    asked.add_argument("--session-timeout", type=int, default=6_000, help="of the workers, in milliseconds")
    chosen = asked.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="pathline-faults-") as folder:
        try:
            report = run(
                Path(folder),
                events=chosen.events,
                seed=chosen.seed,
                faults=chosen.faults,
                calm_seconds=chosen.calm,
                session_timeout=chosen.session_timeout,
                say=lambda line: console.print(line, highlight=False),
            )
        except (Violated, Stuck) as error:
            console.print(f"seed {chosen.seed}: {error}", style="bold red")
            return 1
    console.print(recovery(report), invariants(report))
    console.print(f"{report.seconds:.0f} s; processes ended by {report.ends} (exit code, negative: signal)")
    return 1 if any(isinstance(found, Violated) for _, found in report.verdict) else 0


def recovery(report: Report) -> Table:
    """What each kind of fault cost."""
    table = Table("fault", "times", "went on after s (median)", "at most", "records restored (at most)")
    kinds: dict[str, list[tuple[float, int]]] = {}
    for aftermath in report.aftermaths:
        kind = f"{aftermath.fault.kind} {aftermath.fault.point}".strip()
        if aftermath.skipped:
            table.add_row(kind, "-", "skipped", "", aftermath.skipped)
        else:
            kinds.setdefault(kind, []).append((aftermath.seconds, aftermath.restored))
    for kind, costs in sorted(kinds.items()):
        seconds = sorted(cost for cost, _ in costs)
        most = max(restored for _, restored in costs)
        table.add_row(kind, str(len(costs)), f"{seconds[len(seconds) // 2]:.1f}", f"{seconds[-1]:.1f}", f"{most:,}")
    return table


def invariants(report: Report) -> Table:
    """What holds, with figures."""
    table = Table("invariant", "", "figures")
    for name, found in report.verdict:
        if isinstance(found, Violated):
            table.add_row(name, "violated", str(found), style="bold red")
        else:
            table.add_row(name, "holds", ", ".join(f"{what} {figure:,}" for what, figure in found.items()))
    return table


if __name__ == "__main__":
    sys.exit(main())
