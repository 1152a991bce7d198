"""The rules of exactly once, one by one, on a real Kafka. The numbers are those at the comments in the code."""

from __future__ import annotations

import contextlib
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.runtime.engine import Engine
from processors.runtime.exits import Exit, Stop
from processors.runtime.membership import Membership
from processors.runtime.metrics import Metrics
from processors.runtime.outbox import Outbox
from processors.runtime.partition import Partition
from processors.runtime.restore import Restorer
from processors.runtime.rocks import RocksStore
from processors.runtime.turns import Sent
from schemas.clock import WallClock
from schemas.kafka import client_config, consumer_config, producer_config
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS
from tests.runtime.counting import CountingStage
from tests.runtime.workers import read, until

_numbers = count()


class Nobody:
    def assigned(self, partitions: set[tuple[str, int]]) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...


class App:
    """The parts of a worker on topics of its own, one partition each."""

    def __init__(self, brokers: str, home: Path) -> None:
        self.name = f"rules-{next(_numbers)}"
        self.settings = Settings(brokers=brokers, home=home)
        self.source, self.changelog = f"{self.name}.in", f"{self.name}.changelog"
        self.metrics = Metrics(self.name)
        self.create(self.source, self.changelog)

    def create(self, *topics: str, partitions: int = 1) -> None:
        admin = AdminClient(client_config(self.settings.brokers))
        for answer in admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics]).values():
            answer.result()

    def outbox(self) -> Outbox:
        outbox = Outbox(self.settings, self.name)
        until(lambda: outbox.connect() is None, "the transactional id is registered")
        return outbox

    def member(self, worker: int = 0, machine: str = "here") -> Membership:
        """A member that has its partition."""
        settings = self.settings.model_copy(update={"worker": worker, "home": self.settings.home / machine})
        member = Membership(settings, self.name, (self.source,), self.metrics, Nobody(), lambda: None)
        until(lambda: member.fetch(1, 0.1) or member.partitions, "the partition is assigned")
        return member

    def publish(self, *values: bytes) -> None:
        producer = Producer(producer_config(self.settings.brokers))
        for value in values:
            producer.produce(self.source, value, b"key")
        producer.flush()

    def open_transaction(self, name: str = "another", timeout_ms: int = 60_000) -> Any:
        own = {"transactional.id": f"{self.name}-{name}", "transaction.timeout.ms": timeout_ms}
        producer = Producer(producer_config(self.settings.brokers) | own)
        producer.init_transactions(30)
        producer.begin_transaction()
        return producer

    def partition(self, store: RocksStore, topic_id: str) -> Partition:
        return Partition(0, 1, store, topic_id, {})


@pytest.fixture
def app(kafka: str, tmp_path: Path) -> App:
    return App(kafka, tmp_path)


@pytest.mark.parametrize("successor", [0, 1], ids=["started again", "another worker"])
def test_rules_1_and_7_timers_of_a_worker_that_lost_its_place_are_refused_by_the_metadata_it_kept(
    app: App, successor: int
) -> None:
    member, outbox = app.member(), app.outbox()
    offsets, group = member.offsets({0}), member.group
    assert [offset.offset for offset in offsets] == [0], "resolved at assignment, although nothing was read yet"
    assert outbox.commit([Sent(app.source, b"a", b"1")], {}, offsets, group) == {}
    member.close()
    next_owner = app.member(successor)
    with pytest.raises(Stop, match="given to another worker") as stop:
        outbox.commit([Sent(app.source, b"a", b"2")], {}, offsets, group)
    assert stop.value.code == Exit.LOST
    next_owner.close()


def test_a_worker_ends_when_another_one_is_started_with_its_number(app: App) -> None:
    former, member = app.member(), app.member(machine="elsewhere")
    with pytest.raises(Stop, match="can't go on reading") as stop:
        until(lambda: former.fetch(1, 0.1) is None, "it finds out")
    assert stop.value.code == Exit.LOST
    member.close()


def test_rule_2_a_store_that_was_there_all_along_catches_up_with_what_another_owner_did(app: App) -> None:
    outbox, member = app.outbox(), app.member()
    restorer = Restorer(app.settings.brokers, app.name, app.metrics)
    store = RocksStore(app.settings.home / "mine")
    done = outbox.commit([], {0: [(b"s\0a", b"1"), (b"s\0b", b"1")]}, member.offsets({0}), member.group)
    store.apply([(b"s\0a", b"1"), (b"s\0b", b"1")], done[0], restorer.topic_id())
    outbox.commit([], {0: [(b"s\0a", b"2"), (b"s\0b", None)]}, member.offsets({0}), member.group)
    partition = app.partition(store, restorer.topic_id())
    restorer.start([partition])
    until(lambda: restorer.step(0.1) or partition.restored, "it catches up")
    assert list(store.scan(b"s", b"t")) == [(b"s\0a", b"2")]
    restorer.close()
    member.close()
    store.close()


