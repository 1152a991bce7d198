from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from connectors.inbound.published import latest_rules
from pathline.cli import app
from pathline.commands.apply import in_force, publish
from pathline.errors import UserError
from pathline.journeys.standing import standings, steer
from pathline.local.kafka import KafkaBroker
from processors.runtime.published import PublishedDefinitions
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.journey_states import PAUSED
from schemas.kafka import apply_topics, consumer_config, producer_config
from schemas.records import Definitions, PersonEnvelope
from schemas.settings import Settings
from tests.definitions.files import journey, project, texts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path, text in texts({}).items():
        (tmp_path / "definitions" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "definitions" / path).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "definitions"


def test_check_says_what_a_sound_project_has(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("shop ")
    assert "1 segments, 0 journeys" in result.stdout
    assert "template hello is not used by any journey" in result.stderr


def test_check_names_file_line_and_column(folder: Path) -> None:
    (folder / "segments/a.yaml").write_text("when:\n  all:\n    - {did: A, wihtin: 1d}\n")
    (folder / "journeys").mkdir()
    (folder / "journeys/j.yaml").write_text(journey("- send: {template: helo, channels: [email]}"))
    for arguments in (["check"], ["check", "--project", str(folder)], ["check", "definitions"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert result.stderr.splitlines() == [
            "definitions/journeys/j.yaml:4:22: there is no template 'helo' (did you mean hello?)",
            "definitions/segments/a.yaml:3:16: unknown key 'wihtin' (did you mean within?)",
            "2 problems",
        ]


def test_check_for_programs(folder: Path) -> None:
    assert json.loads(CliRunner().invoke(app, ["check", "--format", "json"]).stdout) == []
    (folder / "segments/a.yaml").write_text("whn: {did: A}")
    result = CliRunner().invoke(app, ["check", "--format", "json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "file": "definitions/segments/a.yaml",
            "line": 1,
            "column": 1,
            "message": "unknown key 'whn'",
            "hint": "did you mean when?",
        }
    ]


def test_check_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["check"], ["check", "--project", str(tmp_path)], ["check", "--project", "nope"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert result.stderr.count("\n") <= 2
        assert "Traceback" not in result.output


def test_advice_about_what_nobody_delivers(folder: Path) -> None:
    (folder / "journeys").mkdir()
    (folder / "channels.yaml").write_text("email: {connector: smtp}\nviber: {identifiers: [phone]}\ntelegram: {}\n")
    (folder / "templates/hello.yaml").write_text("body: b\n")
    (folder / "journeys/j.yaml").write_text(journey("- send: {template: hello, channels: [viber, telegram]}"))
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 0, result.output
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        "channel viber has no connector",
        "channel telegram reaches nobody",
    ]
    (folder / "journeys/j.yaml").write_text(journey("- send: {template: hello, channels: [email]}"))
    assert "template hello has no subject" in CliRunner().invoke(app, ["check"]).stderr


@pytest.mark.parametrize("channels", ["all", "[email]"])
def test_advice_about_a_cascade_that_leads_nowhere(folder: Path, channels: str) -> None:
    (folder / "journeys").mkdir()
    (folder / "channels.yaml").write_text("email: {connector: smtp}\nsms: {connector: smpp}\n")
    (folder / "templates/hello.yaml").write_text("subject: s\nbody: b\n")
    send = f"- send: {{template: hello, channels: {channels}, until: opened, within: 6h}}"
    (folder / "journeys/j.yaml").write_text(journey(send))
    assert "until: opened of template hello leads to no other" in CliRunner().invoke(app, ["check"]).stderr
    (folder / "journeys/j.yaml").write_text(journey(send.replace(channels, "[email, sms]")))
    assert "until" not in CliRunner().invoke(app, ["check"]).stderr


# --- on a real Kafka -------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # a broker of its own: topics have fixed names
    broker = KafkaBroker(tmp_path / "kafka", heap_mb=256)
    try:
        yield Settings(brokers=broker.start(), home=tmp_path, partitions=3)
    finally:
        broker.stop()


def committed(settings: Settings, topic: str) -> list[tuple[int, bytes]]:
    """(partition, value) of all committed records."""
    consumer = Consumer(consumer_config(settings.brokers, "reader") | {"enable.partition.eof": True})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, open_ends = [], len(partitions)
    while open_ends:
        message = consumer.poll(10)
        assert message is not None
        if message.error() is not None:
            open_ends -= 1
        else:
            found.append((message.partition(), message.value()))
    consumer.close()
    return found


def test_a_version_is_published_with_a_marker_in_every_partition_and_once(settings: Settings) -> None:
    codec, first, second = Codec(), project(), project(project="name: other")
    with pytest.raises(UserError, match="no topic definitions"):
        publish(settings, first)
    apply_topics(settings, first.channels)
    assert publish(settings, first, "ann")
    assert not publish(settings, first)
    assert in_force(settings, codec) == first.version
    markers = [(p, codec.decode(PersonEnvelope, value)) for p, value in committed(settings, "people")]
    assert sorted(p for p, _ in markers) == [0, 1, 2]
    assert {(m.kind, m.marker.version) for _, m in markers if m.marker} == {("marker", first.version)}
    [(_, value)] = committed(settings, "definitions")
    published = codec.decode(Definitions, value)
    assert (published.version, published.author) == (first.version, "ann")
    assert parse(published.files) == first

    # what a publisher that died had begun holds back nobody and counts for nothing
    died = Producer(producer_config(settings.brokers) | {"transactional.id": "pathline.apply"})
    died.init_transactions()
    died.begin_transaction()
    died.produce("definitions", key=second.version, value=b"half")
    died.flush()
    assert publish(settings, second)
    assert publish(settings, first), "an earlier version comes back into force"
    assert in_force(settings, codec) == first.version
    assert len(committed(settings, "people")) == 9

    # the state of a journey is told the same way, outlives versions and is none
    assert steer(settings, codec, "cart", PAUSED, "ann")
    assert not steer(settings, codec, "cart", PAUSED, "ann")
    people = [(p, codec.decode(PersonEnvelope, value)) for p, value in committed(settings, "people")]
    assert sorted(p for p, told in people if told.kind == "journey") == [0, 1, 2]
    assert standings(settings, codec) == {"cart": PAUSED}
    assert in_force(settings, codec) == first.version
    assert PublishedDefinitions(settings.brokers, codec).latest() == first
    assert latest_rules(settings.brokers, codec) == first.identity
    assert publish(settings, second)
    assert standings(settings, codec) == {"cart": PAUSED}


def test_apply_refuses_an_invalid_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_BROKERS", "127.0.0.1:1")
    (folder / "segments/a.yaml").write_text("whn: {did: A}")
    result = CliRunner().invoke(app, ["apply"], env=dict(os.environ))
    assert result.exit_code == 1
    assert "segments/a.yaml:1:1: unknown key 'whn' (did you mean when?)" in result.output
