"""`pathline segments sql`: a segment as a query over the warehouse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from schemas.definitions.model import Project

Name = Annotated[str, typer.Argument(help="Name of the segment.")]
At = Annotated[str | None, typer.Option(help="Instant in ISO 8601; default: now.", show_default=False)]


def sql(
    name: Name,
    at: At = None,
    identifiers: Annotated[bool, typer.Option("--identifiers", help="Select how people are known, too.")] = False,
    arrived: Annotated[
        bool, typer.Option("--arrived", help="Only what had arrived by then, not what is known of that time today.")
    ] = False,
    project: Annotated[
        Path | None,
        typer.Option(help="Folder of a project, instead of the one in force.", show_default=False),
    ] = None,
) -> None:
    """Print a segment as SQL over the warehouse that finds its members at an instant, from the events alone.

    Run it as it is: curl "$URL" --data-binary @vip.sql
    """
    from pathline.errors import UserError
    from pathline.members.statement import statement
    from sinks.clickhouse.cel.values import Inexpressible

    loaded = project_in_force(project)
    known_segment(loaded, name)
    try:
        typer.echo(statement(loaded, name, moment(at), identifiers, arrived), nl=False)
    except Inexpressible as error:
        raise UserError(f"segment {name} can't be said in SQL: {error}") from error


def project_in_force(folder: Path | None) -> Project:
    """The project of a folder; else the one in force on the line; else that of the folder one is in, or that of the
    history that was loaded. Raises UserError, Invalid."""
    from pathline.commands.asking import answering
    from pathline.local import current
    from processors.runtime.published import PublishedDefinitions
    from schemas.definitions import Invalid, find_project, load
    from schemas.registry import codec_for
    from sinks.clickhouse.views import published

    if folder is None and line_is_named():
        settings = current.kafka_settings()
        in_force = PublishedDefinitions(settings.brokers, codec_for(settings)).latest()
        if in_force is not None:
            return in_force
    try:
        return load(find_project(folder))
    except Invalid:
        if folder is not None:
            raise
        with answering(prepare=False) as warehouse:
            loaded = published(warehouse)
        if loaded is None:
            raise
        return loaded


def line_is_named() -> bool:
    """Whether a line runs in this home, or the environment names its Kafka."""
    from pathline.local import current

    return current.running_line() is not None or "PATHLINE_BROKERS" in os.environ


def known_segment(project: Project, name: str) -> None:
    """Raises UserError when the project has no such segment."""
    from pathline.errors import UserError
    from schemas.definitions.hoisting import HIDDEN
    from schemas.definitions.problems import nearest

    if name not in project.segments:
        names = [one for one in project.segments if not one.startswith(HIDDEN)]
        raise UserError(f"there is no segment {name!r}: {nearest(name, names) or 'the project has none'}")


def moment(at: str | None) -> int:
    """The instant of an option, else now on the clock of the line: milliseconds since 1970 UTC. Raises
    typer.BadParameter."""
    from pathline.commands.asking import instant
    from pathline.local import current

    found = instant(at, "--at")
    return found if found is not None else current.settings().make_clock().now()
