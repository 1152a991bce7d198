"""Stages find every published project by its version, without a restart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from processors.runtime.published import PublishedDefinitions
from schemas import definitions
from schemas.codec import Codec
from schemas.kafka import client_config, producer_config
from schemas.records import Definitions

TOPIC = "published.definitions"
EXAMPLE = Path(__file__).parents[2] / "definitions"


def publish(
    brokers: str, version: str, files: Mapping[str, str], value: bytes | None = None, topic: str = TOPIC
) -> None:
    producer = Producer(producer_config(brokers))
    record = Definitions(version=version, published_at=1, files=dict(files))
    producer.produce(topic, value or Codec().encode(record), version)
    producer.flush()


def test_projects_are_read_whole_and_followed(kafka: str) -> None:
    admin = AdminClient(client_config(kafka))
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result()
    source = PublishedDefinitions(kafka, Codec(), TOPIC)
    assert source.latest() is None
    project = definitions.load(EXAMPLE)
    publish(kafka, project.version, project.files)
    assert source.project(project.version) == source.latest()
    later = definitions.parse({**project.files, "project.yaml": "name: later\n"})
    publish(kafka, "unusable", {}, value=b"not avro")
    publish(kafka, later.version, later.files)
    assert source.project(later.version).name == "later"
    assert source.project(project.version).name == project.name
    found = PublishedDefinitions(kafka, Codec(), TOPIC).latest()
    assert found is not None
    assert found.version == later.version
    with pytest.raises(LookupError, match="no definitions are published under version nonsense"):
        source.project("nonsense")


def test_a_project_that_can_not_be_used_leaves_the_one_before_in_force(kafka: str) -> None:
    topic = "broken.definitions"
    admin = AdminClient(client_config(kafka))  # has to be there until its answer is
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    source = PublishedDefinitions(kafka, Codec(), topic)
    project = definitions.load(EXAMPLE)
    publish(kafka, project.version, project.files, topic=topic)
    publish(kafka, "broken", {"identity.yaml": "identifiers: ["}, topic=topic)
    with pytest.raises(LookupError, match="under version broken"):
        source.project("broken")
    assert source.latest() == project
