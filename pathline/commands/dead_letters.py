"""`pathline dead-letters`: what could not be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from pathline.dead_letters import DeadLetter

app = typer.Typer(no_args_is_help=True)

Format = Annotated[str, typer.Option(help="table or json.")]


@app.callback()
def dead_letters() -> None:
    """See what could not be used and why, and give it to its reader once more."""


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, the newest.")] = 50,
    format: Format = "table",
) -> None:
    """List dead letters, oldest first."""
    from rich.console import Console
    from rich.table import Table

    from pathline.dead_letters import read
    from pathline.local import current

    letters = sorted(read(current.kafka_settings()), key=lambda letter: int(letter.headers.get("at", 0)))
    shown = letters[-limit:]
    if format == "json":
        typer.echo(json.dumps([_summary(letter) for letter in shown], indent=2))
        return
    table = Table("id", "at", "by", "from", "reason", "replayed", box=None)
    for letter in shown:
        told = _summary(letter)
        table.add_row(
            *(str(told[name]) for name in ("id", "at", "by", "from", "reason")), "yes" if letter.replayed else ""
        )
    Console().print(table)
    typer.echo(f"{len(letters)} dead letters" + (f", the newest {limit} shown" if len(letters) > limit else ""))


@app.command()
def show(id: Annotated[str, typer.Argument(help="As listed: partition:offset.")], format: Format = "table") -> None:
    """Show one dead letter whole: headers, key and value, decoded where it can be."""
    from pathline.dead_letters import read
    from pathline.local import current

    found = [letter for letter in read(current.kafka_settings()) if letter.id == id]
    if not found:
        raise UserError(f"There is no dead letter {id}.")
    letter = found[0]
    whole = _summary(letter) | {
        "headers": letter.headers,
        "key": _readable(letter.key),
        "value": _readable(letter.value),
        "value_hex": letter.value.hex() if letter.value is not None else None,
    }
    if format == "json":
        typer.echo(json.dumps(whole, indent=2))
        return
    for name, value in (letter.headers | {"key": whole["key"], "value": whole["value"]}).items():
        typer.echo(f"{name:<10} {value}")
    if letter.value is not None:
        typer.echo(f"{'bytes':<10} {letter.value.hex(' ', 4)}")


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="As listed: partition:offset.")] = None,
    all: Annotated[bool, typer.Option("--all", help="All that can be replayed and were not yet.")] = False,
) -> None:
    """Put dead letters back into the topics they came from, each exactly once."""
    from pathline.dead_letters import replay as put_back
    from pathline.local import current

    if bool(ids) == all:
        raise UserError("Name dead letters by their id (pathline dead-letters list), or say --all.")
    for letter in put_back(current.kafka_settings(), None if all else ids):
        typer.echo(f"{letter.id} -> {letter.headers['topic']}")


def _summary(letter: DeadLetter) -> dict[str, Any]:
    head = letter.headers
    at = head.get("at", "")
    return {
        "id": letter.id,
        "at": datetime.fromtimestamp(int(at) / 1000, UTC).isoformat(timespec="seconds") if at.isdigit() else "",
        "by": head.get("app", ""),
        "from": letter.origin,
        "reason": f"{head.get('error', '')}: {head.get('message', '')}",
        "replayed": letter.replayed,
    }


def _readable(data: bytes | None) -> str | None:
    """Text where it is text; control characters and other bytes escaped."""
    if data is None:
        return None
    return data.decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")
