"""Dead letters can be listed, read and given to their reader once more, each exactly once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from pathline.cli import app
from pathline.dead_letters import read, replay
from pathline.errors import UserError
from schemas.kafka import apply_topics, consumer_config, producer_config
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, PEOPLE

#: as the other tests on this broker have them
PARTITIONS = 8


@pytest.fixture
def settings(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    settings = Settings(partitions=PARTITIONS)
    apply_topics(settings, [])
    return settings


def _dead(settings: Settings, *letters: tuple[bytes, dict[str, str]]) -> list[str]:
    """Write dead letters; their ids."""
    ids: list[str] = []
    producer = Producer(producer_config(settings.brokers))
    for value, headers in letters:
        producer.produce(
            DEAD_LETTERS,
            value,
            b"k",
            headers={name: text.encode() for name, text in headers.items()},
            on_delivery=lambda _, message: ids.append(f"{message.partition()}:{message.offset()}"),
        )
    assert producer.flush(20) == 0
    return ids


def _in_people(settings: Settings, value: bytes) -> list[int]:
    """Partitions in which committed records of `people` have this value."""
    consumer = Consumer(consumer_config(settings.brokers, "unused") | {"enable.partition.eof": True})
    consumer.assign([TopicPartition(PEOPLE, partition, 0) for partition in range(settings.partitions)])
    found, ends = [], 0
    while ends < settings.partitions:
        message = consumer.poll(20)
        assert message is not None
        if message.error() is not None:
            ends += 1
        elif message.value() == value:
            found.append(message.partition() or 0)
    consumer.close()
    return found


FROM_PEOPLE = {"topic": PEOPLE, "partition": "1", "offset": "7", "app": "segments", "error": "BadRecord", "at": "1000"}
FROM_EDGE = {"source": "collector:abc", "app": "collector", "error": "Rejected", "message": "no usable identifier"}


def test_a_replay_puts_the_original_bytes_back_once(settings: Settings) -> None:
    broken, edge = _dead(settings, (b"\x00broken", FROM_PEOPLE), (b"{", FROM_EDGE))
    assert broken in [letter.id for letter in replay(settings, None)]
    assert replay(settings, None) == []
    assert _in_people(settings, b"\x00broken") == [1]
    replayed = {letter.id: letter.replayed for letter in read(settings)}
    assert (replayed[broken], replayed[edge]) == (True, False)


def test_what_can_not_be_replayed_is_refused_with_its_reason_and_nothing_is_sent(settings: Settings) -> None:
    fine, edge, shared = _dead(
        settings, (b"fine", FROM_PEOPLE), (b"{", FROM_EDGE), (b"u", FROM_PEOPLE | {"topic": "updates"})
    )
    with pytest.raises(UserError, match=f"{edge} can't be replayed: refused at the edge"):
        replay(settings, [fine, edge])
    with pytest.raises(UserError, match="several readers"):
        replay(settings, [shared])
    with pytest.raises(UserError, match="no dead letter 9:9"):
        replay(settings, ["9:9"])
    assert _in_people(settings, b"fine") == []


def test_the_commands_show_where_from_and_why_with_the_original_bytes(settings: Settings) -> None:
    (id,) = _dead(settings, (b"\x00\xffx", FROM_PEOPLE | {"message": "unknown schema id 9"}))
    run = CliRunner().invoke
    listed = json.loads(run(app, ["dead-letters", "list", "--format", "json"]).stdout)
    row = next(row for row in listed if row["id"] == id)
    assert (row["from"], row["by"], row["reason"]) == ("people 1:7", "segments", "BadRecord: unknown schema id 9")
    shown = run(app, ["dead-letters", "show", id]).stdout
    assert "unknown schema id 9" in shown
    assert "00ff78" in shown
    missing = run(app, ["dead-letters", "show", "5:5"])
    assert (missing.exit_code, missing.stderr) == (1, "There is no dead letter 5:5.\n")
