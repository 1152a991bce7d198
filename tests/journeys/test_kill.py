"""The journeys worker on a real Kafka, killed in the middle of it: every decision and send once, as if undisturbed."""

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

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from pathline.commands.apply import publish
from pathline.local.kafka import KafkaBroker
from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.exits import Exit
from processors.runtime.memory import MemoryLine
from processors.runtime.points import VARIABLE, Point
from schemas import reasons, topics
from schemas.clock import VirtualClock
from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.kafka import apply_topics, consumer_config, producer_config
from schemas.records import Decision, Event, Move, SendCommand, SlotVersion, Update
from schemas.settings import Settings
from tests.journeys.lab import CODEC, FILES, SEND

UPDATES, PEOPLE, MOVERS, PARTITIONS = 4_000, 160, 50, 2
#: the transaction in which the worker dies for the first time, of about thirty with updates
DIES_IN = 6
HOUR = 3_600_000
#: long enough ago that every timer is due: the worker comes back to a backlog of three days
START = time.time_ns() // 1_000_000 - 80 * HOUR
PROJECT = parse(
    {
        **FILES,
        # so that nothing is late, and the worker decides as one that was never away
        "project.yaml": "name: shop\ntimers: {late_after: 52w}\n",
        "channels.yaml": "email: {connector: smtp, consent: opt_out, caps: [{at_most: 3, per: 1d}]}\n"
        "push: {connector: push, consent: none, identifiers: [anonymous_id]}\n",
        "journeys/cart.yaml": "name: cart\nenter: {event: Product Added}\nexit: [{event: Order Completed}]\n"
        "steps:\n  - wait: 90m\n" + SEND + "  - wait_for: {event: Email Opened}\n    timeout: 5h\n",
        "journeys/mover.yaml": "name: mover\nenter: {event: Moved In, on_repeat: parallel}\nsteps:\n  - wait: 60h\n"
        "  - send: {template: hello, channels: [push]}\n",
    }
)
#: what is told of an instance of those who move
STORY = {reasons.ENTERED, reasons.WAITING, reasons.SENT, reasons.FINISHED}
OUTPUTS = (topics.DECISIONS, topics.outbound("email"), topics.outbound("push"))


def event(number: int, identifier: str, name: str, at: int) -> Update:
    type_, value = identifier.split(":")
    record = Event(
        message_id=f"m{number}",
        event_id=f"e{number}",
        type="track",
        name=name,
        channel="",
        identifiers=[identifier],
        occurred_at=at,
        received_at=at,
        source="test",
        properties=b"{}",
        traits=b"{}",
        context=b"{}",
    )
    return Update(
        kind="event",
        person_id=person_id(identifier),
        slot=slot_of(identifier),
        version=1,
        at=at,
        event=CODEC.encode(record),
        profile=orjson.dumps({"addresses": {type_: [value], "email": [f"{value}@example.com"]}}),
    )


