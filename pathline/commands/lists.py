"""`pathline lists`: static lists of people, for `in: list:NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from pathline.lists.keeping import Keeper

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Name of the list, as in `in: list:NAME`.")]
Format = Annotated[Literal["table", "json", "csv"], typer.Option(help="table, json or csv.")]

#: so many lines that could not be used are shown
SHOWN = 10


@app.callback()
def lists() -> None:
    """Keep static lists of people, for `in: list:NAME`."""


@app.command("import")
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help="FILE.txt with type:value a line, or FILE.csv with named columns.")],
    add: Annotated[bool, typer.Option("--add", help="Who is in the file joins (the default).")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Who is not in the file leaves, too.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Who is in the file leaves.")] = False,
    column: Annotated[str, typer.Option(help="Column of the identifiers.", show_default=False)] = "",
    type: Annotated[str, typer.Option(help="Identifier type of values without one.", show_default=False)] = "",
) -> None:
    """Let the people of a file join or leave a list; segments follow at once. Done again, it changes nothing more."""
    from pathline.lists.files import read

    if add + replace + remove > 1:
        raise UserError("one of --add, --replace and --remove, not several")
    if not file.is_file():
        raise UserError(f"no such file: {file}")
    keeper, rules = _keeper(name)
    listed = read(file, rules, column, type)
    for number, reason in listed.rejected[:SHOWN]:
        typer.echo(f"{file}:{number}: {reason}", err=True)
    if len(listed.rejected) > SHOWN:
        typer.echo(f"... and {len(listed.rejected) - SHOWN} more lines that could not be used", err=True)
    if not listed.identifiers and (listed.rejected or not replace):
        raise UserError(f"{file} has no usable identifier: the list {name} is as it was")
    if replace and listed.rejected:
        raise UserError(f"with --replace every line has to be usable: the list {name} is as it was")
    inside = keeper.members.get(name, {})
    leaving = listed.identifiers if remove else [one for one in inside if one not in listed.identifiers]
    joined, left = keeper.change(
        name,
        () if remove else listed.identifiers,
        leaving if remove or replace else (),
        lambda done: typer.echo(f"{done:,} written", err=True),
    )
    typer.echo(f"{name}: {joined:,} joined, {left:,} left, {len(inside) + joined - left:,} in it")


@app.command("list")
def list_(format: Format = "table") -> None:
    """The lists of the line, with how many are in each."""
    from pathline.tables import show
    from schemas.definitions.expressions import iso

    rows = [
        {"list": name, "members": len(listed), "last_joined": iso(max(listed.values()))}
        for name, listed in _members().items()
    ]
    show(rows, ("list", "members", "last_joined"), format, "Lists")


@app.command()
def show(name: Name, format: Format = "table") -> None:
    """Who is in a list, and since when."""
    from pathline.tables import show as shown
    from schemas.definitions.expressions import iso

    rows = [{"identifier": one, "since": iso(since)} for one, since in _existing(name, _members()).items()]
    shown(rows, ("identifier", "since"), format, f"List {name}")


@app.command()
def remove(name: Name) -> None:
    """Take everybody out of a list, which is gone then."""
    keeper, _ = _keeper(name)
    _, left = keeper.change(name, (), _existing(name, keeper.members))
    typer.echo(f"{name}: {left:,} left, the list is gone")


def _members() -> Mapping[str, Mapping[str, int]]:
    from pathline.lists.keeping import members
    from pathline.local import current
    from schemas.registry import codec_for

    settings = current.kafka_settings()
    return members(settings, codec_for(settings))


def _existing(name: str, members: Mapping[str, Mapping[str, int]]) -> Mapping[str, int]:
    from schemas.definitions.problems import nearest

    if name not in members:
        raise UserError(f"there is no list {name!r} ({nearest(name, members)})")
    return members[name]


def _keeper(name: str) -> tuple[Keeper, Any]:
    """Who may change lists, and the rules of identity in force."""
    from pathline.commands.identity import in_force
    from pathline.lists.keeping import Keeper
    from pathline.local import current
    from schemas.definitions.grammar.base import usable_name

    try:
        usable_name(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    settings = current.kafka_settings()
    rules, codec = in_force(settings)
    return Keeper(settings, codec), rules
