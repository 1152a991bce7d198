"""`pathline warehouse`: work on the warehouse itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from pathline.commands.asking import Format, answering
from pathline.errors import UserError

app = typer.Typer(help="Work on the warehouse itself.", no_args_is_help=True)


@app.callback()
def warehouse() -> None:
    """Work on the warehouse itself."""


@app.command()
def plan(
    sql: Annotated[bool, typer.Option("--sql", help="The statements that would be run, instead.")] = False,
    format: Format = "table",
) -> None:
    """The migrations of the schema: which were applied and when, which would be; nothing is changed.

    They are applied by `pathline warehouse migrate`, and by the process that writes when it starts. Ends with 1 when
    the warehouse can't be used by this version.
    """
    from pathline.tables import show
    from sinks.clickhouse.migrate import plan as planned

    with answering(prepare=False) as warehouse:
        found = planned(warehouse)
    if sql:
        for one in found:
            for statement in one.pending:
                typer.echo(f"-- {one.migration.name}\n{statement};\n")
    else:
        rows = [
            {"migration": one.migration.name, "state": one.state, "at": one.at, "checksum": one.migration.checksum}
            for one in found
        ]
        show(rows, ("migration", "state", "at", "checksum"), format, "Migrations")
    if any(one.trouble for one in found):
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Bring the warehouse to the schema of this version: before a new version of the sink starts, for example."""
    from pathline.local import current
    from sinks.clickhouse.engine import open_server
    from sinks.clickhouse.migrate import plan as planned

    settings = current.settings()
    with answering(prepare=False) as warehouse:
        todo = [one.migration.name for one in planned(warehouse) if one.pending]
    if settings.warehouse:
        open_server(settings.warehouse).close()
    else:
        with answering():
            pass
    typer.echo(f"applied: {', '.join(todo)}" if todo else "nothing to apply")


@app.command()
def squash() -> None:
    """Write the current person into old rows, so that reads have less to look up; nothing that is read changes.

    The sink does it by itself every PATHLINE_SQUASH_HOURS. It can be stopped anywhere and begun anew.
    """
    from sinks.clickhouse.engine import WarehouseError

    try:
        for said in _squash():
            typer.echo(said)
    except WarehouseError as error:
        raise UserError(str(error)) from None


def _squash() -> Iterator[str]:
    import httpx

    from pathline.local import current
    from sinks.clickhouse.connect import folder
    from sinks.clickhouse.engine import open_embedded, open_server
    from sinks.clickhouse.squash import squash

    settings, line = current.settings(), current.running_line()
    if line is None or settings.warehouse:
        if not (settings.warehouse or folder(settings.home).is_dir()):
            raise UserError(f"there is no warehouse in {settings.home}")
        opened = open_server(settings.warehouse) if settings.warehouse else open_embedded(folder(settings.home))
        try:
            yield from squash(opened)
        finally:
            opened.close()
        return
    url = httpx.URL(line.warehouse).copy_with(path="/squash")
    try:
        with httpx.stream("POST", url, timeout=httpx.Timeout(10, read=None)) as answer:
            if answer.status_code != httpx.codes.OK:
                raise UserError(answer.read().decode().strip())
            yield from answer.iter_lines()
    except httpx.TransportError as error:
        raise UserError(f"the line's warehouse does not answer, say it again: {error}") from None
