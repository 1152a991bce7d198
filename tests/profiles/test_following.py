"""The read side follows a real Kafka: where it goes on, when it begins anew, what it does with what it can't use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pathline.local.kafka import KafkaBroker
from processors.runtime.partitioner import partition_of
from processors.runtime.store import MemoryStore
from schemas import topics
from schemas.codec import Codec
from schemas.condition import RUNNING, Condition
from schemas.identifiers import person_id, slot_of
from schemas.kafka import apply_topics, client_config, producer_config
from schemas.limits import TooMany
from schemas.records import Assignment, Event, Period, SendCommand, Update, Wire
from schemas.settings import Settings
from sinks.profiles import following
from sinks.profiles.following import Follower
from sinks.profiles.outbox import Outbox, Told
from sinks.profiles.people import Nobody, People
from sinks.profiles.store import ASSIGNMENT, Store
from tests.badinput.foreign import EVENT
from tests.runtime.workers import read, until

CODEC = Codec()
PARTITIONS = 2


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    made = KafkaBroker(tmp_path_factory.mktemp("kafka"), heap_mb=256)
    made.start()
    yield made
    made.stop()


class Side:
    """One broker's topics, made anew, and a read side in this process."""

    def __init__(self, brokers: str, home: Path) -> None:
        self.settings = Settings(brokers=brokers, home=home, partitions=PARTITIONS, dead_letter_run=30)
        self.producer = Producer(producer_config(brokers))
        self.admin = AdminClient(client_config(brokers))
        self.renew()
        self.condition = Condition("profiles", "", RUNNING.__eq__)
        self.projects = NoProjects()
        self.taken = 0
        self.error: BaseException | None = None

    def renew(self) -> None:
        """All topics anew: nothing of them is left."""
        there = [name for name in self.admin.list_topics(timeout=10).topics if not name.startswith("_")]
        if there:
            for done in self.admin.delete_topics(there).values():
                done.result()
            until(lambda: not set(there) & self.admin.list_topics(timeout=10).topics.keys(), "they are gone")
        apply_topics(self.settings, ["app_inbox"])

    def happen(self, user: str, name: str, send_id: str | None = None) -> None:
        """A person does something; it is the only thing the profile says."""
        at = EVENT.occurred_at + self.taken
        self.taken += 1
        made = {field: getattr(EVENT, field) for field in EVENT.__struct_fields__}
        identifier = f"user_id:{user}"
        told = {"name": name, "identifiers": [identifier], "event_id": f"e{self.taken}", "send_id": send_id}
        event = Event(**made | told | {"occurred_at": at})
        update = Update(
            kind="event",
            person_id=person_id(identifier),
            slot=slot_of(identifier),
            version=1,
            at=at,
            event=CODEC.encode(event),
            profile=orjson.dumps({"addresses": {"user_id": [user]}, "traits": {"last": name}}),
        )
        self.put(topics.UPDATES, person_id(identifier), update)

    def put(self, topic: str, key: str, record: Wire | bytes | None) -> None:
        value = CODEC.encode(record) if isinstance(record, Wire) else record
        self.producer.produce(topic, value, key)

    def follow(self, enough: Callable[[People], bool] = lambda people: True) -> People:
        """Follow until all there is was read and it is enough; what there was to know then."""
        self.producer.flush()
        store, stopping = Store(self.settings.home / "people"), threading.Event()
        outbox = Outbox(self.settings.home / "outbox", self.producer)
        self.condition.be("")
        follower = Follower(self.settings, store, outbox, CODEC, self.condition, self.projects, stopping)

        def run() -> None:
            try:
                follower.run()
            except BaseException as error:
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            live = People(store, CODEC, NoProjects())
            until(lambda: self.error or (self.condition.ready and store.complete and enough(live)), "it has caught up")
            memory = MemoryStore()
            memory.apply(store.scan(b"\0", b"\xff"))
            people = People(memory, CODEC, NoProjects())
        finally:
            stopping.set()
            thread.join()
            outbox.close()
            store.close()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return people


