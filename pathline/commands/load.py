"""`pathline load`: files and recordings into the line."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from connectors.inbound.files.base import Source
    from sinks.clickhouse.files import Loaded

#: so many of the most frequent reasons are shown
REASONS = 10
#: so many rows are shown by --check
PREVIEWED = 5
EMPTY = "nothing to load: there is no event in it"


class Into(StrEnum):
    """Where a source goes."""

    LINE = "line"
    WAREHOUSE = "warehouse"


def load(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files of Segment messages as JSON lines, of events as CSV or Parquet, also .gz and .zst, patterns of"
            " files as 'logs/*.jsonl', - for standard input; KIND:SOURCE as complete_journey:weeks=4; or a CSV of costs"
            " (day,channel,campaign,amount,currency) or of rates (day,currency,rate).",
            show_default=False,
        ),
    ],
    into: Annotated[Into, typer.Option(help="Where it goes.")] = Into.LINE,
    mapping: Annotated[
        Path | None, typer.Option(help="YAML file that says which column of CSV or Parquet is which field.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Load nothing, show the first rows as messages.")] = False,
    from_start: Annotated[bool, typer.Option(help="Also what was loaded into the line before.")] = False,
    project: Annotated[Path | None, typer.Option(help="Folder of the project, for the warehouse.")] = None,
) -> None:
    """Load events; run again, it goes on where it was.

    Into a line on the wall clock they come as history: they fill profiles and paths by their own times and start no
    journeys. On a scaled clock each comes when the clock reaches its time. Into the warehouse they come without a line,
    while none runs; the next line takes over who was found to be the same person. Costs and rates go into the
    warehouse, with a line or without; a file loaded again replaces what it said of the same days.
    """
    from connectors.inbound.files import open_sources, read_mapping
    from connectors.inbound.files.base import BadSource

    if mapping is None and any(map(_is_money, sources)):
        _money([Path(source) for source in sources])
        return
    try:
        opened = open_sources(sources, None if mapping is None else read_mapping(mapping))
        if check:
            _preview(opened, project)
        elif into is Into.WAREHOUSE:
            _into_warehouse(opened, project)
        else:
            _into_line(opened, from_start)
    except BadSource as error:
        raise UserError(str(error)) from None
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command goes on where this one was.", err=True)
        raise typer.Exit(130) from None


def _preview(source: Source, project: Path | None) -> None:
    """The first messages, and what is wrong with them."""
    import orjson

    from pathline.history.reading import event_of
    from schemas.definitions import find_project, load

    rules, usable = load(find_project(project)).identity, 0
    items = list(islice(source.items(), PREVIEWED))
    if not items:
        raise UserError(EMPTY)
    for item in items:
        text = item.raw.decode(errors="replace") if item.message is None else orjson.dumps(item.message).decode()
        typer.echo(text)
        try:
            event = event_of(item, rules, "load", 0)
        except ValueError as error:
            typer.echo(f"  rejected: {error}")
        else:
            usable += 1
            at = datetime.fromtimestamp(event.occurred_at / 1000, UTC).isoformat(timespec="seconds")
            typer.echo(f"  {event.name} at {at} of {', '.join(event.identifiers)}")
    if not usable:
        raise typer.Exit(1)


def _into_line(source: Source, from_start: bool) -> None:
    from connectors.inbound.files.base import share_of
    from connectors.inbound.files.replay import NotReady, Progress, load_into_line
    from connectors.inbound.files.transactions import Ended
    from pathline.local import current

    def tell(progress: Progress) -> None:
        at = datetime.fromtimestamp(progress.at / 1000, UTC).isoformat(timespec="minutes")
        read = progress.accepted + progress.rejected
        told = _progress(progress.accepted, read, progress.skipped, progress.seconds, share_of(source))
        typer.echo(f"{told}, at {at}", err=True)

    try:
        progress = load_into_line(current.kafka_settings(), source, tell, from_start)
    except (NotReady, Ended) as error:
        raise UserError(str(error)) from None
    if not (progress.accepted or progress.rejected or progress.skipped):
        raise UserError(EMPTY)
    typer.echo(f"{progress.accepted:,} accepted, {progress.rejected:,} rejected, {progress.skipped:,} loaded before")
    _say_reasons(progress.reasons)
    if progress.rejected:
        typer.echo("What was rejected is kept: pathline dead-letters list")
    if progress.rejected and not progress.accepted:
        raise typer.Exit(1)


def _into_warehouse(source: Source, project: Path | None) -> None:
    from pathline.history.load import Outcome, load_into_warehouse
    from pathline.local import current
    from schemas.definitions import find_project, load
    from sinks.clickhouse.engine import WarehouseError

    def tell(outcome: Outcome) -> None:
        told = _progress(outcome.accepted, outcome.read, outcome.before, outcome.seconds, outcome.share)
        typer.echo(told, err=True)

    if current.running_line() is not None:
        raise UserError("a line runs in this home: load with --into line, or stop it first (pathline down)")
    try:
        outcome = load_into_warehouse(current.settings(), load(find_project(project)), source, tell)
    except WarehouseError as error:
        raise UserError(str(error)) from None
    if not (outcome.read or outcome.before):
        raise UserError(EMPTY)
    typer.echo(f"{outcome.accepted:,} accepted, {outcome.duplicate:,} duplicate, {outcome.rejected:,} rejected")
    if outcome.before:
        typer.echo(f"  {outcome.before:>7,}  of them before the load was interrupted")
    _say_reasons(outcome.reasons)
    if outcome.reasons:
        typer.echo(f"What was rejected is kept: {outcome.kept}")
    if outcome.rejected and not (outcome.accepted or outcome.duplicate):
        raise typer.Exit(1)


def _progress(accepted: int, read: int, before: int, seconds: float, share: float | None) -> str:
    """How far a load is; `read` of this run, `before` passed over in it, `seconds` of it, `share` of the source."""
    told = f"{accepted:,} events, {read / max(seconds, 1e-9):,.0f}/s"
    if not share:
        return told
    told += f", {share:.0%}"
    part = share * read / (read + before) if read else 0.0
    if part <= 0 or share >= 1:
        return told
    left = seconds * (1 - share) / part
    return told + f", {left:.0f} s left" if left < 100 else told + f", {left / 60:.0f} min left"


def _is_money(source: str) -> bool:
    from sinks.clickhouse.files import header_of, kind_of

    path = Path(source)
    return path.is_file() and kind_of(header_of(path)) is not None


def _money(paths: list[Path]) -> None:
    """Costs or rates, into the warehouse: through the process that has its files open, where a line runs."""
    for path in paths:
        _one_of_money(path)


def _one_of_money(path: Path) -> None:
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


def _say_reasons(reasons: Counter[str]) -> None:
    for reason, count in reasons.most_common(REASONS):
        typer.echo(f"  {count:>7,}  {reason}")
