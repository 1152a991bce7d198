"""`pathline simulate`: what a project would have done with recorded events."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

SHOWN = 20


def simulate(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")],
    events: Annotated[Path, typer.Option(help="Messages of the Segment spec, one JSON object a line.")],
    until: Annotated[str, typer.Option(help="Last instant, ISO 8601; without an offset it is UTC.")],
    output: Annotated[Path, typer.Option(help="Folder for the five files.")],
) -> None:
    """Run the line's own steps over recorded events on a virtual clock, without Kafka, and write what happened."""
    from pathline.lists.files import of_project
    from pathline.promos.files import of_project as pools_of
    from pathline.simulation import report, run
    from pathline.simulation.fitting import with_fitted
    from schemas.definitions import load

    errors = Console(stderr=True)
    last = instant(until)
    if not events.is_file():
        raise typer.BadParameter(f"no such file: {events}", param_hint="--events")
    loaded = load(project)
    listed, problems = of_project(project, loaded.identity)
    codes, empty = pools_of(project, loaded)
    for problem in (*problems, *empty):
        errors.print(problem, markup=False, soft_wrap=True)
    recorded = run.read_file(events, loaded, last)
    for rejected in recorded.rejected[:SHOWN]:
        errors.print(f"{events}:{rejected.number}: {rejected.reason}", markup=False, soft_wrap=True)
    if len(recorded.rejected) > SHOWN:
        errors.print(f"... and {len(recorded.rejected) - SHOWN} more lines that could not be used")
    events_ = [*listed, *recorded.events]
    loaded = with_fitted(loaded, events_, last, events.name, lambda text: errors.print(text, markup=False))
    counts = report.write(run.simulate(loaded, events_, last, codes), loaded.channels, output)
    rows = ", ".join(f"{name} {count}" for name, count in counts.items())
    errors.print(f"{len(recorded.events)} events applied, {len(recorded.rejected)} rejected -> {output}: {rows}")


def instant(text: str) -> int:
    """An ISO 8601 instant in milliseconds since 1970 UTC. Raises typer.BadParameter."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"not an ISO 8601 instant: {text!r}", param_hint="--until") from error
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