def stay() -> list[Update]:
    """What people do who remain who they are."""
    draw = Random(7)
    names = ["Product Added", "Order Completed", "Email Opened", "Page Viewed"]
    return [
        event(n, f"user_id:u{draw.randrange(PEOPLE)}", draw.choice(names), START + n // 160 * HOUR)
        for n in range(UPDATES)
    ]


def move() -> list[Update]:
    """Visitors who enter a journey, then turn out to be a known user."""
    made = []
    for n in range(MOVERS):
        cookie, user = f"anonymous_id:a{n}", f"user_id:m{n}"
        slot = SlotVersion(slot=slot_of(cookie), version=2)
        to, profile = person_id(user), orjson.dumps({"addresses": {"anonymous_id": [f"a{n}"]}})
        made += [
            event(UPDATES + n, cookie, "Moved In", START),
            Update(
                kind="move",
                person_id=person_id(cookie),
                at=START + HOUR,
                move=Move(to=to, slots=[slot], reason="merge", at=START + HOUR),
            ),
            Update(kind="handoff", person_id=to, at=START + HOUR, profile=profile, arrived=[slot]),
        ]
    return made


def undisturbed(updates: list[Update]) -> tuple[Counter[str], set[str]]:
    """Ids of the decisions that the stage takes in memory, and of its sends."""
    now = time.time_ns() // 1_000_000
    line = MemoryLine([JourneysStage(FixedDefinitions(PROJECT), CODEC)], VirtualClock(now))
    for update in updates:
        line.publish(topics.UPDATES, update.person_id, CODEC.encode(update))
    line.advance(now)
    decisions = [CODEC.decode(Decision, record.value) for record in line.outputs[topics.DECISIONS]]
    return Counter(d.decision_id for d in decisions), {d.send_id for d in decisions if d.send_id}


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The worker as a process, the newest last; whatever runs is ended."""
    running = [start(environment, log)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def start(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "faust", "-A", "processors.journeys.app", "worker", "-l", "warn"]
    with log.open("ab") as out:
        return subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)


def test_kill_9_of_journeys_loses_and_doubles_no_decision_and_no_send(tmp_path: Path) -> None:
    staying, moving, marker = stay(), move(), tmp_path / "died"
    expected, promised = undisturbed(staying)
    broker = KafkaBroker(tmp_path / "kafka")
    brokers = broker.start()
    try:
        settings = Settings(brokers=brokers, home=tmp_path / "home", partitions=PARTITIONS)
        environment = {
            "PATHLINE_BROKERS": brokers,
            "PATHLINE_HOME": str(settings.home),
            "PATHLINE_PARTITIONS": str(PARTITIONS),
            "PATHLINE_SESSION_TIMEOUT_MS": "2000",
            "PATHLINE_TRANSACTION_TIMEOUT_MS": "4000",
            "PATHLINE_BATCH_RECORDS": "150",
            # the first time it dies by itself, with a transaction open that has all it changes, and is not committed
            VARIABLE: f"{JourneysStage.app}:{Point.AFTER_CHANGELOG}:{DIES_IN}:{marker}",
        }
        apply_topics(settings, ["email", "push"])
        assert publish(settings, PROJECT)
        producer = Producer(producer_config(brokers))
        for update in [*moving[: MOVERS * 2], *staying, *moving[MOVERS * 2 :]]:
            producer.produce(topics.UPDATES, CODEC.encode(update), update.person_id, timestamp=update.at)
            producer.poll(0)
        producer.flush()

        decisions: list[Decision] = []
        sends: list[SendCommand] = []
        consumer = Consumer(consumer_config(brokers, "follower"))
        consumer.assign([TopicPartition(name, number, 0) for name in OUTPUTS for number in range(PARTITIONS)])
        kills = [len(expected) * step // 5 for step in (2, 3, 4)]
        died = False
        deadline = time.monotonic() + 300
        with worker(environment, tmp_path / "journeys.log") as running:
            while len(decisions) < len(expected) + len(STORY) * MOVERS or kills:
                for message in consumer.consume(10_000, 0.2):
                    assert message.error() is None
                    if message.topic() == topics.DECISIONS:
                        decisions.append(CODEC.decode(Decision, message.value()))
                    else:
                        sends.append(CODEC.decode(SendCommand, message.value()))
                too_many = Counter(d.decision_id for d in decisions if d.journey == "cart") - expected
                assert not too_many, "decided twice, or otherwise than undisturbed"
                ended = running[-1].poll()
                if ended is not None:
                    # where it was to die; or late for its group, as on a busy machine: its supervisor would do the same
                    dead = ended == -signal.SIGKILL and not died and marker.exists()
                    assert dead or ended == Exit.LOST, (tmp_path / "journeys.log").read_text()[-2_000:]
                    died = died or dead
                    running.append(start(environment, tmp_path / "journeys.log"))
                elif died and kills and len(decisions) >= kills[0]:
                    kills.pop(0)
                    running[-1].send_signal(signal.SIGKILL)
                    running[-1].wait()
                    running.append(start(environment, tmp_path / "journeys.log"))
                assert time.monotonic() < deadline, (len(decisions), len(expected))
        consumer.close()
    finally:
        broker.stop()
    assert Counter(d.decision_id for d in decisions if d.journey == "cart") == expected
    told = Counter((d.instance_id, d.reason) for d in decisions if d.journey == "mover")
    assert len(told) == len(STORY) * MOVERS
    assert {reason for _, reason in told} == STORY
    assert set(told.values()) == {1}
    by_id = Counter(command.send_id for command in sends)
    assert by_id == Counter(d.send_id for d in decisions if d.reason == reasons.SENT)
    assert set(by_id.values()) == {1}
    assert {command.send_id for command in sends if command.journey == "cart"} == promised
