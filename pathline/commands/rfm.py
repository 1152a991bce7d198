"""`pathline rfm`: the bounds between the scores that `rfm` conditions ask for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from schemas.definitions import Project

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def rfm() -> None:
    """Score people by how recently, how often and for how much they bought."""


@app.command()
def fit(
    output: Annotated[
        Path | None, typer.Option(help="Write the bounds to this file and publish nothing.", show_default=False)
    ] = None,
    every: Annotated[str, typer.Option(help="Go on, and fit again after each such time.", show_default=False)] = "",
    project: Annotated[
        Path | None, typer.Option(help="Folder of the project; default: the project in force.", show_default=False)
    ] = None,
) -> None:
    """Find the bounds that divide the people who bought into fifths, in the warehouse, and put them into force.

    All workers change over at the same marker. `pathline apply` keeps the bounds in force unless the project has its
    own rfm_bounds.yaml.
    """
    from pathline.commands.asking import duration

    pause = duration(every, "--every") / 1000 if every else None
    while True:
        _fit(output, project)
        if pause is None:
            return
        time.sleep(pause)


def _fit(output: Path | None, folder: Path | None) -> None:
    from pathline.commands.apply import publish, user
    from pathline.commands.asking import answering
    from pathline.local import current
    from pathline.rfm.fitting import of_warehouse
    from schemas.definitions import find_project, load, parse
    from schemas.definitions.expressions import iso
    from schemas.definitions.loading import BOUNDS
    from schemas.definitions.scores import written

    project = _in_force() if folder is None and output is None else load(find_project(folder))
    now = current.settings().make_clock().now()
    with answering() as warehouse:
        found = of_warehouse(warehouse, project, now)
    text = written(found.bounds(now), f"{iso(now)} of {len(found.last)} people")
    typer.echo(text, nl=False)
    if output is not None:
        output.write_text(text, "utf-8")
        return
    fitted = parse({**project.files, BOUNDS: text})
    publish(current.kafka_settings(), fitted, user())
    typer.echo(f"{fitted.name} {fitted.version} is in force")


def _in_force() -> Project:
    """The project published last. Raises UserError when there is none."""
    from pathline.commands.apply import published_last
    from pathline.local import current
    from schemas.definitions import parse
    from schemas.registry import codec_for

    settings = current.kafka_settings()
    published = published_last(settings, codec_for(settings))
    if published is None:
        raise UserError("No project is in force: publish one with `pathline apply`.")
    return parse(published.files)
