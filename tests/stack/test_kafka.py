"""The local broker: real, quick to come back, with nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pathline.local.kafka import KafkaBroker, cluster_id


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One broker for the tests of this file; the last one stops it."""
    folder = tmp_path_factory.mktemp("kafka")
    # the awkward case: a cluster id that looks like an option on a command line
    awkward = (folder / str(number) for number in count())
    broker = KafkaBroker(next(path for path in awkward if cluster_id(path).startswith("-")), heap_mb=256)
    broker.start()
    yield broker
    broker.stop()


def _write(bootstrap: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 9_000_000})
    producer.produce("things", value)
    assert producer.flush(20) == 0


def _read(bootstrap: str, count: int) -> list[int]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest", "log_level": 0}
    )
    consumer.subscribe(["things"])
    sizes: list[int] = []
    while len(sizes) < count:
        message = consumer.poll(20)
        assert message is not None, "nothing came for 20 s"
        value = message.value()
        assert value is not None
        sizes.append(len(value))
    consumer.close()
    return sizes


def test_acknowledged_records_survive_a_kill_and_the_address_stays(broker: KafkaBroker) -> None:
    bootstrap = broker.bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic("things", 1, 1)]).values():
        future.result(20)
    _write(bootstrap, b"first")
    # the line allows 8 MiB a record
    _write(bootstrap, b"x" * 8 * 1024 * 1024)
    broker.kill()
    assert broker.start() == bootstrap
    assert _read(bootstrap, 2) == [5, 8 * 1024 * 1024]


def test_a_broker_that_can_not_start_says_why_with_its_log(tmp_path: Path, broker: KafkaBroker) -> None:
    second = KafkaBroker(tmp_path / "second", heap_mb=256, port=broker.port)
    with pytest.raises(RuntimeError, match=r"(?s)stopped while starting.*(BindException|already in use)"):
        second.start()


def test_stop_leaves_no_process(broker: KafkaBroker) -> None:
    pid = broker.pid
    broker.stop()
    assert pid
    assert not psutil.pid_exists(pid)
