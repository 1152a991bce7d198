"""`pathline rfm`: the bounds between the scores that `rfm` conditions ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pathline.commands.refitting import Every, Folder, Output, refit

if TYPE_CHECKING:
    from schemas.definitions import Project
    from sinks.clickhouse.engine import Warehouse

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def rfm() -> None:
    """Score people by how recently, how often and for how much they bought."""


@app.command()
def fit(output: Output = None, every: Every = "", project: Folder = None) -> None:
    """Find the bounds that divide the people who bought into fifths, in the warehouse, and put them into force.

    All workers change over at the same marker. `pathline apply` keeps the bounds in force unless the project has its
    own rfm_bounds.yaml.
    """
    from schemas.definitions.loading import BOUNDS

    refit(BOUNDS, _bounds, output, every, project)


def _bounds(warehouse: Warehouse, project: Project, now: int) -> str:
    from pathline.rfm.fitting import of_warehouse
    from schemas.definitions.expressions import iso
    from schemas.definitions.scores import written

    found = of_warehouse(warehouse, project, now)
    return written(found.bounds(now), f"{iso(now)} of {len(found.last)} people")
