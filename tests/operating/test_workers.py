"""What a worker says of itself while something is wrong: waiting, restoring, at the end of its disk."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from processors.runtime.exits import LAST_WORDS
from processors.runtime.store import PROGRESS
from schemas.kafka import producer_config
from tests.runtime.workers import Counting, Worker, until


def said(worker: Worker) -> dict[str, Any]:
    """The body of its /ready."""
    body: dict[str, Any] = httpx.get(f"http://127.0.0.1:{worker.port}/ready", timeout=20).json()
    return body


def figures(worker: Worker, name: str) -> dict[str, float]:
    """A metric by partition."""
    families = text_string_to_metric_families(worker.metrics())
    return {s.labels["partition"]: s.value for family in families for s in family.samples if s.name == name}


@pytest.fixture
def line(kafka: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Counting]:
    with Counting(kafka, tmp_path, f"operating-{request.node.name}", partitions=2) as line:
        yield line


def running(line: Counting, events: int) -> Worker:
    """A worker that has counted so many events."""
    worker = line.worker()
    until(lambda: worker.state() == "running", "it runs")
    for number in range(events):
        line.publish(f"key-{number}")
    line.flush()
    until(lambda: len(line.read("out")) == events, "all is counted", every=0.5)
    return worker


def test_a_worker_whose_state_is_gone_says_how_much_it_has_to_restore(line: Counting, kafka: str) -> None:
    worker = running(line, 3_000)
    worker.kill()
    line.wipe(worker)
    # a transaction that is open at the assignment holds up the restore, close to its end
    former = Producer(producer_config(kafka) | {"transactional.id": f"{line.name}-former"})
    former.init_transactions(30)
    former.begin_transaction()
    former.produce(f"{line.name}.changelog", b"x", b"s\0key", partition=0)
    former.flush()
    worker.start()
    until(lambda: worker.state() == "restoring" and " 9" in f" {said(worker)['detail']}", "it is nearly there")
    about = said(worker)
    assert not about["ready"]
    assert "records left" in about["detail"]
    assert "partitions had no local state" in about["detail"]
    assert figures(worker, "pathline_restoring_records")["0"] > 0
    assert sum(figures(worker, "pathline_restored_records").values()) >= 3_000
    former.abort_transaction(30)
    until(lambda: worker.state() == "running", "it runs")
    assert said(worker)["ready"]


def test_a_worker_tells_when_it_committed_last_on_the_partitions_it_has(line: Counting) -> None:
    worker = running(line, 10)
    before = figures(worker, "pathline_last_commit_timestamp_seconds")
    assert before.keys() == {"0", "1"}
    line.publish("key-0")
    line.flush()
    until(lambda: len(line.read("out")) == 11, "it is counted", every=0.2)
    after = figures(worker, "pathline_last_commit_timestamp_seconds")
    assert sorted(after[number] > before[number] for number in before) == [False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")
def test_a_worker_at_the_end_of_its_disk_says_so_and_goes_on_once_there_is_room(line: Counting, tmp_path: Path) -> None:
    words = tmp_path / "words"
    line.environment[LAST_WORDS] = str(words)
    worker = running(line, 10)
    assert worker.process is not None
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
    for number in range(2_000):
        line.publish(f"key-{number}")
    line.flush()
    until(lambda: worker.exit_code() is not None, "it stops")
    assert worker.exit_code() == 74
    assert words.read_text().startswith("the disk is full, make room: ")
    worker.start()
    until(lambda: len(line.read("out")) == 2_010, "all is counted, each once", every=0.5)
    state = {record.key: record.value for record in line.read("changelog") if record.key != PROGRESS}
    assert len(state) == 2_000
