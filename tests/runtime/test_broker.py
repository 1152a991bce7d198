"""The broker comes late, or goes away for a while: workers wait and say so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathline.local import ports
from pathline.local.kafka import KafkaBroker
from tests.runtime.test_exactly_once import assert_exact, counts, publish
from tests.runtime.workers import Counting, until


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One broker for the tests of this file; each starts it when it is to be there."""
    made = KafkaBroker(tmp_path_factory.mktemp("broker"), heap_mb=256, port=ports.free())
    yield made
    made.kill()


def test_a_worker_waits_for_its_broker_and_its_topics_and_stops_in_order_meanwhile(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    broker.stop()
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


def test_counts_stay_exact_when_the_broker_is_killed_and_comes_back(broker: KafkaBroker, tmp_path: Path) -> None:
    started(broker)
    with Counting(broker.bootstrap, tmp_path, "outage") as line:
        worker = line.worker()
        until(lambda: worker.state() == "running", "it runs")
        expected = publish(line, 0.5, 3_000)
        broker.kill()
        until(lambda: worker.exit_code() is not None or worker.state() == "waiting for broker", "it says that it waits")
        broker.start()
        if worker.exit_code() is not None:
            worker.start()
        expected += publish(line, 0.5, 3_000)
        until(lambda: restarted(line) and counts(line) == expected, "everything is counted", every=0.5)
        assert_exact(line, expected)


def started(broker: KafkaBroker) -> None:
    if not broker.running():
        broker.start()


def restarted(line: Counting) -> bool:
    """As a supervisor does."""
    for worker in line.workers:
        if worker.exit_code() is not None:
            assert worker.exit_code() == 75, line.logs()
            worker.start()
            time.sleep(1)
    return True


def test_a_frozen_broker_is_waited_for(broker: KafkaBroker, tmp_path: Path) -> None:
    started(broker)
    with Counting(broker.bootstrap, tmp_path, "frozen") as line:
        worker = line.worker()
        until(lambda: worker.state() == "running", "it runs")
        expected = publish(line, 0.5, 3_000)
        os.kill(broker.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(broker.pid, signal.SIGCONT)
        expected += publish(line, 0.5, 3_000)
        until(lambda: restarted(line) and counts(line) == expected, "everything is counted", every=0.5)
        assert_exact(line, expected)
