"""`pathline state`: what the processors remember, where a person has to put it right."""

from __future__ import annotations

from typing import Annotated

import typer

from pathline.errors import UserError

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def state() -> None:
    """State of the processors, as their changelogs keep it."""


@app.command("put-back")
def put_back(
    processor: Annotated[str, typer.Argument(metavar="APP", help="Whose state, as it says itself: segments.")],
    place: Annotated[str, typer.Argument(help="The wrong record in its changelog, as it says: partition:offset.")],
    delete: Annotated[bool, typer.Option("--delete", help="Leave no state under the key instead.")] = False,
) -> None:
    """Put back the state that a key had before somebody else wrote over it.

    For a worker that has stopped with exit code 76; none of its app may run meanwhile.
    """
    from pathline import changelogs
    from pathline.local import current

    partition, _, offset = place.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise UserError(f"{place}: wanted is partition:offset, as 2:1234")
    done = changelogs.put_back(current.kafka_settings(), processor, int(partition), int(offset), delete=delete)
    found = "no state" if done.offset is None else f"the state of offset {done.offset}"
    typer.echo(f"{done.key!r} has {found} again.")
