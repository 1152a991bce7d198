"""What the commands that ask the warehouse share: common options and how they are understood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from schemas.definitions import Project
    from sinks.clickhouse.engine import Warehouse
    from sinks.clickhouse.paths.filters import Filters
    from sinks.clickhouse.paths.touches import Nodes, TouchRules

From = Annotated[str | None, typer.Option("--from", help="First instant (UTC where it names no offset).")]
To = Annotated[str | None, typer.Option("--to", help="Instant up to which, itself excluded.")]
Segment = Annotated[str, typer.Option(help="Only people who are in this segment now.")]
Where = Annotated[str, typer.Option(help="Only events for which this holds, as event.properties.total > 20 (CEL).")]
Format = Annotated[str, typer.Option(help="table, json, csv or html.")]
ProjectFolder = Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)]
Touch = Annotated[str, typer.Option(help="From when a send is a touch: sent, delivered, opened or clicked.")]
Gap = Annotated[str, typer.Option(help="A visit ends after this silence.")]


@contextmanager
def answering() -> Iterator[Warehouse]:
    """The warehouse of the line; its troubles and bad questions are told to the person at the command line."""
    from pathline.errors import UserError
    from pathline.local import current
    from sinks.clickhouse.connect import connect
    from sinks.clickhouse.engine import WarehouseError
    from sinks.clickhouse.migrate import SchemaError
    from sinks.clickhouse.paths.filters import BadQuestion

    try:
        warehouse = connect(current.settings())
        try:
            yield warehouse
        finally:
            warehouse.close()
    except (WarehouseError, SchemaError, BadQuestion) as error:
        raise UserError(str(error)) from error


def filters(from_: str | None, to: str | None, segment: str, where: str) -> Filters:
    """The common options. Raises typer.BadParameter."""
    from schemas.definitions.expressions import compile
    from sinks.clickhouse.paths.filters import Filters

    try:
        expression = compile(where) if where else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--where") from error
    return Filters(instant(from_, "--from"), instant(to, "--to"), segment, expression)


def touch_rules(project: Path | None, touch: str, gap: str) -> TouchRules:
    """What counts as a touch: session channels and sources from the project. Raises typer.BadParameter."""
    from schemas.definitions.defaults import SOURCES
    from schemas.receipts import DEPTHS
    from sinks.clickhouse.paths.sources import source_of
    from sinks.clickhouse.paths.touches import TouchRules

    if touch not in DEPTHS:
        raise typer.BadParameter(f"{touch!r} is none of {', '.join(DEPTHS)}", param_hint="--touch")
    loaded = project_of(project)
    if loaded is None:
        typer.echo("no project here, so no channel is one of visits (--project)", err=True)
    sessions = {channel.name for channel in loaded.channels.values() if channel.kind == "session"} if loaded else set()
    source = source_of(loaded.sources if loaded else SOURCES)
    return TouchRules(frozenset(sessions), duration(gap, "--session-gap"), DEPTHS[touch], source)


def nodes_of(
    by: str, clean: list[str] | None, exclude: list[str] | None, project: Path | None, touch: str, gap: str
) -> Nodes:
    """What the nodes of paths are. Raises typer.BadParameter."""
    from sinks.clickhouse.paths.touches import Nodes

    rules = []
    for rule in clean or ():
        pattern, arrow, alias = rule.partition("=>")
        if not pattern or not arrow:
            raise typer.BadParameter(f"{rule!r} is not PATTERN=>NAME", param_hint="--clean")
        try:
            re.compile(pattern)
        except re.error as error:
            raise typer.BadParameter(f"{pattern!r}: {error}", param_hint="--clean") from error
        rules.append((pattern, alias))
    return Nodes(by, touch_rules(project, touch, gap), tuple(rules), frozenset(exclude or ()))


def column_of(by: str) -> str:
    """The name of the column that tells nodes."""
    return by.partition(":")[0]


def edge_of(text: str) -> tuple[int, str, str]:
    """Step, from and to of STEP:FROM->TO. Raises typer.BadParameter."""
    step, _, edge = text.partition(":")
    origin, arrow, target = edge.partition("->")
    if not step.strip().isdecimal() or not arrow:
        raise typer.BadParameter(f"{text!r} is not STEP:FROM->TO, for example 1:web->email", param_hint="--people")
    return int(step), origin.strip(), target.strip()


def project_of(option: Path | None) -> Project | None:
    """The project: the option, else that of the folder, else that of the running line; None when there is none."""
    from pathline.local import current
    from schemas.definitions import Invalid, find_project, load

    try:
        folder = find_project(option)
    except Invalid:
        line = current.running_line()
        if option is not None:
            raise
        if line is None or not line.project or not Path(line.project).is_dir():
            return None
        folder = Path(line.project)
    return load(folder)


def duration(text: str, option: str) -> int:
    """Milliseconds of 30m, 7d. Raises typer.BadParameter."""
    from schemas.definitions import durations

    try:
        return durations.duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def instant(text: str | None, option: str) -> int | None:
    """Milliseconds since 1970 UTC of a date or an instant in ISO 8601. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 date or instant", param_hint=option) from error
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
