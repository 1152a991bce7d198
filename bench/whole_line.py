"""A whole line for a bench, and what its processes use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from pathline.local.stack import Stack


@contextmanager
def line_of(project: Mapping[str, str], partitions: int | None = None) -> Iterator[Stack]:
    """A running stack with a project of these files, in a temporary folder; all is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in project.items():
            (folder / "project" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "project" / path).write_text(text, "utf-8")
        with Stack(folder / "home", folder / "project", partitions=partitions) as stack:
            yield stack


def cpu(pid: int | None) -> float:
    """Seconds of processor time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
