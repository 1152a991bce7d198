"""A new segment on a real Kafka with history, while events come in and workers are killed: everybody is in it once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from pathline.cli import app
from pathline.commands.apply import publish
from pathline.local.kafka import KafkaBroker
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.exits import Exit
from processors.runtime.memory import MemoryLine
from processors.segments.model import PEOPLE as PERSONS
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.kafka import apply_topics, consumer_config, producer_config
from schemas.records import Backfill, Event, Move, PersonEnvelope, SlotVersion, Update
from schemas.settings import Settings

EVENTS, LIVE, PEOPLE, MOVERS, PARTITIONS, WORKERS = 12_000, 1_500, 600, 150, 4, 2
CODEC = Codec()
START = time.time_ns() // 1_000_000 - 3_600_000
FILES = {
    "project.yaml": "name: shop\n",
    "identity.yaml": "identifiers: {user_id: {limit: 1}, anonymous_id: {}}\n",
    "segments/seen.yaml": "when: {did: Product Viewed}\n",
}
OLD = parse(FILES)
NEW = parse(
    {
        **FILES,
        "segments/regular.yaml": "when: {did: Order Completed, where: event.properties.total > 20,"
        " count: {at_least: 4, at_most: 7}}\n",
        "segments/rest.yaml": "when: {all: [{in: seen}, {not: {in: regular}}]}\n",
    }
)


def happened(number: int, identifier: str, name: str, total: int) -> PersonEnvelope:
    record = Event(
        message_id=f"m{number}",
        event_id=f"e{number}",
        type="track",
        name=name,
        channel="",
        identifiers=[identifier],
        occurred_at=START + number,
        received_at=START + number,
        source="test",
        properties=orjson.dumps({"total": total}),
        traits=b"{}",
        context=b"{}",
    )
    slot = slot_of(identifier)
    return PersonEnvelope(
        kind="event", person_id=person_id(identifier), slot=slot, version=1, event=CODEC.encode(record)
    )


def history() -> list[PersonEnvelope]:
    """What people do; visitors turn out to be known users on the way, and are filed as visitors for a while still."""
    draw, made = Random(11), list[PersonEnvelope]()
    for number in range(EVENTS + LIVE):
        visitor = draw.random() < 0.3
        identifier = f"anonymous_id:a{draw.randrange(MOVERS)}" if visitor else f"user_id:u{draw.randrange(PEOPLE)}"
        name = draw.choice(["Order Completed", "Product Viewed", "Page Viewed"])
        made.append(happened(number, identifier, name, draw.randrange(40)))
    for n in range(MOVERS):
        slot, at = SlotVersion(slot=slot_of(f"anonymous_id:a{n}"), version=2), draw.randrange(1_000, EVENTS + LIVE)
        move = Move(to=person_id(f"user_id:u{n}"), slots=[slot], reason="merge", at=START + at)
        made.insert(at, PersonEnvelope(kind="move", person_id=person_id(f"anonymous_id:a{n}"), move=move))
    return made


def from_the_start(records: list[PersonEnvelope]) -> dict[str, set[str]]:
    """Members by person in a line that had the new definitions from the start."""
    line = MemoryLine([SegmentsStage(FixedDefinitions(NEW), CODEC)], VirtualClock(time.time_ns() // 1_000_000))
    for record in records:
        line.publish(topics.PEOPLE, record.person_id, CODEC.encode(record))
    line.drain()
    return {key: set(person.member) for key, person in line.states("segments", PERSONS) if person.member}


@contextmanager
def workers(environment: dict[str, str], folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    running = [start(environment, folder, number) for number in range(WORKERS)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def start(environment: dict[str, str], folder: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "faust", "-A", "processors.segments.app", "worker", "-l", "warn"]
    own = {"PATHLINE_WORKER": str(number), "PATHLINE_HOME": str(folder / f"home{number}")}
    with (folder / f"segments{number}.log").open("ab") as out:
        return subprocess.Popen(command, env={**os.environ, **environment, **own}, stdout=out, stderr=out)


def tell(folder: Path, monkeypatch: pytest.MonkeyPatch, brokers: str) -> None:
    """What the command line says of it afterwards."""
    for name, text in NEW.files.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(text, "utf-8")
    monkeypatch.setenv("PATHLINE_BROKERS", brokers)
    monkeypatch.setenv("PATHLINE_PARTITIONS", str(PARTITIONS))
    monkeypatch.setenv("PATHLINE_HOME", str(folder / "home"))

    def said(*arguments: str) -> str:
        answer = CliRunner().invoke(app, list(arguments))
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    assert "all segments answer for everybody" in said("apply", str(folder / "project"), "--wait")
    assert {row["state"] for row in json.loads(said("segments", "list", "--format", "json"))} == {"answers"}
    assert json.loads(said("segments", "diff", str(folder / "project"), "--format", "json"))["segments"] == []
    (folder / "project" / "segments/rest.yaml").write_text("when: {not: {in: regular}}\n", "utf-8")
    listed = json.loads(said("segments", "list", "--project", str(folder / "project"), "--format", "json"))
    assert {row["segment"]: row["state"] for row in listed if row["state"] != "answers"} == {"rest": "not applied"}


def test_a_segment_applied_under_load_and_kill_9_has_the_members_it_would_have_had_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = history()
    expected = from_the_start(records)
    broker = KafkaBroker(tmp_path / "kafka")
    brokers = broker.start()
    try:
        settings = Settings(brokers=brokers, home=tmp_path / "home", partitions=PARTITIONS)
        environment = {
            "PATHLINE_BROKERS": brokers,
            "PATHLINE_PARTITIONS": str(PARTITIONS),
            "PATHLINE_SESSION_TIMEOUT_MS": "2000",
            "PATHLINE_TRANSACTION_TIMEOUT_MS": "4000",
            "PATHLINE_BATCH_RECORDS": "2000",
        }
        apply_topics(settings, ["email"])
        assert publish(settings, OLD)
        producer = Producer(producer_config(brokers))

        def produce(some: list[PersonEnvelope]) -> None:
            for record in some:
                producer.produce(topics.PEOPLE, CODEC.encode(record), record.person_id)
                producer.poll(0)
            producer.flush()

        produce(records[:-LIVE])
        consumer = Consumer(consumer_config(brokers, "follower"))
        read = (topics.UPDATES, topics.SEGMENTS_BACKFILL)
        consumer.assign([TopicPartition(name, number, 0) for name in read for number in range(PARTITIONS)])
        inside: dict[str, set[str]] = {}
        causes: set[tuple[str, str]] = set()
        seen, done, stretches, applied, live = 0, 0, 0, False, records[-LIVE:]
        kills, deadline = [(0, 3), (1, 9), (0, 15)], time.monotonic() + 300
        with workers(environment, tmp_path) as running:
            while done < PARTITIONS or live or seen < len(records):
                for message in consumer.consume(10_000, 0.1):
                    assert message.error() is None
                    if message.topic() == topics.SEGMENTS_BACKFILL:
                        told = CODEC.decode(Backfill, message.value())
                        if told.definitions == NEW.version:
                            done += told.kind == "done"
                            stretches += told.kind == "read"
                        continue
                    update = CODEC.decode(Update, message.value())
                    seen += update.kind in ("event", "move")
                    for change in update.changes:
                        member = inside.setdefault(update.person_id, set())
                        assert (change.segment in member) == (change.change == "left"), "entered and left alternate"
                        (member.remove if change.change == "left" else member.add)(change.segment)
                        causes.add((change.segment, change.cause))
                if not applied and seen > len(records) - LIVE - 3_000:
                    applied = publish(settings, NEW)
                if applied and live:
                    produce(live[:40])
                    live = live[40:]
                if kills and stretches >= kills[0][1]:
                    number, _ = kills.pop(0)
                    running[number].send_signal(signal.SIGKILL)
                    running[number].wait()
                    running[number] = start(environment, tmp_path, number)
                for number, process in enumerate(running):
                    if process.poll() == Exit.LOST:
                        # late for the group, as on a busy machine: its supervisor would start it again
                        running[number] = start(environment, tmp_path, number)
                    assert running[number].poll() is None, (tmp_path / f"segments{number}.log").read_text()[-2_000:]
                assert time.monotonic() < deadline, (seen, done, stretches, live[:1], kills)
        consumer.close()
        tell(tmp_path, monkeypatch, brokers)
    finally:
        broker.stop()
    assert not kills
    assert {person: member for person, member in inside.items() if member} == expected
    assert ("regular", "backfill") in causes
    assert ("seen", "backfill") not in causes, "what both versions have goes on"
