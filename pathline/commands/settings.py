"""`pathline settings`: every setting of a line, what it means and what is in force."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def settings(
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Show the settings: environment variable, value in force, meaning. Times are milliseconds."""
    from rich.console import Console
    from rich.table import Table

    from schemas.settings import Settings

    inforce = Settings().model_dump(mode="json")
    rows = [(f"PATHLINE_{name.upper()}", inforce[name], field) for name, field in Settings.model_fields.items()]
    if format == "json":
        listed = [{"name": name, "value": value, "about": field.description} for name, value, field in rows]
        typer.echo(json.dumps(listed, indent=2))
        return
    table = Table("variable", "value", "default", "meaning", box=None)
    for name, value, field in rows:
        table.add_row(name, str(value), str(field.default), field.description or "")
    Console().print(table)
