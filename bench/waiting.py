"""A million people who wait in a journey: how fast they enter, what they weigh, and how fast messages go out when they
fall due within one minute.

    python -m bench.waiting [--people 1000000] [--due 1000000] [--workers 1] [--quick]

Workers of the journeys stage on a real Kafka, nothing else. Each update is the first event of a person, with its
profile; it enters, and waits for a date, which for `--due` of the people lies in one minute, for the others in a month.
Entering is seen at the decisions, messages at `outbound.email`.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import orjson
from confluent_kafka import Producer

from bench.counting import Rate, rate
from bench.ground import Ground, ground, options
from bench.systems import Job, System
from pathline.commands.apply import publish
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.kafka import apply_topics, producer_config
from schemas.records import Event, Update
from schemas.settings import Settings
from schemas.topics import DECISIONS, UPDATES, outbound

CODEC = Codec()
PROJECT = {
    # all of them are to be in time, however long it takes
    "project.yaml": "name: bench\ntimers: {late_after: 7d}\n",
    "channels.yaml": "email: {connector: smtp, consent: opt_out, caps: [{at_most: 5, per: 1d}]}\n",
    "templates/hello.yaml": "subject: Hi\nbody: 'Hello {{ person.traits.name }}'\n",
    "journeys/j.yaml": "name: j\nenter: {event: Go}\nexit: [{event: Stop}]\nsteps:\n"
    "  - wait: {until: properties.day}\n  - send: {template: hello, channels: [email]}\n",
}
_LONGEST_SECONDS = 900.0
_MINUTE_MS = 60_000
_MONTH_MS = 30 * 86_400_000
#: so many enter a second even on a machine that is busy
_SLOWEST = 600


def update(number: int, due: int) -> tuple[str, bytes]:
    """(person, the update that a person with this number enters by), to wait until an instant."""
    identifier, now = f"user_id:{number}", int(time.time() * 1000)
    event = Event(
        message_id=f"m{number}",
        event_id=f"e{number}",
        type="track",
        name="Go",
        channel="web",
        identifiers=[identifier],
        occurred_at=now,
        received_at=now,
        source="bench",
        properties=orjson.dumps({"day": datetime.fromtimestamp(due / 1000, UTC).isoformat(), "total": number % 100}),
        traits=b"{}",
        context=b"{}",
    )
    profile = {"traits": {"name": "Ann"}, "addresses": {"user_id": [str(number)], "email": [f"p{number}@example.com"]}}
    who = person_id(identifier)
    record = Update(
        kind="event",
        person_id=who,
        slot=slot_of(identifier),
        version=1,
        at=now,
        event=CODEC.encode(event),
        profile=orjson.dumps(profile),
    )
    return who, CODEC.encode(record)


def fill(brokers: str, people: int, due: int, from_: int) -> None:
    """Publish an update for each of the people; those of the first `due` wait for some instant of the minute."""
    producer = Producer(producer_config(brokers) | {"queue.buffering.max.messages": 500_000, "linger.ms": 20})
    for number in range(people):
        ends = from_ + number * _MINUTE_MS // due if number < due else from_ + _MONTH_MS
        who, record = update(number, ends)
        while True:
            try:
                producer.produce(UPDATES, record, who)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=None, help="how many of them are due in the minute; default: all")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    people = 20_000 if asked.quick else asked.people
    due = min(people, asked.due or people)
    with ground(asked) as at:
        settings = Settings(brokers=at.brokers, home=at.folder / "home", partitions=at.partitions)
        apply_topics(settings, ["email"])
        publish(settings, parse(PROJECT))
        began = time.time()
        from_ = int((began + 40 + people / 4_000 + people / _SLOWEST / asked.workers) * 1000)
        fill(at.brokers, people, due, from_)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {asked.workers} workers", flush=True)
        with at.quiet():
            measure(at, settings, people, due, from_, asked.workers)


def measure(at: Ground, settings: Settings, people: int, due: int, from_: int, workers: int) -> None:
    """Let all of them enter, then wait for the minute."""
    command = [sys.executable, "-m", "faust", "-A", "processors.journeys.app", "worker", "-l", "warn"]
    system = System("journeys", lambda: command)
    environment = {
        "PATHLINE_BROKERS": at.brokers,
        "PATHLINE_HOME": str(settings.home),
        "PATHLINE_PARTITIONS": str(at.partitions),
    }
    job = Nothing(at.brokers, "journeys", UPDATES, at.folder / "job", at.partitions)
    with ExitStack() as running:
        pids = [running.enter_context(system.worker(job, n, **environment)) for n in range(workers)]
        # entered, and waiting
        told = rate(at.brokers, DECISIONS, at.partitions, 2 * people, _LONGEST_SECONDS, *pids)
        _show("enter", told, told.per_second / 2, told.cpu_micros * 2)
        if time.time() * 1000 > from_:
            raise TimeoutError("the first were due before the last had entered")
        weight = sum(file.stat().st_size for file in Path(settings.home).rglob("*") if file.is_file())
        print(f"state of {people:,} people who wait: {weight / 2**20:,.0f} MB, {weight / people:,.0f} bytes each")
        time.sleep(max(0.0, from_ / 1000 - time.time()))
        sent = rate(at.brokers, outbound("email"), at.partitions, due, _LONGEST_SECONDS, *pids)
        _show("messages", sent, sent.per_second, sent.cpu_micros)
        took = sent.start_seconds + sent.seconds
        print(f"{due:,} due within 60 s had their messages after {took:,.0f} s", flush=True)


class Nothing(Job):
    """A worker that takes its orders from the environment."""

    def arguments(self) -> list[str]:
        return []


def _show(what: str, found: Rate, per_second: float, micros: float) -> None:
    print(f"{what:<9} {per_second:9,.0f}/s   {micros:6.0f} us CPU   {found.memory_bytes / 2**20:5.0f} MB", flush=True)


if __name__ == "__main__":
    main()
