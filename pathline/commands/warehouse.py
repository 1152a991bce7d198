"""`pathline warehouse`: work on the warehouse itself."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from pathline.errors import UserError

app = typer.Typer(help="Work on the warehouse itself.", no_args_is_help=True)


@app.callback()
def warehouse() -> None:
    """Work on the warehouse itself."""


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
