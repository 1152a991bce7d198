"""`pathline load`: files and recordings into the line."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from connectors.inbound.files.replay import Progress

#: so many of the most frequent reasons are shown
REASONS = 10


class Into(StrEnum):
    """Where a source goes."""

    LINE = "line"


def load(
    source: Annotated[
        str, typer.Argument(help="FILE.jsonl of Segment messages, or KIND:SOURCE, as complete_journey:weeks=4.")
    ],
    into: Annotated[Into, typer.Option(help="Where it goes.")] = Into.LINE,
    from_start: Annotated[bool, typer.Option(help="Also what was loaded before.")] = False,
) -> None:
    """Load events; run again, it goes on where it was.

    Into a line on the wall clock they come as history: they fill profiles and paths by their own times and start no
    journeys. On a scaled clock each comes when the clock reaches its time.
    """
    from connectors.inbound.files import open_source
    from connectors.inbound.files.base import BadSource
    from connectors.inbound.files.replay import NotReady, load_into_line
    from connectors.inbound.files.transactions import Ended
    from pathline.local import current

    try:
        progress = load_into_line(current.settings(), open_source(source), _tell, from_start)
    except (BadSource, NotReady, Ended) as error:
        raise UserError(str(error)) from None
    _sum_up(progress)


def _tell(progress: Progress) -> None:
    at = datetime.fromtimestamp(progress.at / 1000, UTC).isoformat(timespec="minutes")
    typer.echo(f"{progress.accepted:,} events, {progress.per_second:,.0f}/s, at {at}", err=True)


def _sum_up(progress: Progress) -> None:
    typer.echo(f"{progress.accepted:,} accepted, {progress.rejected:,} rejected, {progress.skipped:,} loaded before")
    for reason, count in progress.reasons.most_common(REASONS):
        typer.echo(f"  {count:>7,}  {reason}")
    if progress.rejected:
        typer.echo("What was rejected is kept: pathline dead-letters list")
    if progress.rejected and not progress.accepted:
        raise typer.Exit(1)
