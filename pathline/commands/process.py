"""`pathline process`: one worker of a processor."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer


class Processor(StrEnum):
    """The processors of the line."""

    IDENTITY = "identity"
    GRAPH = "graph"
    SEGMENTS = "segments"
    JOURNEYS = "journeys"


def process(processor: Annotated[Processor, typer.Argument(help="Which processor.")]) -> None:
    """Run one worker of a processor; as many as there are partitions share the work.

    The same as `faust -A processors.NAME.app worker`. Each worker of a processor needs its own PATHLINE_WORKER.
    """
    from processors.runtime.worker import run

    run(import_module(f"processors.{processor}.app").app)
