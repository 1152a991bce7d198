"""Steering on a real line: commands, resolver, graph and segments as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner, Result

from pathline.cli import app
from pathline.commands.apply import publish
from pathline.local.kafka import KafkaBroker
from pathline.steering.known import Following
from processors.graph.review import JUDGE, REVIEW
from processors.runtime.exits import Exit
from schemas import topics
from schemas.definitions import parse
from schemas.identifiers import person_id, usable
from schemas.kafka import apply_topics, consumer_config, producer_config
from schemas.records import Event, PersonEnvelope, Update
from schemas.settings import Settings
from tests.graph.rules import CODEC

FILES = {
    "project.yaml": "name: shop\n",
    "identity.yaml": "identifiers: {user_id: {limit: 1}, email: {limit: 2}, anonymous_id: {}}\nblocked: ['null']\n",
    "segments/buyers.yaml": "name: buyers\nwhen: {did: Order, count: {at_least: 2}}\n",
}
APPS = ("identity", "graph", "segments")
PATIENCE = 180.0
ANNA, TABLET = "user_id:anna", "anonymous_id:tablet"


@dataclass
class Line:
    """Workers on a broker, and what they say of persons."""

    settings: Settings
    folder: Path
    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]]
    updates: Consumer
    profiles: dict[str, dict[str, object]]

    def start(self, worker: str) -> None:
        command = [sys.executable, "-m", "faust", "-A", f"processors.{worker}.app", "worker", "-l", "warn"]
        with (self.folder / f"{worker}.log").open("ab") as log:
            self.running[worker] = subprocess.Popen(
                command, env={**os.environ, **self.environment}, stdout=log, stderr=log
            )

    def kill(self, worker: str) -> None:
        self.running[worker].send_signal(signal.SIGKILL)
        self.running[worker].wait()

    def post(self, *events: tuple[str, dict[str, str]]) -> None:
        """Events of now with these identifiers."""
        producer = Producer(producer_config(self.settings.brokers))
        for number, (name, values) in enumerate(events):
            identifiers, _ = usable(parse(FILES).identity, values.items())
            at = time.time_ns() // 1_000_000
            event = Event(
                message_id=f"{at}-{number}",
                event_id=f"00000000-0000-0000-{number:04}-{at % 10**12:012}",
                type="track",
                name=name,
                channel="web",
                identifiers=identifiers,
                occurred_at=at,
                received_at=at,
                source="site",
                properties=b"{}",
                traits=b"{}",
                context=b"{}",
            )
            producer.produce(topics.EVENTS, CODEC.encode(event), identifiers[0])
        assert producer.flush(30) == 0

    def members(self) -> set[str]:
        """Who buys, as far as the line has said so."""
        for message in self.updates.consume(1_000, 0.02):
            assert message.error() is None
            update = CODEC.decode(Update, message.value())
            if update.profile is not None:
                self.profiles[update.person_id] = orjson.loads(update.profile)
        return {person for person, profile in self.profiles.items() if "buyers" in str(profile["segments"])}

    def until_members(self, *persons: str) -> None:
        """Wait until exactly these buy."""
        deadline = time.monotonic() + PATIENCE
        while self.members() != set(persons):
            for worker, process in self.running.items():
                if process.poll() == Exit.LOST:
                    # late for the group, as on a busy machine: its supervisor would start it again
                    self.start(worker)
                assert self.running[worker].poll() is None, (self.folder / f"{worker}.log").read_text()[-2_000:]
            assert time.monotonic() < deadline, self.profiles

    def pathline(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("steering")
    broker = KafkaBroker(folder / "kafka")
    settings = Settings(brokers=broker.start(), home=folder / "home", partitions=2)
    environment = {
        "PATHLINE_BROKERS": settings.brokers,
        "PATHLINE_HOME": str(settings.home),
        "PATHLINE_PARTITIONS": "2",
        "PATHLINE_SESSION_TIMEOUT_MS": "2000",
        "PATHLINE_TRANSACTION_TIMEOUT_MS": "4000",
    }
    apply_topics(settings, [])
    publish(settings, parse(FILES))
    updates = Consumer(consumer_config(settings.brokers, "steering"))
    updates.assign([TopicPartition(topics.UPDATES, number, 0) for number in range(2)])
    made = Line(settings, folder, environment, {}, updates, {})
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            for worker in APPS:
                made.start(worker)
            made.post(
                ("Order", {"anonymous_id": "tablet"}),
                ("Login", {"user_id": "anna", "anonymous_id": "tablet"}),
                ("Order", {"user_id": "anna"}),
            )
            made.until_members(person_id(ANNA))
            yield made
    finally:
        updates.close()
        for process in made.running.values():
            process.kill()
            process.wait()
        broker.stop()


def test_assertions_take_effect_on_a_running_line_and_are_explained(line: Line, tmp_path: Path) -> None:
    told = line.pathline("identity", "never-link", ANNA, TABLET, "--reason", "a shop's tablet", "--author", "ann")
    assert told.output.split() == [ANNA, "is", "person", person_id(ANNA), TABLET, "is", "person", person_id(TABLET)]
    line.until_members()
    page = tmp_path / "anna.html"
    explained = json.loads(line.pathline("identity", "explain", ANNA, "--format", "json", "--html", str(page)).output)
    assert explained["identifiers"] == [ANNA]
    assert explained["links"] == []
    (refused,) = explained["refused"]
    assert (refused["a"], refused["b"], refused["source"]) == (ANNA, TABLET, "site")
    assert refused["reason"] == f"never: {ANNA} {TABLET}"
    assert refused["event_id"].startswith("00000000-0000")
    (said,) = explained["assertions"]
    assert (said["verb"], said["author"], said["reason"], said["holds"]) == ("never", "ann", "a shop's tablet", True)
    assert "tablet" in page.read_text()
    assert "http" not in page.read_text().replace("http://www.w3.org/2000/svg", "")

    line.pathline("identity", "revoke", TABLET, ANNA)
    line.until_members(person_id(ANNA))
    explained = json.loads(line.pathline("identity", "explain", person_id(TABLET), "--format", "json").output)
    assert explained["person_id"] == person_id(ANNA)
    assert explained["earlier_ids"] == [{"person_id": person_id(TABLET), "identifier": TABLET}]
    assert [link["joins"] for link in explained["links"]] == [True]
    assert "joins" in line.pathline("identity", "explain", TABLET).output

    line.pathline("identity", "unlink", TABLET)
    line.until_members()
    line.post(("Order", {"user_id": "anna", "anonymous_id": "tablet"}))
    line.until_members(person_id(ANNA))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["always-link", "anna", ANNA], "'anna' is no identifier: write type:value"),
        (["always-link", "shoe:42", ANNA], "shoe:42: unknown identifier type; known are user_id, email, anonymous_id"),
        (["never-link", "user_id:null", ANNA], "user_id:null: blocked value"),
        (["never-link", ANNA, "user_id: anna "], "are the same identifier, user_id:anna"),
        (["explain", "162d1b3f-f70c-8a21-b55a-d602ca142327"], "no linked identifier ever had person id"),
    ],
)
def test_what_can_not_be_said_is_refused_with_the_reason(line: Line, arguments: list[str], why: str) -> None:
    result = line.pathline("identity", *arguments)
    assert result.exit_code == 1
    assert why in result.stderr


def test_changed_rules_are_planned_and_applied_exactly_once_though_the_graph_is_killed(
    line: Line, tmp_path: Path
) -> None:
    devices = range(800)
    for owner in ("old", "new"):
        line.post(*(("Login", {"user_id": f"{owner}{n}", "anonymous_id": f"device{n}"}) for n in devices))
    for name, text in {**FILES, "identity.yaml": FILES["identity.yaml"].replace("{}", "{shared: newest}")}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    here = ("--project", str(tmp_path))
    planned = {"moved": 0}
    deadline = time.monotonic() + PATIENCE
    while planned["moved"] < len(devices) and time.monotonic() < deadline:
        planned = json.loads(line.pathline("identity", "plan", *here, "--format", "json").output)
    assert (planned["moved"], planned["merges"], planned["splits"]) == (len(devices),) * 3
    assert planned["persons"]["before"] == planned["persons"]["after"]
    assert "800 persons come out of merges, 800 come apart" in line.pathline("identity", "plan", *here).output

    following = Following(line.settings)
    command = [sys.executable, "-m", "pathline", "identity", "apply", *here]
    applying = subprocess.Popen(command, env={**os.environ, **line.environment}, stdout=subprocess.PIPE)
    under_way = following.until(REVIEW, lambda found: found[""].identifiers > 300, PATIENCE)[""]
    line.kill("graph")
    following.close()
    assert under_way.stage == JUDGE
    line.start("graph")
    output, _ = applying.communicate(timeout=PATIENCE)
    assert "Its rules of identity are others" in output.decode()
    assert output.decode().splitlines()[-1].endswith(" identifiers judged, 800 have another person now")
    assert "nobody changes" in line.pathline("identity", "apply", *here).output
    again = json.loads(line.pathline("identity", "plan", *here, "--format", "json").output)
    assert (again["moved"], again["links"]) == (0, {"refused": 0, "counted": 0})

    moves: Counter[tuple[str, int]] = Counter()
    place: dict[str, tuple[int, str]] = {}
    for envelope in people(line.settings):
        for slot in envelope.move.slots if envelope.move is not None else ():
            assert envelope.move is not None
            moves[slot.slot, slot.version] += 1
            place[slot.slot] = max(place.get(slot.slot, (0, "")), (slot.version, envelope.move.to))
    assert set(moves.values()) == {1}
    for n in devices:
        # what the device did before the new login stays with the old owner
        assert place[f"anonymous_id:device{n}#0"][1] == person_id(f"user_id:old{n}")
    owners = {slot: person for slot, (_, person) in place.items()}
    newest = {owners[slot] for slot in owners if slot.startswith("anonymous_id:device") and not slot.endswith("#0")}
    assert newest == {person_id(f"user_id:new{n}") for n in devices}


def people(settings: Settings) -> Iterator[PersonEnvelope]:
    """All committed records of `people`."""
    reader = Consumer(consumer_config(settings.brokers, "people") | {"enable.partition.eof": True})
    reader.assign([TopicPartition(topics.PEOPLE, number, 0) for number in range(2)])
    ends = 0
    while ends < 2:
        message = reader.poll(10)
        assert message is not None
        if message.error() is not None:
            ends += 1
        else:
            yield CODEC.decode(PersonEnvelope, message.value())
    reader.close()
