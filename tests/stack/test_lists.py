"""Lists on a real Kafka: what a command changes is told once, also when one before it died half-way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer
from typer.testing import CliRunner

from pathline.cli import app
from pathline.commands.apply import publish
from pathline.erasing.reading import records
from pathline.erasing.traces import compacted
from pathline.lists import keeping
from pathline.lists.keeping import Keeper
from schemas import lists
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.kafka import apply_topics, producer_config
from schemas.records import Event
from schemas.settings import Settings
from schemas.topics import EVENTS, LISTS
from sinks.clickhouse.erasure import Names

#: as the other tests on this broker have them
PARTITIONS = 8


@pytest.fixture
def settings(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    settings = Settings(partitions=PARTITIONS)
    apply_topics(settings, ["email"])
    publish(settings, parse({"project.yaml": "name: lists"}))
    return settings


def pathline(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["lists", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def told(settings: Settings, name: str) -> list[tuple[str, str]]:
    """(identifier, what happened) of a list, as the line hears it."""
    codec, found = Codec(), list[tuple[int, str, str]]()

    def take(message: Message) -> None:
        event = codec.decode(Event, message.value())
        if event.type == lists.TYPE and json.loads(event.properties)["list"] == name:
            assert (message.key() or b"").decode() == event.identifiers[0]
            found.append((event.occurred_at, event.identifiers[0], event.name))

    for message in records(settings.brokers, EVENTS, list(range(PARTITIONS))):
        take(message)
    return [(who, what) for _, who, what in sorted(found)]


def members(name: str) -> list[str]:
    return [row["identifier"] for row in json.loads(pathline("show", name, "--format", "json"))]


def test_a_file_is_added_replaced_and_removed(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "vip.txt"
    file.write_text("email:ann@example.com\nuser_id:7\nnobody\n", "utf-8")
    assert "vip: 2 joined, 0 left, 2 in it" in pathline("import", "vip", str(file))
    assert "vip: 0 joined, 0 left" in pathline("import", "vip", str(file)), "nothing new: nothing is said"
    assert "every line has to be usable" in pathline("import", "vip", str(file), "--replace", code=1)
    file.write_text("user_id:7\nuser_id:8\n", "utf-8")
    assert "vip: 1 joined, 1 left, 2 in it" in pathline("import", "vip", str(file), "--replace")
    assert members("vip") == ["user_id:7", "user_id:8"]
    file.write_text("user_id:7\nuser_id:9\n", "utf-8")
    assert "vip: 0 joined, 1 left, 1 in it" in pathline("import", "vip", str(file), "--remove")
    assert any("vip" in row["list"] for row in json.loads(pathline("list", "--format", "json")))
    assert "1 left, the list is gone" in pathline("remove", "vip")
    assert "there is no list 'vip'" in pathline("show", "vip", code=1)
    joined, left = lists.JOINED, lists.LEFT
    assert told(settings, "vip") == [
        ("email:ann@example.com", joined),
        ("user_id:7", joined),
        ("email:ann@example.com", left),
        ("user_id:8", joined),
        ("user_id:7", left),
        ("user_id:8", left),
    ]


def test_an_import_that_died_is_done_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "CHUNK", 2)
    everybody = [f"user_id:{number}" for number in range(5)]

    class Killed(Exception):
        pass

    def die(done: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        Keeper(settings, Codec()).change("half", everybody, (), die)
    died = Producer(producer_config(settings.brokers) | {"transactional.id": "pathline.lists"})
    died.init_transactions(30)
    died.begin_transaction()
    died.produce(LISTS, key="half/user_id:2", value=b"never committed")
    died.produce(EVENTS, key="user_id:2", value=b"never committed")
    died.flush(30)
    assert Keeper(settings, Codec()).change("half", everybody, ()) == (3, 0)
    assert sorted(told(settings, "half")) == [(who, "List Joined") for who in everybody]


def test_who_is_forgotten_is_in_no_list(settings: Settings) -> None:
    keeper = Keeper(settings, Codec())
    keeper.change("gone", ["user_id:99", "user_id:990"], ())
    names = Names(0, [], [], ["user_id:99"])
    there = {"identity.assignments": [0], LISTS: [0]}
    assert compacted(settings.brokers, there, names, Codec())[LISTS] == 1
    Keeper(settings, Codec()).forget(["user_id:99"])
    assert compacted(settings.brokers, there, names, Codec())[LISTS] == 0
    assert members("gone") == ["user_id:990"]
