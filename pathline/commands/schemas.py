"""`pathline schemas`: what travels in the topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathline.errors import UserError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def schemas() -> None:
    """Check the record schemas, and write out the JSON Schemas of a project's files."""


@app.command()
def check() -> None:
    """Check that every version of a record can be read with every other one, both ways."""
    from schemas.codec import FOLDER
    from schemas.compatibility import check as find_problems

    if problems := find_problems():
        raise UserError("\n".join(problems))
    typer.echo(f"{len(list(FOLDER.glob('*/v*.avsc')))} schema versions are compatible both ways")


@app.command()
def write(folder: Annotated[Path, typer.Argument(help="Where to, for example the folder of your project.")]) -> None:
    """Write the JSON Schemas of a project's files, with which editors complete and check them."""
    from schemas.definitions.published import texts

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text, "utf-8")
    typer.echo(f"{len(texts())} schemas written to {folder}")
