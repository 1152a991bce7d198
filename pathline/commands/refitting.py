"""What `pathline rfm fit` and `pathline predict fit` share: find something in the warehouse, put it into force."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from schemas.definitions import Project
    from sinks.clickhouse.engine import Warehouse

Output = Annotated[
    Path | None, typer.Option(help="Write what was found to this file and publish nothing.", show_default=False)
]
Every = Annotated[str, typer.Option(help="Go on, and fit again after each such time.", show_default=False)]
Folder = Annotated[
    Path | None, typer.Option(help="Folder of the project; default: the project in force.", show_default=False)
]
#: the text of a file, from the warehouse as it is at an instant (milliseconds since 1970 UTC); None when there is
#: nothing to put into force
Finding = Callable[["Warehouse", "Project", int], str | None]


def refit(file: str, finding: Finding, output: Path | None, every: str, folder: Path | None) -> None:
    """Find the text of a file of the project once, or again and again, and publish the project with it."""
    from pathline.commands.asking import duration

    pause = duration(every, "--every") / 1000 if every else None
    while True:
        _fit(file, finding, output, folder)
        if pause is None:
            return
        time.sleep(pause)


def known_project(folder: Path | None) -> Project:
    """The project of a folder; without one the project published last. Raises UserError when there is none."""
    from pathline.commands.apply import published_last
    from pathline.local import current
    from schemas.definitions import find_project, load, parse
    from schemas.registry import codec_for

    if folder is not None:
        return load(find_project(folder))
    settings = current.kafka_settings()
    published = published_last(settings, codec_for(settings))
    if published is None:
        raise UserError("No project is in force: publish one with `pathline apply`.")
    return parse(published.files)


def _fit(file: str, finding: Finding, output: Path | None, folder: Path | None) -> None:
    from pathline.commands.apply import publish, user
    from pathline.commands.asking import answering
    from pathline.local import current
    from schemas.definitions import find_project, load, parse

    project = load(find_project(None)) if folder is None and output is not None else known_project(folder)
    now = current.settings().make_clock().now()
    with answering() as warehouse:
        text = finding(warehouse, project, now)
    if text is None:
        return
    typer.echo(text, nl=False)
    if output is not None:
        output.write_text(text, "utf-8")
        return
    fitted = parse({**project.files, file: text})
    new = publish(current.kafka_settings(), fitted, user())
    typer.echo(f"{fitted.name} {fitted.version} {'is' if new else 'was'} in force{'' if new else ' already'}")
