"""What workers tell of themselves is true of the partitions they have."""

from __future__ import annotations

import re
from pathlib import Path

from tests.runtime.workers import Counting, Worker, until


def lagging(worker: Worker) -> list[str]:
    """Partitions whose lag a worker tells."""
    return sorted(re.findall(r'pathline_lag_records{.*partition="(\d+)"', worker.metrics()))


def test_a_worker_that_gave_partitions_up_tells_nothing_of_them_any_more(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "given-up") as line:
        first = line.worker()
        until(lambda: first.state() == "running" and lagging(first) == ["0", "1", "2", "3"], "it has all partitions")
        second = line.worker()
        until(lambda: second.state() == "running" and len(lagging(second)) == 2, "the other one has half of them")
        # lag is measured once in a while
        until(lambda: sorted(lagging(first) + lagging(second)) == ["0", "1", "2", "3"], "each partition is told once")
