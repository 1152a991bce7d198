"""`pathline keys`: which programs may read profiles, and what of them; into which journeys they may let people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from sinks.profiles.keys import Key, KeyFile

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Format = Annotated[Literal["table", "json"], typer.Option(help="table or json.")]


_WIDTH = 200


@app.callback()
def keys() -> None:
    """Make and revoke keys of programs: what each may read of people, into which journeys it may let them."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, such as call-centre.")],
    fields: Annotated[
        str, typer.Option(help="What it may read, by commas: traits, traits.city, segments ...; * is everything.")
    ] = "",
    enter: Annotated[str, typer.Option(help="Journeys it may let people into, by commas; * is any.")] = "",
    inbox: Annotated[bool, typer.Option("--inbox", help="It may ask for tokens that open a person's inbox.")] = False,
    by: Annotated[str, typer.Option(help="Identifier types it may ask by, person_id among them; * is any.")] = "*",
    origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages may use it, https://shop.example.", show_default=False)
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Most requests a second.")] = 200.0,
    client_rate: Annotated[
        float | None, typer.Option(min=0.1, help="Most requests a second of one client address.", show_default=False)
    ] = None,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
    format: Format = "table",
) -> None:
    """Make a key. It is shown once: only its hash is kept."""
    if not fields and not enter and not inbox:
        raise UserError("a key is for something: say --fields, --enter, --inbox, or several")
    _check_types(_several(by), project)
    rights = {
        "fields": _several(fields),
        "by": _several(by),
        "enter": _several(enter),
        "inbox": inbox,
        "origins": origin or [],
        "rate": rate,
        "client_rate": client_rate,
    }
    try:
        key, text = _file().add(name, rights)
    except ValueError as error:
        raise UserError(str(error)) from None
    if format == "json":
        typer.echo(json.dumps(_as_json(key) | {"key": text}, indent=2))
        return
    typer.echo(text)
    typer.echo(f"It is shown this once. {_told(key)}", err=True)


@app.command("list")
def list_(format: Format = "table") -> None:
    """Show all keys with what they may do; those revoked too."""
    from rich.console import Console
    from rich.table import Table

    found = _file().current()
    if format == "json":
        typer.echo(json.dumps([_as_json(key) for key in found], indent=2))
        return
    table = Table("id", "name", "may", "pages of", "requests a second", "made", "revoked", box=None)
    for key in found:
        rate = f"{key.rate:g}" if key.client_rate is None else f"{key.rate:g}, {key.client_rate:g} a client"
        made, revoked = f"{key.created_at:%Y-%m-%d}", f"{key.revoked_at:%Y-%m-%d}" if key.revoked_at else ""
        table.add_row(key.id, key.name, "; ".join(_rights(key)), ", ".join(key.origins), rate, made, revoked)
    # what goes into a file is not cut to the width of nobody's screen
    width = None if sys.stdout.isatty() else _WIDTH
    Console(width=width, markup=False, highlight=False).print(table)


@app.command()
def revoke(key: Annotated[str, typer.Argument(help="Name or id of the key.")]) -> None:
    """Take a key out of force: within a second nobody reads with it."""
    try:
        revoked = _file().revoke(key)
    except LookupError as error:
        raise UserError(f"{error.args[0]} (pathline keys list)") from None
    typer.echo(f"{revoked.name} ({revoked.id}) is revoked")


def _file() -> KeyFile:
    from pathline.local import current
    from sinks.profiles.keys import KeyFile, path_of

    file = KeyFile(path_of(current.settings()))
    try:
        file.current()
    except ValueError as error:
        raise UserError(str(error)) from None
    return file


def _check_types(by: list[str], folder: Path | None) -> None:
    """Whether people can be asked for by these types of identifiers; where no project is at hand, nobody knows."""
    from schemas.definitions import Invalid, find_project, load
    from schemas.definitions.problems import nearest
    from sinks.profiles.keys import ANY, PERSON_ID

    if not by:
        raise UserError("--by: say by which types of identifiers, * for any")
    if by == [ANY]:
        return
    try:
        found = find_project(folder)
    except Invalid as error:
        if folder is None:
            return
        raise UserError(str(error)) from None
    try:
        there = {*load(found).identity.types, PERSON_ID, ANY}
    except Invalid as error:
        raise UserError(f"which types there are can't be read from {found} (--project): {error.problems[0]}") from None
    if strange := [type for type in by if type not in there]:
        raise UserError(f"--by: there is no identifier type {strange[0]!r} ({nearest(strange[0], there)})")


def _several(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _as_json(key: Key) -> dict[str, Any]:
    return key.model_dump(mode="json", exclude={"sha256"})


def _told(key: Key) -> str:
    """A key in a sentence."""
    where = f", on pages of {', '.join(key.origins)}" if key.origins else ""
    return f"{key.name} may {' and '.join(_rights(key))}{where}."


def _rights(key: Key) -> list[str]:
    reads = [f"read {', '.join(key.fields)} by {', '.join(key.by)}"] if key.fields else []
    enters = [f"let people into {', '.join(key.enter)}"] if key.enter else []
    return [*reads, *enters, *(["open inboxes"] if key.inbox else [])]
