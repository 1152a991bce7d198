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
    from sinks.clickhouse.files import Loaded

#: so many of the most frequent reasons are shown
REASONS = 10


class Into(StrEnum):
    """Where a source goes."""

    LINE = "line"
    WAREHOUSE = "warehouse"


def load(
    source: Annotated[
        str,
        typer.Argument(
            help="FILE.jsonl of Segment messages, KIND:SOURCE as complete_journey:weeks=4, or a CSV of costs"
            " (day,channel,campaign,amount,currency) or of rates (day,currency,rate)."
        ),
    ],
    into: Annotated[Into, typer.Option(help="Where it goes.")] = Into.LINE,
    from_start: Annotated[bool, typer.Option(help="Also what was loaded into the line before.")] = False,
    project: Annotated[Path | None, typer.Option(help="Folder of the project, for the warehouse.")] = None,
) -> None:
    """Load events; run again, it goes on where it was.

    Into a line on the wall clock they come as history: they fill profiles and paths by their own times and start no
    journeys. On a scaled clock each comes when the clock reaches its time. Into the warehouse they come without a line,
    while none runs; the next line takes over who was found to be the same person. Costs and rates go into the
    warehouse, with a line or without; a file loaded again replaces what it said of the same days.
    """
    if _is_money(source):
        _money(Path(source))
    elif into is Into.WAREHOUSE:
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


def _is_money(source: str) -> bool:
    from sinks.clickhouse.files import header_of, kind_of

    path = Path(source)
    return path.is_file() and kind_of(header_of(path)) is not None


def _money(path: Path) -> None:
    """Costs or rates, into the warehouse: through the process that has its files open, where a line runs."""
    from sinks.clickhouse.engine import WarehouseError
    from sinks.clickhouse.files import BadFile

    try:
        loaded = _taken(path.read_text("utf-8-sig"), path.name)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error}") from None
    except (BadFile, WarehouseError) as error:
        raise UserError(str(error)) from None
    typer.echo(f"{loaded.accepted:,} accepted, {len(loaded.rejected):,} rejected")
    for line, reason in loaded.rejected[:REASONS]:
        typer.echo(f"  line {line}: {reason}")
    if loaded.rejected and not loaded.accepted:
        raise typer.Exit(1)


def _taken(text: str, file: str) -> Loaded:
    import httpx

    from pathline.local import current
    from sinks.clickhouse.connect import folder
    from sinks.clickhouse.engine import open_embedded, open_server
    from sinks.clickhouse.files import Loaded, load_text

    settings, line = current.settings(), current.running_line()
    if line is not None and not settings.warehouse:
        url = httpx.URL(line.warehouse).copy_with(path="/files").copy_add_param("file", file)
        try:
            answer = httpx.post(url, content=text.encode(), timeout=120)
        except httpx.TransportError as error:
            raise UserError(f"the line's warehouse does not answer: {error}") from None
        if answer.status_code != httpx.codes.OK:
            raise UserError(answer.text.strip())
        told = answer.json()
        return Loaded(told["accepted"], [(number, reason) for number, reason in told["rejected"]])
    warehouse = open_server(settings.warehouse) if settings.warehouse else open_embedded(folder(settings.home))
    try:
        return load_text(warehouse, text, file)
    finally:
        warehouse.close()


def _tell(progress: Progress) -> None:
    at = datetime.fromtimestamp(progress.at / 1000, UTC).isoformat(timespec="minutes")
    typer.echo(f"{progress.accepted:,} events, {progress.per_second:,.0f}/s, at {at}", err=True)


def _say_reasons(reasons: Counter[str]) -> None:
    for reason, count in reasons.most_common(REASONS):
        typer.echo(f"  {count:>7,}  {reason}")
