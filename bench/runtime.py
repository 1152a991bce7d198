"""What the runtime costs: events a second of a counting job, and milliseconds of one hop, on a Kafka of its own.

The job reads an event, reads and writes a counter of its key and sends one record. The bound is the same job as a bare
loop of librdkafka with its state in a dict, nothing durable but the changelog. Run it on a quiet machine;
the CPU an event (start of the process included) depends less on what else runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pathline.local.kafka import KafkaBroker
from processors.runtime.contract import Record, Table, Turn
from processors.runtime.worker import faust_app, run
from schemas.kafka import client_config, consumer_config, high_watermarks, producer_config, topic_settings
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, Topic, changelog

KEYS = 10_000
TOPICS = ("in", "out", "changelog")


class Seen(msgspec.Struct, frozen=True):
    count: int


SEEN = Table("seen", Seen)


class Job:
    """Counts events per key and passes each on."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.inputs = (f"{app}.in",)

    def on_record(self, record: Record, turn: Turn) -> None:
        key = (record.key or b"").decode()
        seen = turn.get(SEEN, key)
        turn.put(SEEN, key, Seen(seen.count + 1 if seen else 1))
        turn.send(f"{self.app}.out", key, record.value)

    def on_wake(self, key: str, due: int, turn: Turn) -> None: ...

    def on_assigned(self, turn: Turn) -> None: ...

    def on_result(self, key: str, result: Any, turn: Turn) -> None: ...


def work(app: str) -> None:
    """Be a worker of the job."""
    run(faust_app(lambda source, codec: Job(app)), loglevel="WARN")


def create(brokers: str, app: str, partitions: int) -> None:
    """The topics of the job."""
    topics = [
        NewTopic(
            f"{app}.{name}",
            num_partitions=partitions,
            replication_factor=1,
            config=topic_settings(Topic(name, "", None, name == "changelog", None, "")),
        )
        for name in TOPICS
    ]
    admin = AdminClient(client_config(brokers))
    for answer in admin.create_topics(topics).values():
        answer.result()


def create_dead_letters(brokers: str, partitions: int) -> None:
    """The topic that every app needs."""
    admin = AdminClient(client_config(brokers))
    admin.create_topics([NewTopic(DEAD_LETTERS, partitions, 1)])[DEAD_LETTERS].result()


def fill(brokers: str, app: str, events: int) -> None:
    """Publish events of 100 bytes."""
    producer = Producer(producer_config(brokers) | {"queue.buffering.max.messages": 2_000_000, "linger.ms": 20})
    for n in range(events):
        producer.produce(f"{app}.in", b"x" * 100, b"key-%d" % (n % KEYS))
        if n % 10_000 == 0:
            producer.poll(0)
    producer.flush()


@contextmanager
def worker(brokers: str, app: str, home: Path) -> Iterator[psutil.Process]:
    """A worker of the job as a process."""
    environment = {**os.environ, "PATHLINE_BROKERS": brokers, "PATHLINE_HOME": str(home)}
    command = [sys.executable, __file__, "--worker", app]
    with (home / f"{app}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def arrivals(brokers: str, app: str, events: int) -> float:
    """Events a second between the first and the last output that a committed reader sees."""
    consumer = Consumer(consumer_config(brokers, f"{app}-reader") | {"queued.min.messages": 100_000})
    consumer.subscribe([f"{app}.out"])
    seen, started = 0, 0.0
    while seen < events:
        found = len([message for message in consumer.consume(10_000, 0.05) if message.error() is None])
        started = started or (time.perf_counter() if found else 0.0)
        seen += found
    rate = events / (time.perf_counter() - started)
    consumer.close()
    return rate


def bare(brokers: str, app: str, events: int) -> float:
    """The bound: events a second of the job as a bare loop, a transaction per 10,000."""
    consumer = Consumer(
        consumer_config(brokers, app) | {"queued.min.messages": 100_000, "partition.assignment.strategy": "range"}
    )
    producer = Producer(producer_config(brokers) | {"transactional.id": app, "queue.buffering.max.messages": 1_000_000})
    producer.init_transactions()
    consumer.subscribe([f"{app}.in"])
    state: dict[bytes, int] = {}
    done, started = 0, 0.0
    while done < events:
        first = consumer.poll(1)
        if first is None:
            continue
        started = started or time.perf_counter()
        producer.begin_transaction()
        changed = set()
        messages = [first, *consumer.consume(9_999, 0)]
        for message in messages:
            key = message.key()
            state[key] = state.get(key, 0) + 1
            changed.add((message.partition(), key))
            producer.produce(f"{app}.out", message.value(), key)
        for partition, key in changed:
            producer.produce(changelog(app), b"%d" % state[key], key, partition=partition)
        producer.flush()
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
        done += len(messages)
    rate = events / (time.perf_counter() - started)
    consumer.close()
    return rate


def latency(brokers: str, app: str, partitions: int, rate: int, seconds: float) -> list[float]:
    """Milliseconds from produce to the committed output, sorted."""
    consumer = Consumer(consumer_config(brokers, f"{app}-latency") | {"fetch.wait.max.ms": 100})
    ends = high_watermarks(brokers, [(f"{app}.out", number) for number in range(partitions)])
    consumer.assign([TopicPartition(topic, number, end) for (topic, number), end in ends.items()])
    producer = Producer(producer_config(brokers) | {"linger.ms": 0})
    found: list[float] = []
    events, closing = int(rate * seconds), threading.Event()

    def receive() -> None:
        while len(found) < events and not closing.is_set():
            message = consumer.poll(0.1)
            value = message.value() if message is not None and message.error() is None else None
            if value is not None and value.startswith(b"at:"):
                found.append((time.time_ns() - int(value[3:])) / 1e6)

    receiver = threading.Thread(target=receive)
    receiver.start()
    time.sleep(1)
    started = time.perf_counter()
    for n in range(events):
        time.sleep(max(0.0, started + n / rate - time.perf_counter()))
        producer.produce(f"{app}.in", b"at:%d" % time.time_ns(), b"key-%d" % (n % KEYS))
        producer.poll(0)
    producer.flush()
    receiver.join(10)
    closing.set()
    receiver.join()
    consumer.close()
    return sorted(found)


def measure(events: int, seconds: float, partitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        broker = KafkaBroker(home / "kafka")
        brokers = broker.start()
        try:
            create_dead_letters(brokers, partitions)
            for app in ("bare", "line"):
                create(brokers, app, partitions)
                fill(brokers, app, events)
            before = time.process_time()
            bound = bare(brokers, "bare", events)
            used = time.process_time() - before
            print(f"bare loop, dict state   {bound:9,.0f} events/s   {used / events * 1e6:5.1f} us CPU an event")
            with worker(brokers, "line", home) as process:
                rate = arrivals(brokers, "line", events)
                used = process.cpu_times().user + process.cpu_times().system
                print(f"runtime, one worker     {rate:9,.0f} events/s   {used / events * 1e6:5.1f} us CPU an event")
                for pace in (50, 500):
                    found = latency(brokers, "line", partitions, pace, seconds)
                    p50, p99 = statistics.median(found), found[int(len(found) * 0.99)]
                    print(f"one hop at {pace:3d}/s        p50 {p50:6.1f} ms   p99 {p99:6.1f} ms")
        finally:
            broker.stop()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=500_000)
    arguments.add_argument("--seconds", type=float, default=10.0, help="how long latency is measured")
    arguments.add_argument("--partitions", type=int, default=Settings().partitions)
    arguments.add_argument("--worker", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.worker:
        work(given.worker)
    else:
        measure(given.events, given.seconds, given.partitions)
