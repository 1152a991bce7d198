"""`pathline person`: one person's story over all channels."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sinks.clickhouse.person import Story


def person(
    identifier: Annotated[str, typer.Argument(help="type:value such as email:ann@example.com, or a person id.")],
    limit: Annotated[int, typer.Option(min=1, help="Most entries of the timeline, the newest ones.")] = 50,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Show a person's profile, segments, journeys, refused links and timeline."""
    from pathline.commands.asking import answering, project_of
    from pathline.errors import UserError
    from sinks.clickhouse.person import story

    if format not in ("table", "json"):
        raise typer.BadParameter(f"{format!r} is none of table, json", param_hint="--format")
    loaded = project_of(project)
    with answering() as warehouse:
        found = story(warehouse, normalised(identifier, loaded), limit)
    if found is None:
        hint = "" if ":" in identifier else f"; an identifier is type:value, such as user_id:{identifier}"
        raise UserError(f"nobody is known by {identifier}{hint}")
    if format == "json":
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        _print(found)


def normalised(identifier: str, project: Any) -> str:
    """An identifier as the line writes it; a person id and what no rule knows stay as they are."""
    from schemas.identifiers import Refused, normalise, split

    kind, value = split(identifier)
    if project is None or not value:
        return identifier
    try:
        return f"{kind}:{normalise(project.identity, kind, value)}"
    except Refused:
        return identifier


def _print(found: Story) -> None:
    from rich.console import Console
    from rich.table import Table

    from pathline.tables import spoken

    console = Console(markup=False, highlight=False)
    facts: list[tuple[str, list[str]]] = [
        ("person", [found.person_id]),
        ("earlier ids", found.earlier_ids),
        ("identifiers", found.identifiers),
        ("traits", [_trait(name, value, found.sources) for name, value in sorted(found.traits.items())]),
        ("consents", [_consent(consent) for consent in found.consents]),
        ("segments", [f"{row['segment']} since {row['since']}" for row in found.memberships]),
        ("journeys", [_journey(row) for row in found.journeys]),
        ("refused links", [f"{row['a']} - {row['b']}: {row['reason']}" for row in found.refused_links]),
    ]
    about = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, lines in facts:
        if lines:
            about.add_row(name, "\n".join(lines))
    console.print(about)
    timeline = Table("at", "kind", "channel", "what", "detail", box=None, padding=(0, 2, 0, 0))
    for row in found.timeline:
        timeline.add_row(row["at"], row["kind"], row["channel"], row["what"], spoken("detail", row["detail"]))
    console.print()
    console.print(timeline)


def _trait(name: str, value: Any, sources: dict[str, str]) -> str:
    told = f" (from {sources[name]})" if name in sources else ""
    return f"{name}: {_text(value)}{told}"


def _consent(consent: dict[str, Any]) -> str:
    about = " ".join(str(consent[name]) for name in ("channel", "purpose", "address") if consent.get(name))
    proof = f" ({consent['proof']})" if consent.get("proof") else ""
    return f"{about or 'everything'}: {'granted' if consent.get('granted') else 'refused'}{proof}"


def _journey(row: dict[str, Any]) -> str:
    last = row["last"]
    return (
        f"{row['journey']} {row['state']}, entered {row['entered_at']}, last: {last['reason']} {last['detail']}".strip()
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
