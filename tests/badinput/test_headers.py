"""Headers with names that are no text, which Kafka allows and the client can't give to anybody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator, producer
from aiokafka.record import default_records

from tests.runtime.workers import Counting, until


class Raw(str):
    """A name that is written as bytes which are no UTF-8."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


async def send(brokers: str, topic: str) -> None:
    sending = AIOKafkaProducer(bootstrap_servers=brokers)
    await sending.start()
    try:
        await sending.send_and_wait(topic, b"poison", b"key", headers=[(Raw("name"), b"1"), ("fine", b"2")])
        await sending.send_and_wait(topic, b"", b"key", headers=[(Raw("name"), b"1")])
    finally:
        await sending.stop()


def test_they_stop_nobody_and_the_record_counts(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the one in C takes plain text only
    for module in (producer, message_accumulator):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", default_records._DefaultRecordBatchBuilderPy)
    with Counting(kafka, tmp_path, "unnamed", partitions=1) as line:
        worker = line.worker()
        asyncio.run(send(kafka, "unnamed.in"))
        until(lambda: [record.value for record in line.read("out")] == [b"1"], "the good one is counted")
        assert [letter.value for letter in line.dead_letters()] == [b"poison"]
        assert worker.exit_code() is None
