"""`pathline segments sql`: a segment as a query over the warehouse."""

from __future__ import annotations

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
    """The project of a folder, else the one in force on a running line, else that of this folder. Raises UserError,
    Invalid."""
    from pathline.commands.asking import answering
    from pathline.local import current
    from schemas.definitions import find_project, load
    from sinks.clickhouse.views import published

    if folder is None and current.running_line() is not None:
        with answering(prepare=False) as warehouse:
            project = published(warehouse)
        if project is not None:
            return project
    return load(find_project(folder))


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
