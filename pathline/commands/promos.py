"""`pathline promos`: promo codes, how many are left and what became of those that were given."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathline.commands.asking import answering
from pathline.commands.in_force import Folder, Format
from pathline.errors import UserError

if TYPE_CHECKING:
    from schemas.definitions.model import Project
    from sinks.clickhouse.promos import Figures

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Name of the promo, as in promos.yaml.")]


@app.callback()
def promos() -> None:
    """See what became of promo codes, and fill their pools."""


@app.command("list")
def list_(project: Folder = None, format: Format = "table") -> None:
    """List the promos: codes given, redeemed and expired, the worth of the orders, and how many codes are left."""
    from pathline.tables import show as print_rows

    loaded, found = _figures(project)
    stocked = _stocked() if any(promo.file for promo in loaded.promos.values()) else None
    rows = []
    for promo in loaded.promos.values():
        own = [one for one in found if one.promo == promo.name]
        issued = sum(one.issued for one in own)
        # a promo that makes its codes has no pool, whatever it had before
        left = stocked.get(promo.name, 0) - issued if promo.file and stocked is not None else None
        rows.append(
            {
                "promo": promo.name,
                "codes": "pool" if promo.file else "generated",
                "issued": issued,
                "redeemed": sum(one.redeemed for one in own),
                "expired": sum(one.expired for one in own),
                "open": sum(one.open for one in own),
                "revenue": sum(one.revenue for one in own),
                "missed": sum(one.missed for one in own),
                "left": left,
                "low": "low" if left is not None and left < promo.low else "",
            }
        )
    columns = ("promo", "codes", "issued", "redeemed", "expired", "open", "revenue", "missed", "left", "low")
    print_rows(rows, columns, format, "Promos")


@app.command()
def show(name: Name, project: Folder = None, format: Format = "table") -> None:
    """Show what became of the codes of a promo, by the journey that gave them."""
    from pathline.tables import show as print_rows

    loaded, found = _figures(project)
    _known(loaded, name)
    rows = [asdict(one) | {"open": one.open, "rate": one.rate} for one in found if one.promo == name]
    columns = ("journey", "issued", "redeemed", "rate", "expired", "open", "revenue", "missed")
    print_rows(rows, columns, format, f"Promo {name}")


@app.command()
def load(
    name: Name,
    file: Annotated[Path, typer.Argument(help="FILE.txt with a code a line, or FILE.csv with named columns.")],
    column: Annotated[str, typer.Option(help="Column of the codes; default: the first.", show_default=False)] = "",
) -> None:
    """Put the codes of a file into a promo's pool. Codes that were there before are not given again, so a load may be
    repeated; `pathline up` and `apply` do the same with the files of promos.yaml."""
    from pathline.local import current
    from pathline.promos.files import read
    from pathline.promos.keeping import Loader, unused
    from processors.runtime.published import PublishedDefinitions
    from schemas.definitions.grammar.base import usable_name
    from schemas.registry import codec_for

    try:
        usable_name(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    if not file.is_file():
        raise UserError(f"no such file: {file}")
    codes = read(file, column)
    settings = current.kafka_settings()
    codec = codec_for(settings)
    in_force = PublishedDefinitions(settings.brokers, codec).latest()
    if in_force is not None and (why := unused(in_force, name)):
        typer.echo(f"note: {why}", err=True)
    loader = Loader(settings, codec)
    new = loader.load(name, codes, lambda done: typer.echo(f"{done:,} codes", err=True))
    typer.echo(f"{name}: {new:,} new codes, {len(codes) - new:,} were there already")


def _figures(folder: Path | None) -> tuple[Project, list[Figures]]:
    """The project, and what became of its promos."""
    from pathline.commands.in_force import in_force
    from pathline.local import current
    from sinks.clickhouse.promos import figures

    with answering() as warehouse:
        project, _ = in_force(warehouse, folder)
        now = current.settings().make_clock().now()
        return project, figures(warehouse, project.promos.values(), now)


def _stocked() -> dict[str, int] | None:
    """How many codes were ever loaded, by promo; None when no line runs."""
    from confluent_kafka import KafkaException

    from pathline.erasing.reading import topics_of
    from pathline.local import current
    from pathline.promos.keeping import loaded
    from schemas.registry import codec_for
    from schemas.topics import PROMOS

    try:
        settings = current.kafka_settings()
        partitions = topics_of(settings.brokers).get(PROMOS, [])
        return {name: len(codes) for name, codes in loaded(settings, codec_for(settings), partitions).items()}
    except (UserError, KafkaException):
        return None


def _known(project: Any, name: str) -> None:
    from schemas.definitions.problems import nearest

    if name not in project.promos:
        raise UserError(f"there is no promo {name!r}: {nearest(name, project.promos) or 'the project has none'}")
