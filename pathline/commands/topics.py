"""`pathline topics`: the topics of the line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The topics of the line.", no_args_is_help=True)


@app.callback()
def topics() -> None:
    """Create or check the topics of the line."""


@app.command()
def apply(project: Annotated[Path | None, typer.Option(help="Folder of the project.")] = None) -> None:
    """Create what is missing and bring settings in line; another partition count than wanted is refused."""
    from pathline.local import current
    from pathline.local.plan import topic_channels
    from schemas.definitions import find_project, load
    from schemas.kafka import apply_topics

    settings = current.kafka_settings()
    applied = apply_topics(settings, topic_channels(load(find_project(project))))
    for name in applied.created:
        typer.echo(f"created   {name}")
    for name in applied.adjusted:
        typer.echo(f"adjusted  {name}")
    total = len(applied.created) + len(applied.adjusted) + len(applied.unchanged)
    typer.echo(f"{total} topics as they should be at {settings.brokers}, {len(applied.unchanged)} of them unchanged")
