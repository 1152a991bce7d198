"""Topics are created from the catalogue and nowhere else; a wrong partition count is refused, not repaired."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from pathline.local.kafka import KafkaBroker
from schemas import topics
from schemas.kafka import (
    Whole,
    WrongTopic,
    apply_topics,
    client_config,
    partitions_of,
    producer_config,
    read_whole,
)
from schemas.settings import Settings


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = KafkaBroker(tmp_path_factory.mktemp("topics"), heap_mb=256)
    yield broker.start()
    broker.stop()


def test_missing_topics_are_created_and_wrong_settings_repaired(brokers: str) -> None:
    settings = Settings(brokers=brokers, partitions=2)
    names = [topic.name for topic in topics.catalogue(["email"])]
    assert apply_topics(settings, ["email"]).created == names
    assert apply_topics(settings, ["email"]).unchanged == names
    admin = AdminClient(client_config(brokers))
    there = admin.list_topics(timeout=10).topics
    assert (len(there["people"].partitions), len(there["identity.links"].partitions)) == (2, 1)
    resource = ConfigResource(ResourceType.TOPIC, "people")
    found = admin.describe_configs([resource])[resource].result()
    assert found["retention.ms"].value == str(30 * topics.DAY_MS)


class Behind(AdminClient):
    """Asks a broker that hears late of topics that were created: it tells of none in its first answers."""

    answers = 0

    def list_topics(self, *arguments: Any, **named: Any) -> Any:
        Behind.answers += 1
        return super().list_topics(*arguments, **named) if Behind.answers > 3 else SimpleNamespace(topics={})


def test_created_topics_are_told_of_when_the_command_ends(brokers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.kafka.AdminClient", Behind)
    monkeypatch.setattr(Behind, "answers", 0)
    apply_topics(Settings(brokers=brokers, partitions=2), ["email"])
    assert Behind.answers > 3


def test_a_command_waits_a_moment_for_topics_that_were_created_just_now(
    brokers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_topics(Settings(brokers=brokers, partitions=2), ["email"])
    monkeypatch.setattr(Behind, "answers", 0)
    client = Behind(client_config(brokers))
    assert partitions_of(client, ["people", "definitions"]) == {"people": [0, 1], "definitions": [0]}
    assert partitions_of(client, ["people", "nowhere"], patience=0) == {"people": [0, 1]}


def test_another_partition_count_is_refused_and_named(brokers: str) -> None:
    apply_topics(Settings(brokers=brokers, partitions=2), ["email"])
    with pytest.raises(WrongTopic, match="topic events has 2 partitions, 3 are wanted"):
        apply_topics(Settings(brokers=brokers, partitions=3), ["email"])


def test_a_small_topic_is_read_whole_and_followed(brokers: str) -> None:
    apply_topics(Settings(brokers=brokers, partitions=2), ["email"])
    producer = Producer(producer_config(brokers) | {"transactional.id": "test"})
    producer.init_transactions(30)
    for name in ("first", "aborted", "second"):
        producer.begin_transaction()
        producer.produce("definitions", value=name.encode(), key=name.encode())
        (producer.abort_transaction if name == "aborted" else producer.commit_transaction)(30)
    seen: list[bytes] = []
    read_whole(brokers, "definitions", lambda message: seen.append(message.value() or b""))
    assert seen == [b"first", b"second"]
    whole = Whole(brokers, "definitions")
    assert len(list(whole.to_end(30))) == 2
    producer.begin_transaction()
    producer.produce("definitions", value=b"third", key=b"third")
    producer.commit_transaction(30)
    assert [message.value() for message in whole.new(10)] == [b"third"]
    whole.close()
