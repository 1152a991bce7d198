"""Resolver and graph on a real Kafka, killed in the middle: persons and events as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from confluent_kafka import Consumer, Producer, TopicPartition

from pathline.commands.apply import publish
from pathline.local.kafka import KafkaBroker
from processors.runtime.exits import Exit
from schemas import topics
from schemas.definitions import parse
from schemas.identifiers import person_id
from schemas.kafka import apply_topics, consumer_config, producer_config
from schemas.records import Assignment, Event, PersonEnvelope
from schemas.settings import Settings
from tests.graph.rules import CODEC, assignments
from tests.identity.crowd import Town, happening

EVENTS = 5_000
PARTITIONS = 2
PROJECT = parse(
    {
        "project.yaml": "name: test\n",
        "identity.yaml": "identifiers: {user_id: {limit: 1}, email: {limit: 2}, anonymous_id: {limit: 20}}\nhub: 10\n",
    }
)


def visits() -> list[Event]:
    """Visitors of a shop on devices some of which are shared, now and then logged in."""
    draw = Random(4)
    made = []
    for number in range(EVENTS):
        visitor = draw.randrange(600)
        device = visitor if draw.random() < 0.95 else draw.randrange(600)
        values: dict[str, object] = {"anonymous_id": f"d{device}"}
        if draw.random() < 0.3:
            values["user_id"] = f"u{visitor}"
        if draw.random() < 0.1:
            values["email"] = f"v{visitor}@example.com"
        made.append(happening(PROJECT.identity, f"e{number}", number, f"m{number}", number, values))
    return made


class Follower:
    """Committed records of the line, taken in as they come."""

    def __init__(self, brokers: str) -> None:
        self.events: Counter[str] = Counter()
        self.moves: Counter[tuple[str, int]] = Counter()
        self.moved: dict[str, tuple[str, int]] = {}
        self.assigned: dict[str, Assignment] = {}
        self._consumer = Consumer(consumer_config(brokers, "follower"))
        places = [(name, number) for name in (topics.PEOPLE, topics.ASSIGNMENTS) for number in range(PARTITIONS)]
        self._consumer.assign([TopicPartition(name, number, 0) for name, number in places])

    def take(self) -> None:
        for message in self._consumer.consume(10_000, 0.2):
            assert message.error() is None
            if message.topic() == topics.ASSIGNMENTS:
                assignment = CODEC.decode(Assignment, message.value())
                self.assigned[assignment.identifier] = assignment
            else:
                self._person(CODEC.decode(PersonEnvelope, message.value()))

    def _person(self, envelope: PersonEnvelope) -> None:
        if envelope.kind == "event":
            self.events[CODEC.decode(Event, envelope.event).name] += 1
        for slot in envelope.move.slots if envelope.move is not None else ():
            assert envelope.move is not None
            self.moves[slot.slot, slot.version] += 1
            # moves of one slot leave different persons, so they come in any order
            if slot.version > self.moved.get(slot.slot, ("", 1))[1]:
                self.moved[slot.slot] = (envelope.move.to, slot.version)

    def close(self) -> None:
        self._consumer.close()


@contextmanager
def workers(settings: dict[str, str], folder: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Resolver and graph as processes; whatever runs is ended."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for app in ("identity", "graph"):
            running[app] = start(app, settings, folder)
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def start(app: str, settings: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "faust", "-A", f"processors.{app}.app", "worker", "-l", "warn"]
    with (folder / f"{app}.log").open("ab") as log:
        return subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)


def test_kill_9_of_resolver_and_graph_loses_and_doubles_nothing(tmp_path: Path) -> None:
    events = visits()
    undisturbed = Town(PROJECT.identity, PARTITIONS)
    for event in events:
        undisturbed.line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
    undisturbed.line.drain()
    expected = {one: found.periods[-1].person_id for one, found in assignments(undisturbed.line).items()}

    broker = KafkaBroker(tmp_path / "kafka")
    brokers = broker.start()
    try:
        environment = {
            "PATHLINE_BROKERS": brokers,
            "PATHLINE_HOME": str(tmp_path / "home"),
            "PATHLINE_PARTITIONS": str(PARTITIONS),
            "PATHLINE_SESSION_TIMEOUT_MS": "2000",
            "PATHLINE_TRANSACTION_TIMEOUT_MS": "4000",
            "PATHLINE_BATCH_RECORDS": "150",
        }
        settings = Settings(brokers=brokers, home=tmp_path / "home", partitions=PARTITIONS)
        apply_topics(settings, [])
        assert publish(settings, PROJECT)
        producer = Producer(producer_config(brokers))
        for event in events:
            producer.produce(topics.EVENTS, CODEC.encode(event), event.identifiers[0])
            producer.poll(0)
        producer.flush()
        follower = Follower(brokers)
        with workers(environment, tmp_path) as running:
            victims = [(EVENTS * step // 8, app) for step, app in enumerate(("identity", "graph") * 3, start=1)]
            deadline = time.monotonic() + 300
            while True:
                follower.take()
                for app, process in running.items():
                    if process.poll() == Exit.LOST:
                        # late for the group, as on a busy machine: its supervisor would start it again
                        running[app] = start(app, environment, tmp_path)
                    assert running[app].poll() is None, (tmp_path / f"{app}.log").read_text()[-2_000:]
                if victims and follower.events.total() >= victims[0][0]:
                    _, app = victims.pop(0)
                    running[app].send_signal(signal.SIGKILL)
                    running[app].wait()
                    running[app] = start(app, environment, tmp_path)
                now = {one: found.periods[-1].person_id for one, found in follower.assigned.items()}
                if not victims and follower.events.total() >= EVENTS and now == expected:
                    break
                assert time.monotonic() < deadline, f"{follower.events.total()} events, {len(now)} of {len(expected)}"
        follower.close()
    finally:
        broker.stop()
    assert follower.events == Counter(event.name for event in events)
    assert set(follower.moves.values()) == {1}
    for identifier, assignment in follower.assigned.items():
        for period in assignment.periods:
            derived = (person_id(identifier), 1)
            assert follower.moved.get(period.slot, derived) == (period.person_id, period.version)
