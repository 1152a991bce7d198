"""`pathline load`: files and recordings into the line."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from connectors.inbound.files.replay import Progress
    from pathline.history.load import Outcome

#: so many of the most frequent reasons are shown
REASONS = 10


class Into(StrEnum):
    """Where a source goes."""

    LINE = "line"
    WAREHOUSE = "warehouse"


def load(
    source: Annotated[
        str, typer.Argument(help="FILE.jsonl of Segment messages, or KIND:SOURCE, as complete_journey:weeks=4.")
    ],
    into: Annotated[Into, typer.Option(help="Where it goes.")] = Into.LINE,
    from_start: Annotated[bool, typer.Option(help="Also what was loaded into the line before.")] = False,
    project: Annotated[Path | None, typer.Option(help="Folder of the project, for the warehouse.")] = None,
) -> None:
    """Load events; run again, it goes on where it was.

    Into a line on the wall clock they come as history: they fill profiles and paths by their own times and start no
    journeys. On a scaled clock each comes when the clock reaches its time. Into the warehouse they come without a line,
    while none runs; the next line takes over who was found to be the same person.
    """
    if into is Into.WAREHOUSE:
        _into_warehouse(source, project)
    else:
        _into_line(source, from_start)


def _into_line(source: str, from_start: bool) -> None:
    from connectors.inbound.files import open_source
    from connectors.inbound.files.base import BadSource
    from connectors.inbound.files.replay import NotReady, load_into_line
    from connectors.inbound.files.transactions import Ended
    from pathline.local import current

    try:
        progress = load_into_line(current.kafka_settings(), open_source(source), _tell, from_start)
    except (BadSource, NotReady, Ended) as error:
        raise UserError(str(error)) from None
    typer.echo(f"{progress.accepted:,} accepted, {progress.rejected:,} rejected, {progress.skipped:,} loaded before")
    _say_reasons(progress.reasons)
    if progress.rejected:
        typer.echo("What was rejected is kept: pathline dead-letters list")
    if progress.rejected and not progress.accepted:
        raise typer.Exit(1)


def _into_warehouse(source: str, project: Path | None) -> None:
    from connectors.inbound.files import open_source
    from connectors.inbound.files.base import BadSource
    from pathline.history.load import load_into_warehouse
    from pathline.local import current
    from schemas.definitions import find_project, load
    from sinks.clickhouse.engine import WarehouseError

    def tell(outcome: Outcome) -> None:
        typer.echo(f"{outcome.accepted:,} events", err=True)

    if current.running_line() is not None:
        raise UserError("a line runs in this home: load with --into line, or stop it first (pathline down)")
    try:
        opened = open_source(source)
        outcome = load_into_warehouse(current.settings(), load(find_project(project)), opened, tell)
    except (BadSource, WarehouseError) as error:
        raise UserError(str(error)) from None
    typer.echo(f"{outcome.accepted:,} accepted, {outcome.duplicate:,} duplicate, {outcome.rejected:,} rejected")
    _say_reasons(outcome.reasons)
    if outcome.reasons:
        typer.echo(f"What was rejected is kept: {outcome.kept}")
    if outcome.rejected and not (outcome.accepted or outcome.duplicate):
        raise typer.Exit(1)


def _tell(progress: Progress) -> None:
    at = datetime.fromtimestamp(progress.at / 1000, UTC).isoformat(timespec="minutes")
    typer.echo(f"{progress.accepted:,} events, {progress.per_second:,.0f}/s, at {at}", err=True)


def _say_reasons(reasons: Counter[str]) -> None:
    for reason, count in reasons.most_common(REASONS):
        typer.echo(f"  {count:>7,}  {reason}")
