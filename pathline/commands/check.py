"""`pathline check`: what is wrong with a project, before anything is published."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("table", "json")


def check(
    folder: Annotated[Path | None, typer.Argument(help="Folder of the project.", show_default=False)] = None,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Check a project: every mistake with file, line, column and what would be valid. Exit code 1 if there is one."""
    from connectors.outbound.registry import unserved
    from pathline.promos.files import of_project
    from schemas.definitions import Invalid, find_project, load
    from schemas.definitions.advice import advice

    if format not in FORMATS:
        raise typer.BadParameter(f"{format!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    found = find_project(project or folder)
    try:
        checked = load(found)
    except Invalid as invalid:
        place = Path(os.path.relpath(found))
        problems = [replace(problem, file=(place / problem.file).as_posix()) for problem in invalid.problems]
        if format == "json":
            typer.echo(json.dumps([asdict(problem) for problem in problems], indent=2, ensure_ascii=False))
        else:
            for problem in problems:
                typer.echo(str(problem), err=True)
            typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
        raise typer.Exit(1) from None
    if format == "json":
        typer.echo("[]")
        return
    segments = sum(1 for name in checked.segments if not name.startswith("~"))
    for line in (*unserved(checked), *advice(checked), *of_project(found, checked)[1]):
        typer.echo(f"note: {line}", err=True)
    parts = (
        f"{segments} segments",
        f"{len(checked.journeys)} journeys",
        f"{len(checked.templates)} templates",
        f"{len(checked.channels)} channels",
    )
    typer.echo(f"{checked.name} {checked.version}: {', '.join(parts)}, all sound")