def test_rule_3_restoring_waits_for_a_transaction_that_was_open_at_assignment(app: App) -> None:
    former = app.open_transaction()
    former.produce(app.changelog, b"1", b"s\0a")
    former.flush()
    restorer = Restorer(app.settings.brokers, app.name, app.metrics)
    store = RocksStore(app.settings.home / "mine")
    partition = app.partition(store, restorer.topic_id())
    restorer.start([partition])
    for _ in range(5):
        restorer.step(0.1)
    assert not partition.restored
    former.commit_transaction(30)
    until(lambda: restorer.step(0.1) or partition.restored, "it is restored")
    assert store.get(b"s\0a") == b"1"
    restorer.close()
    store.close()


def test_rule_4_an_offset_in_an_open_transaction_is_no_place_to_start(app: App) -> None:
    app.publish(b"1", b"2", b"3")
    member, former = app.member(), app.open_transaction()
    former.send_offsets_to_transaction([TopicPartition(app.source, 0, 2)], member.group, 30)
    asking = Consumer(consumer_config(app.settings.brokers, app.name))
    with pytest.raises(KafkaException):
        asking.committed([TopicPartition(app.source, 0)], timeout=1)
    former.commit_transaction(30)
    assert asking.committed([TopicPartition(app.source, 0)], timeout=30)[0].offset == 2
    asking.close()
    member.close()


def test_rule_5_the_checkpoint_is_behind_the_last_change_as_the_broker_placed_it(app: App) -> None:
    outbox, member = app.outbox(), app.member()
    for n in range(3):
        done = outbox.commit([], {0: [(b"s\0a", b"%d" % n), (b"s\0b", b"x")]}, member.offsets({0}), member.group)
        assert done == {0: read(app.settings.brokers, app.changelog)[-1].offset + 1}
    member.close()


def test_rule_6_a_worker_whose_number_was_taken_over_ends(app: App) -> None:
    member, former = app.member(), app.outbox()
    former.commit([], {0: [(b"s\0a", b"1")]}, member.offsets({0}), member.group)
    app.outbox()
    with pytest.raises(Stop, match="another worker has the number of this one") as stop:
        former.commit([], {0: [(b"s\0a", b"2")]}, member.offsets({0}), member.group)
    assert stop.value.code == Exit.LOST
    member.close()


def test_rule_6_who_lost_its_partitions_ends_for_that_even_if_the_group_has_new_ones_for_it(app: App) -> None:
    member, place = app.member(), [TopicPartition(app.source, 0)]
    with pytest.raises(Stop):
        member._on_lost(member._consumer, place)
    # its store is still open, which it should not hear of
    with pytest.raises(Stop, match="did not answer the group in time") as stop:
        member._on_assign(member._consumer, place)
    assert stop.value.code == Exit.LOST


def test_rule_8_one_record_is_there_at_once_and_many_come_together(app: App) -> None:
    member = app.member()
    app.publish(b"1")
    started = time.monotonic()
    until(lambda: [entry for entry in member.fetch(10_000, 60.0) if not isinstance(entry, tuple)], "it is there")
    assert time.monotonic() - started < 60
    app.publish(*[b"x"] * 5_000)
    together: list[int] = []
    until(lambda: together.append(len(member.fetch(10_000, 5.0))) or sum(together) >= 5_000, "all are there")
    assert max(together) > 1_000
    member.close()


def test_rule_10_a_start_aborts_the_open_transaction_of_its_predecessor_at_once(app: App) -> None:
    # far longer than it is waited for here
    predecessor = app.open_transaction(name="0", timeout_ms=600_000)
    predecessor.produce(app.source, b"half", b"key")
    predecessor.flush()
    app.publish(b"behind")
    app.outbox()
    assert [record.value for record in read(app.settings.brokers, app.source)] == [b"behind"]


def test_rule_11_topics_that_are_not_partitioned_alike_are_refused(app: App) -> None:
    app.create(f"{app.name}.other", partitions=2)
    with contextlib.suppress(KafkaException):
        app.create(DEAD_LETTERS, partitions=8)
    stage = CountingStage(app=app.name)
    stage.inputs = (app.source, f"{app.name}.other")
    engine = Engine(stage, app.settings, WallClock(), app.metrics)
    with pytest.raises(Stop, match="must have the same partition count") as stop:
        engine.connect(Nobody(), None, lambda error: None)  # type: ignore[arg-type]
    assert stop.value.code == Exit.SETUP
