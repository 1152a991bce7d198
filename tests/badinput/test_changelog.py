"""Foreign records in an app's changelog, which nobody but the app writes: restoring passes them over."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka import Producer

from schemas.kafka import producer_config
from schemas.topics import changelog
from tests.runtime.workers import Counting, until

KEYS = [b"nonsense", b"s", b"w", b"w\0\0\0", b"mcheckpoint", b"", b"w" + b"\0" * 10 + b"\xff"]


def test_a_worker_restores_its_state_from_between_them(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "mixed", partitions=1) as line:
        line.publish("key")
        line.flush()
        worker = line.worker()
        until(lambda: [record.value for record in line.read("out")] == [b"1"], "it is counted")
        worker.stop()
        line.wipe(worker)
        producer = Producer(producer_config(kafka))
        for key in KEYS:
            producer.produce(changelog("mixed"), b"\xff", key, 0)
        assert producer.flush(20) == 0
        line.publish("key")
        line.flush()
        worker.start()
        until(lambda: [record.value for record in line.read("out")] == [b"1", b"2"], "it goes on where it was")
        assert line.logs().count("foreign record in the changelog") == len(KEYS)
