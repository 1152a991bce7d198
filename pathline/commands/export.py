"""`pathline export`: everything that is known about a person."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    identifier: Annotated[str, typer.Argument(help="type:value such as email:ann@example.com, or a person id.")],
    output: Annotated[Path | None, typer.Option(help="File to write to instead of standard output.")] = None,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
) -> None:
    """Write everything that is known about a person as JSON.

    Without a running line that is what the warehouse has; `missing` says what could not be asked.
    """
    from uuid import UUID

    from pathline.commands.asking import Touching, answering, project_of
    from pathline.commands.person import normalised
    from pathline.errors import UserError
    from sinks.clickhouse.export import rows_of
    from sinks.clickhouse.person import story

    who = normalised(identifier, project_of(project))
    with answering() as warehouse:
        found = story(warehouse, who)
        if found is None:
            hint = "" if ":" in identifier else f"; an identifier is type:value, such as user_id:{identifier}"
            raise UserError(f"nobody is known by {identifier}{hint}")
        about = asdict(found)
        del about["timeline"], about["memberships"]
        ids = [UUID(id) for id in (found.person_id, *found.earlier_ids)]
        rows = rows_of(warehouse, ids[0], ids, Touching().rules(project))
    told = json.dumps({**about, **rows, **_held(found.person_id, found.identifiers)}, indent=2, ensure_ascii=False)
    if output is None:
        typer.echo(told)
    else:
        output.write_text(told + "\n", "utf-8")
        typer.echo(f"{found.person_id} written to {output}", err=True)


def _held(person: str, identifiers: list[str]) -> dict[str, Any]:
    from pathline.erasing.holding import held
    from pathline.errors import UserError
    from pathline.local import current

    try:
        settings = current.kafka_settings()
    except UserError as error:
        return {"missing": [f"links, state, dead_letters: {error}"]}
    return {**held(settings, [person], identifiers), "missing": []}
