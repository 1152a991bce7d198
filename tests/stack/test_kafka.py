"""The local broker: real, quick to come back, with nothing lost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pathline.local import jars, java
from pathline.local.classes import Classes
from pathline.local.kafka import KafkaBroker, cluster_id


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One broker for the tests of this file, with a cache of their own that has the jars and nothing else."""
    folder = tmp_path_factory.mktemp("kafka")
    libraries = jars.fetch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        jars.cache().mkdir(parents=True)
        (jars.cache() / libraries.name).symlink_to(libraries)
        yield from _running(folder)


def _running(folder: Path) -> Iterator[KafkaBroker]:
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


needs_shared_classes = pytest.mark.skipif(
    not Classes(java.find(), Path(), Path()).possible, reason="this Java comes without an archive of its own classes"
)


def archives() -> list[Path]:
    return list(jars.cache().glob("classes-*"))


@needs_shared_classes
def test_a_broker_that_stops_leaves_no_process_and_its_classes_for_the_next_start(broker: KafkaBroker) -> None:
    pid = broker.pid
    assert archives() == []
    broker.stop()
    assert pid
    assert not psutil.pid_exists(pid)
    (archive,) = archives()
    broker.start()
    if sys.platform == "linux":
        assert str(archive) in Path(f"/proc/{broker.pid}/maps").read_text()
    broker.kill()


def garbled(whole: bytes) -> bytes:
    return whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)


@needs_shared_classes
@pytest.mark.parametrize("left", [lambda whole: whole[: len(whole) // 2], garbled])
def test_classes_that_are_not_whole_break_no_start(broker: KafkaBroker, left: Callable[[bytes], bytes]) -> None:
    (archive,) = archives()
    whole = archive.read_bytes()
    archive.write_bytes(left(whole))
    try:
        broker.start()
        broker.kill()
    finally:
        archive.write_bytes(whole)


@needs_shared_classes
def test_only_a_whole_archive_is_kept_whoever_stops_at_the_same_time(broker: KafkaBroker, tmp_path: Path) -> None:
    (archive,) = archives()
    whole = archive.read_bytes()
    drafts = [Classes(java.find(), jars.fetch(), tmp_path / str(number)) for number in range(4)]
    drafts[0].draft.write_bytes(whole[: len(whole) // 2])
    archive.rename(jars.cache() / "classes-of-another-java.jsa")
    drafts[0].keep()
    assert [found.name for found in archives()] == ["classes-of-another-java.jsa"]
    for each in drafts:
        each.draft.write_bytes(whole)
    with ThreadPoolExecutor(len(drafts)) as pool:
        list(pool.map(Classes.keep, drafts))
    assert archives() == [archive]
    assert archive.read_bytes() == whole
    assert list(tmp_path.iterdir()) == []
