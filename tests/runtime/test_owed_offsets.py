"""Input that leaves no effects costs no transaction of its own, and its offsets are committed all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from processors.runtime.contract import Record, Turn
from processors.runtime.engine import Engine
from processors.runtime.metrics import Metrics
from processors.runtime.partitioner import partition_of
from schemas.clock import WallClock
from schemas.kafka import consumer_config
from schemas.settings import Settings
from tests.runtime.counting import CountingStage
from tests.runtime.workers import Counting, until


class Picky(CountingStage):
    """Counts what is worth counting."""

    seen = 0

    def on_record(self, record: Record, turn: Turn) -> None:
        self.seen += 1
        if record.value != b"nothing":
            super().on_record(record, turn)


class Nobody:
    def assigned(self, partitions: set[tuple[str, int]]) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...


class Worker:
    """An engine on the topics of a `Counting`, run by hand."""

    def __init__(self, line: Counting) -> None:
        self.stage = Picky(f"{line.name}.in", f"{line.name}.out", line.name)
        self.metrics = Metrics(line.name)
        self.engine = Engine(self.stage, Settings(brokers=line.brokers, home=line.home), WallClock(), self.metrics)
        assert self.engine.connect(Nobody(), None, lambda error: None)  # type: ignore[arg-type]

    def work(self) -> None:
        batch = self.engine.poll()
        if batch is not None:
            self.engine.process(batch)

    def transactions(self) -> float:
        return (
            self.metrics.registry.get_sample_value("pathline_transaction_seconds_count", {"app": self.stage.app}) or 0.0
        )

    def stop(self) -> None:
        self.engine.stop()
        self.engine.close()


def committed(line: Counting) -> int:
    """Offset committed for the one partition, negative for none."""
    asking = Consumer(consumer_config(line.brokers, line.name))
    try:
        return int(asking.committed([TopicPartition(f"{line.name}.in", 0)], timeout=30)[0].offset)
    finally:
        asking.close()


def give(line: Counting, worker: Worker, value: bytes) -> None:
    """One record, taken by itself."""
    before = worker.stage.seen
    line.publish("key", value)
    line.flush()
    until(lambda: worker.work() or worker.stage.seen > before, "it is taken")


def test_offsets_of_input_without_effects_are_committed_together_a_little_later(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "owedlater", partitions=1) as line:
        worker = Worker(line)
        for _ in range(20):
            give(line, worker, b"nothing")
        assert worker.transactions() < 10
        until(lambda: worker.work() or committed(line) == 20, "the offsets are committed")
        worker.stop()


def test_the_next_transaction_takes_owed_offsets_along(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processors.runtime.engine._OWED_SECONDS", 3600.0)
    with Counting(kafka, tmp_path, "owedalong", partitions=2) as line:
        worker = Worker(line)
        for number in (0, 1):
            key = next(k for k in map(str, range(100)) if partition_of(k.encode(), 2) == number)
            before = worker.stage.seen
            line.publish(key, b"nothing" if number == 0 else b"")
            line.flush()
            until(lambda before=before: worker.work() or worker.stage.seen > before, "it is taken")  # type: ignore[misc]
        assert committed(line) == 1, "of the partition whose input had no effects"
        worker.stop()


def test_a_worker_that_stops_in_order_owes_nothing(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.runtime.engine._OWED_SECONDS", 3600.0)
    with Counting(kafka, tmp_path, "owedatstop", partitions=1) as line:
        worker = Worker(line)
        give(line, worker, b"nothing")
        assert committed(line) < 0
        worker.stop()
        assert committed(line) == 1
