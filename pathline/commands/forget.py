"""`pathline forget`: forget a person, everywhere, and prove it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from pathline.erasing.forgetting import Report
    from pathline.erasing.warehouse import Asking


def forget(
    identifier: Annotated[str, typer.Argument(help="type:value such as email:ann@example.com, or a person id.")],
    reason: Annotated[str, typer.Option(help="Why; kept as long as the order itself, 30 days.")] = "",
    author: Annotated[str | None, typer.Option(help="Who decided, by default you.", show_default=False)] = None,
    patience: Annotated[float, typer.Option(help="Wait so many seconds for each part of the line.")] = 60.0,
    format: Annotated[Literal["table", "json"], typer.Option(help="table or json.")] = "table",
) -> None:
    """Forget a person with all identifiers, through the whole line; ends with 1 when something remains."""
    from pathline.commands.apply import user
    from pathline.commands.identity import in_force
    from pathline.erasing.forgetting import forget
    from pathline.erasing.warehouse import Asking
    from pathline.errors import UserError
    from pathline.local import current
    from pathline.steering.telling import usable
    from schemas.records import Assertion
    from sinks.clickhouse.engine import WarehouseError

    settings = current.kafka_settings()
    rules, codec = in_force(settings)
    warehouse = Asking(settings, patience)
    try:
        (who,) = usable(rules, identifier if ":" in identifier else _behind(warehouse, identifier))
        assertion = Assertion(
            verb="erase",
            a=who,
            author=user() if author is None else author,
            reason=reason,
            at=settings.make_clock().now(),
        )
        report = forget(settings, codec, warehouse, assertion, patience, lambda text: typer.echo(text, err=True))
    except WarehouseError as error:
        raise UserError(f"the warehouse does not answer, so nothing can be proved: {error}") from error
    if format == "json":
        typer.echo(json.dumps(_as_json(report), indent=2, ensure_ascii=False))
    else:
        _print(report)
    if not report.clean:
        raise typer.Exit(1)


def _behind(warehouse: Asking, person: str) -> str:
    """An identifier of a person id. Raises UserError, WarehouseError."""
    from pathline.errors import UserError
    from sinks.clickhouse.person import story

    found = warehouse.ask(lambda opened: story(opened, person, 1))
    if found is None or not found.identifiers:
        raise UserError(f"nobody is known by {person}; an identifier is type:value, such as user_id:{person}")
    return found.identifiers[0]


def _as_json(report: Report) -> dict[str, Any]:
    from dataclasses import asdict

    from schemas.definitions.expressions import iso

    told = asdict(report)
    told["at"], told["already"] = iso(report.at), None if report.already is None else iso(report.already)
    for place in told["places"]:
        place["until"] = None if place["until"] is None else iso(place["until"])
    return {**told, "clean": report.clean}


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    from schemas.definitions.expressions import iso

    console = Console(markup=False, highlight=False)
    if report.already is not None:
        console.print(f"{report.identifier} was forgotten at {iso(report.already)}; nothing is known by it since")
    else:
        identifiers = ", ".join(report.identifiers)
        console.print(f"forgotten: person {', '.join(report.persons)} with {identifiers} ({report.slots} slots)")
        console.print(f"dead letters taken away: {report.dead_letters}")
    table = Table("place", "remaining", "the disk may keep it until", box=None, padding=(0, 2, 0, 0))
    for place in report.places:
        told = place.problem or ("" if place.until is not None else str(place.remaining))
        table.add_row(place.place, told, "" if place.until is None else iso(place.until))
    console.print(table)
    console.print("nothing remains but what expires" if report.clean else "SOMETHING REMAINS")
