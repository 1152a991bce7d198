"""`pathline predict`: how people buy, which `predicts` goes by, and how good its predictions are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathline.commands.asking import Format
from pathline.commands.refitting import Every, Folder, Output, known_project, refit

if TYPE_CHECKING:
    from pathline.predictions.quality import Quality
    from schemas.definitions import Project
    from sinks.clickhouse.engine import Warehouse

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
COLUMNS = ("what", "by", "expected", "happened", "error", "ranks")


@app.callback()
def predict() -> None:
    """Predict purchases, their value and churn from people's own orders."""


@app.command()
def fit(output: Output = None, every: Every = "", project: Folder = None) -> None:
    """Find how people buy, in the warehouse, and put it into force.

    All workers change over at the same marker. `pathline apply` keeps what is in force unless the project has its own
    predict_parameters.yaml.
    """
    from pathline.predictions.fitting import installed
    from schemas.definitions.loading import PARAMETERS

    installed()
    refit(PARAMETERS, _parameters, output, every, project)


@app.command()
def quality(
    ahead: Annotated[str, typer.Option(help="How far ahead is predicted.")] = "30d",
    at: Annotated[
        str | None,
        typer.Option(help="Instant from which is predicted; default: so long ago.", show_default=False),
    ] = None,
    project: Folder = None,
    format: Format = "table",
) -> None:
    """Fit to what was known at an earlier instant, and hold the predictions against what people did afterwards.

    Beside the model stand an own average rate, the same again as in the time before, and that all are alike. The error
    is the mean square of probabilities and the mean difference of values; ranks is the chance that of two people who
    differ the right one has the higher prediction.
    """
    from pathline.commands.asking import answering, duration, instant
    from pathline.errors import UserError
    from pathline.local import current
    from pathline.predictions import buyers
    from pathline.predictions.fitting import fitted, installed
    from pathline.predictions.quality import cases, measured
    from pathline.tables import show
    from schemas.definitions.expressions import iso

    installed()
    length, now = duration(ahead, "--ahead"), current.settings().make_clock().now()
    chosen = instant(at, "--at")
    then = now - length if chosen is None else chosen
    if then + length > now:
        raise UserError(f"{iso(then)} and {ahead} more are not over yet, so nothing can be compared")
    loaded = known_project(project)
    with answering() as warehouse:
        bought = buyers.of_warehouse(warehouse, loaded, then)
        before = buyers.spent(warehouse, loaded, then - length, then)
        after = buyers.spent(warehouse, loaded, then, then + length)
    found = cases(bought, before, after)
    told = as_it_is if format in ("json", "csv") else for_people
    rows = list(map(told, measured(found, fitted(bought.values(), then), then, length)))
    if format == "table":
        typer.echo(f"{len(found)} people who had bought by {iso(then)}, and the {ahead} after it")
    show(rows, COLUMNS, format, f"Predictions of {iso(then)}, {ahead} ahead")


def as_it_is(one: Quality) -> dict[str, Any]:
    """A row for programs: probabilities from 0 to 1."""
    return {name: getattr(one, name) for name in COLUMNS}


def for_people(one: Quality) -> dict[str, Any]:
    """A row to read: a purchase in percent, its error in thousandths as they tell the ways apart, values as amounts."""
    share = one.what == "purchase"
    return as_it_is(one) | {
        "expected": f"{one.expected:.1%}" if share else f"{one.expected:,.2f}",
        "happened": f"{one.happened:.1%}" if share else f"{one.happened:,.2f}",
        "error": f"{one.error:.3f}" if share else f"{one.error:,.2f}",
        "ranks": None if one.ranks is None else f"{one.ranks:.3f}",
    }


def _parameters(warehouse: Warehouse, project: Project, now: int) -> str:
    from pathline.predictions.buyers import of_warehouse
    from pathline.predictions.fitting import fitted
    from schemas.definitions.expressions import iso
    from schemas.definitions.predictions import written

    bought = of_warehouse(warehouse, project, now)
    return written(fitted(bought.values(), now), f"{iso(now)} of {len(bought)} people")