class NoProjects:
    """Nothing is published, or a project with these inboxes."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def latest(self) -> None:
        return None

    def inboxes(self) -> dict[str, int]:
        return self.found

    def project(self, version: str) -> Any:
        raise LookupError(version)


def names(people: People, user: str) -> list[str]:
    found = people.by_identifier(f"user_id:{user}")
    return [] if isinstance(found, Nobody) else [row["name"] for row in found.events()]


@pytest.fixture
def side(broker: KafkaBroker, tmp_path: Path) -> Side:
    return Side(broker.bootstrap, tmp_path)


def test_it_goes_on_where_it_was(side: Side) -> None:
    side.happen("ann", "A")
    side.happen("bob", "B")
    assert [names(side.follow(), user) for user in ("ann", "bob")] == [["A"], ["B"]]
    side.happen("ann", "C")
    assert names(side.follow(lambda people: len(names(people, "ann")) > 1), "ann") == ["C", "A"]
    # nothing new: nothing is read twice, so nothing is there twice
    assert names(side.follow(), "ann") == ["C", "A"]


def test_records_that_are_gone_meanwhile_make_it_begin_anew(side: Side) -> None:
    side.happen("ann", "A")
    side.follow()
    for name in "BCDE":
        side.happen("ann", name)
    side.producer.flush()
    partition = partition_of(person_id("user_id:ann").encode(), PARTITIONS)
    for done in side.admin.delete_records([TopicPartition(topics.UPDATES, partition, 3)]).values():
        done.result()
    # with A and without B, C it would be a history that never was
    assert names(side.follow(), "ann") == ["E", "D"]


def test_topics_of_another_line_make_it_begin_anew(side: Side) -> None:
    side.happen("ann", "A")
    side.put(topics.ASSIGNMENTS, "user_id:ann", assigned("user_id:ann", person_id("user_id:bob")))
    side.follow()
    side.renew()
    side.happen("ann", "B")
    side.happen("carl", "C")
    people = side.follow()
    assert (names(people, "ann"), names(people, "carl")) == (["B"], ["C"])


def test_deletions_it_may_have_missed_make_it_begin_anew(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    side.happen("ann", "A")
    side.happen("bob", "B")
    side.follow()
    # what compaction took away, and its deletion with it
    store, bob = Store(side.settings.home / "people"), CODEC.encode(assigned("user_id:ann", person_id("user_id:bob")))
    store.write({ASSIGNMENT + b"user_id:ann": bob})
    store.close()
    side.happen("bob", "C")
    assert names(side.follow(lambda people: len(names(people, "bob")) > 1), "ann") == ["C", "B"]
    side.happen("bob", "D")
    monkeypatch.setattr(following, "_MOST_AWAY_MS", 0)
    assert names(side.follow(), "ann") == ["A"]


def assigned(identifier: str, person: str) -> Assignment:
    return Assignment(
        identifier=identifier,
        version=2,
        periods=[Period(since=0, person_id=person, slot=slot_of(identifier), version=2)],
    )


def test_what_can_not_be_used_is_a_dead_letter_once_and_the_rest_counts(side: Side) -> None:
    side.happen("ann", "A")
    side.put(topics.UPDATES, person_id("user_id:ann"), b"garbage")
    side.happen("ann", "B")
    side.put(topics.ASSIGNMENTS, "user_id:ann", b"")
    assert names(side.follow(), "ann") == ["B", "A"]
    side.follow()
    until(lambda: len(read(side.settings.brokers, topics.DEAD_LETTERS)) > 1, "both")
    letters = read(side.settings.brokers, topics.DEAD_LETTERS)
    told = [{name: value.decode() for name, value in letter.headers if value is not None} for letter in letters]
    assert {(each["app"], each["topic"]) for each in told} == {
        ("profiles", topics.UPDATES), ("profiles", topics.ASSIGNMENTS),
    }  # fmt: skip
    assert {letter.value for letter in letters} == {b"garbage", b""}


def test_a_storm_of_bad_records_stops_it_before_it_passes_over_more(side: Side) -> None:
    side.happen("ann", "A")
    for _ in range(31):
        side.put(topics.UPDATES, person_id("user_id:ann"), b"garbage")
    for _ in range(2):
        with pytest.raises(TooMany, match=r"profiles stops: more than 30 records in a row can't be used in updates"):
            side.follow(lambda people: False)


def test_an_inbox_that_comes_with_a_project_is_read_from_its_beginning(side: Side) -> None:
    command = SendCommand(
        send_id="s1", person_id=person_id("user_id:ann"), journey="j", version="v", instance_id="i", step="1",
        channel="app_inbox", category="marketing", template="t", to="ann", identifier="user_id:ann",
        at=EVENT.occurred_at, content=b"{}",
    )  # fmt: skip
    side.put(topics.outbound("app_inbox"), command.person_id, command)
    side.happen("ann", "App Inbox Sent", send_id="s1")

    def read(people: People) -> list[str]:
        ann = people.by_identifier("user_id:ann")
        return [] if isinstance(ann, Nobody) else [m.command.send_id for m in ann.inbox(EVENT.occurred_at)]

    def published(people: People) -> bool:
        # the project is published while it follows the others
        side.projects.found = {"app_inbox": 10**12}
        return read(people) == ["s1"]

    assert read(side.follow()) == []
    assert read(side.follow(published)) == ["s1"]
    # it goes on there after a restart
    assert read(side.follow()) == ["s1"]


def test_what_is_told_waits_on_disk_for_a_broker_that_is_away(side: Side, tmp_path: Path) -> None:
    away = Producer(producer_config("127.0.0.1:9") | {"log_level": 0})
    outbox = Outbox(tmp_path / "told", away)
    for number in range(3):
        outbox.tell(Told(topics.ACCESSES, b"k", str(number).encode()))
    assert outbox.untold == 3
    outbox.close(0.1)
    outbox = Outbox(tmp_path / "told", side.producer)
    outbox.tell(Told(topics.ACCESSES, b"k", b"3"))
    until(lambda: outbox.untold == 0, "all is told")
    outbox.close()
    assert [record.value for record in read(side.settings.brokers, topics.ACCESSES)] == [b"0", b"1", b"2", b"3"]
    assert list(Store(tmp_path / "told").scan(b"\0", b"\xff")) == []
