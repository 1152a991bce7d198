"""The broker comes late: workers wait and say so. What happens when it goes away: tests/faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pathline.local import ports
from pathline.local.kafka import KafkaBroker
from tests.runtime.workers import Counting, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker that is not there yet."""
    made = KafkaBroker(tmp_path / "broker", heap_mb=256, port=ports.free())
    yield made
    made.kill()


def test_a_worker_waits_for_its_broker_and_its_topics_and_stops_in_order_meanwhile(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    line = Counting(broker.bootstrap, tmp_path, "early")
    worker = line.worker()
    until(lambda: worker.state() == "waiting for broker", "it says that it waits")
    assert worker.stop() == 0
    assert "waiting for the broker" in line.logs()
    broker.start()
    worker.start()
    until(lambda: "waiting for topics" in line.logs(), "it says which topics are missing")
    with line:
        until(lambda: worker.state() == "running", "it runs")
