"""A line of its own for what needs real topics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pathline.local.kafka import KafkaBroker
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.kafka import apply_topics, producer_config
from schemas.records import Definitions
from schemas.settings import Settings

IDENTITY = "identifiers:\n  user_id: {limit: 1}\n  loyalty_card: {limit: 1}\n  email: {limit: 5, normalize: email}\n"


def publish(brokers: str, identity: str = IDENTITY) -> None:
    """Put a project into the topic `definitions`, as `pathline apply` does."""
    project = parse({"identity.yaml": identity})
    record = Definitions(version=project.version, published_at=1, files=dict(project.files))
    producer = Producer(producer_config(brokers))
    producer.produce(topics.DEFINITIONS, key=project.version, value=Codec().encode(record))
    producer.flush(10)


@pytest.fixture(scope="package")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a line that has its topics and a project."""
    folder: Path = tmp_path_factory.mktemp("line")
    broker = KafkaBroker(folder / "kafka")
    settings = Settings(home=folder, brokers=broker.start())
    apply_topics(settings, ["email"])
    publish(settings.brokers)
    yield settings
    broker.stop()
