"""`pathline segments`: those in force and who is in them, and what another version of the definitions would change."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.commands.segments_members import list_, members, show_
from pathline.commands.segments_sql import sql
from pathline.tables import as_csv, show

if TYPE_CHECKING:
    from pathline.turnover.comparing import Difference

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Format = Annotated[Literal["table", "json", "csv"], typer.Option(help="table, json or csv.")]
#: so many people are shown of those who would enter or leave
SHOWN = 3


for name, command in (("list", list_), ("show", show_), ("members", members), ("sql", sql)):
    app.command(name)(command)


@app.callback()
def segments() -> None:
    """See the segments in force, and what other definitions would change."""


@app.command()
def diff(
    folder: Annotated[Path | None, typer.Argument(help="Folder of the project.", show_default=False)] = None,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
    format: Format = "table",
) -> None:
    """Show who would enter and leave segments if a project were applied; nothing is changed.

    The table has counts and examples, json and csv everybody.
    """
    from pathline.erasing.reading import records, topics_of
    from pathline.local import current
    from pathline.turnover.comparing import compare, history
    from processors.runtime.published import PublishedDefinitions
    from schemas.definitions import find_project, load
    from schemas.registry import codec_for
    from schemas.topics import PEOPLE

    new = load(find_project(project or folder))
    settings = current.kafka_settings()
    codec = codec_for(settings)
    old = PublishedDefinitions(settings.brokers, codec).latest()
    messages = records(settings.brokers, PEOPLE, topics_of(settings.brokers)[PEOPLE])
    past = history(messages, codec, lambda number: print(f"{number:,} records of history", file=sys.stderr))
    found = compare(old, new, past, settings.make_clock().now(), codec)
    if format == "json":
        told = {
            "in_force": old.version if old is not None else None,
            "version": new.version,
            "segments": [asdict(one) for one in found],
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif format == "csv":
        typer.echo(as_csv(_everybody(found), ("segment", "change", "person_id", "identifiers")), nl=False)
    elif not found:
        typer.echo("Nobody would enter or leave a segment.")
    else:
        rows = [_row(one) for one in found]
        show(rows, ("segment", "definition", "members", "then", "enter", "leave", "for_example"), "table", "")


@app.command()
def reach(
    name: Annotated[str, typer.Argument(help="Name of the segment.")],
    purpose: Annotated[str, typer.Option(help="What the message would be for, as people consent to it.")] = "",
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
    format: Format = "table",
) -> None:
    """Tell whom of a segment a marketing message would reach right now, channel by channel, and what is in its way."""
    from pathline.commands.asking import answering
    from pathline.commands.in_force import in_force
    from pathline.errors import UserError
    from pathline.journeys.reaching import reach as found
    from pathline.local import current
    from schemas.definitions.problems import nearest

    with answering() as warehouse:
        loaded, _ = in_force(warehouse, project)
        if name not in loaded.segments:
            raise UserError(f"there is no segment {name!r}: {nearest(name, loaded.segments)}")
        rows = found(warehouse, loaded, name, current.settings().make_clock().now(), purpose)
    columns = ("channel", "people", "reachable", "no_consent", "suppressed", "allowed", "capped", "quiet", "now")
    show([asdict(row) for row in rows], columns, format, f"Reach of {name}")


def _row(one: Difference) -> dict[str, Any]:
    shown = [f"+{_name(who)}" for who in one.enter[:SHOWN]] + [f"-{_name(who)}" for who in one.leave[:SHOWN]]
    return {
        "segment": one.segment,
        "definition": one.definition,
        "members": one.before,
        "then": one.after,
        "enter": len(one.enter),
        "leave": len(one.leave),
        "for_example": " ".join(shown),
    }


def _name(who: Any) -> str:
    return str(who.identifiers[0] if who.identifiers else who.person_id)


def _everybody(found: list[Difference]) -> list[dict[str, Any]]:
    return [
        {
            "segment": one.segment,
            "change": change,
            "person_id": who.person_id,
            "identifiers": " ".join(who.identifiers),
        }
        for one in found
        for change, some in (("enters", one.enter), ("leaves", one.leave))
        for who in some
    ]
