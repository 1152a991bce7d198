"""`pathline report`: a week on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathline.commands.asking import From, ProjectFolder, To, Touching, answering, project_of, question, span


@question
def report(
    touching: Touching,
    output: Annotated[Path, typer.Option(help="File to write the page to.")] = Path("report.html"),
    steps: Annotated[
        list[str] | None,
        typer.Option(
            help="Event of the funnel, once for each step; default: what most people do, then the conversion."
        ),
    ] = None,
    from_: From = None,
    to: To = None,
    project: ProjectFolder = None,
) -> None:
    """One page that answers what a marketing lead asks every Monday; by default of the newest full week."""
    from pathline.errors import UserError
    from pathline.local import current
    from pathline.report import Report, draw
    from sinks.clickhouse.paths.weekly import WEEK_MS, Span, newest_week

    since, until = span(from_, to)
    rules, loaded = touching.rules(project), project_of(project)
    with answering() as warehouse:
        if since is not None or until is not None:
            week = Span(
                since if since is not None else (until or 0) - WEEK_MS,
                until if until is not None else (since or 0) + WEEK_MS,
            )
        else:
            week = newest_week(warehouse, current.settings().make_clock().now())
        told = draw(warehouse, Report(week, rules, loaded, tuple(steps or ())))
    try:
        output.write_text(told, "utf-8")
    except OSError as error:
        raise UserError(f"{output} can't be written: {error.strerror}") from error
    typer.echo(f"{output.absolute()}: open it in a browser, it needs no network")
