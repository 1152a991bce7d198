"""Workers of the counting app as processes that can be killed, and what they left in Kafka."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pathline.local import ports
from processors.runtime.contract import Record
from schemas.kafka import client_config, consumer_config, high_watermarks, producer_config, topic_settings
from schemas.topics import DEAD_LETTERS, Topic, changelog

PATIENCE = 180.0


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE, every: float = 0.05) -> None:
    """Wait for a condition, looking `every` so many seconds; fails by name."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(every)


@dataclass
class Worker:
    """A process of the app, started again with the same number whenever it is asked for."""

    number: int
    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=ports.free)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            **self.environment,
            "PATHLINE_WORKER": str(self.number),
            "PATHLINE_WEB_PORT": str(self.port),
        }
        command = [sys.executable, "-m", "faust", "-A", "tests.runtime.app", "worker", "-l", "warn"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> int:
        """End it in order; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def exit_code(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def state(self) -> str:
        """What it says of itself, `down` when it does not answer. Fails when it could not even start."""
        assert self.exit_code() != 1, self.log.read_text("utf-8", "replace")
        try:
            return str(httpx.get(f"http://127.0.0.1:{self.port}/ready", timeout=2).json()["state"])
        except httpx.HTTPError:
            return "down"

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE).text


class Counting:
    """The counting app on topics of its own. A context manager: nothing of it runs on afterwards."""

    def __init__(self, brokers: str, home: Path, name: str, partitions: int = 4, **settings: object) -> None:
        self.brokers, self.home, self.name, self.partitions = brokers, home, name, partitions
        self.environment = {
            "COUNTING": name,
            "PATHLINE_BROKERS": brokers,
            "PATHLINE_HOME": str(home),
            "PATHLINE_SESSION_TIMEOUT_MS": "2000",
            "PATHLINE_TRANSACTION_TIMEOUT_MS": "4000",
            **{key.upper(): str(value) for key, value in settings.items()},
        }
        self.workers: list[Worker] = []
        self._producer = Producer(producer_config(brokers))
        self._cleanup = ExitStack()

    def __enter__(self) -> Counting:
        topics = [self._topic(f"{self.name}.in"), self._topic(f"{self.name}.out")]
        topics += [self._topic(changelog(self.name), compact=True)]
        # shared by all tests of a broker, whichever comes first
        topics.append(NewTopic(DEAD_LETTERS, num_partitions=8, replication_factor=1))
        admin = AdminClient(client_config(self.brokers))
        for answer in admin.create_topics(topics).values():
            error = answer.exception()
            assert error is None or error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            if worker.process is not None and worker.exit_code() is None:
                worker.signal(signal.SIGCONT)
                worker.kill()

    def _topic(self, name: str, compact: bool = False) -> NewTopic:
        config = topic_settings(Topic(name, "", None, compact, None, ""))
        return NewTopic(name, num_partitions=self.partitions, replication_factor=1, config=config)

    def worker(self) -> Worker:
        """One more worker, started."""
        number = len(self.workers)
        worker = Worker(number, self.environment, self.home / f"worker-{number}.log")
        self.workers.append(worker)
        worker.start()
        return worker

    def wipe(self, worker: Worker) -> None:
        """Delete all it has on disk."""
        shutil.rmtree(self.home / "state" / f"{self.name}-{worker.number}", ignore_errors=True)

    def publish(self, key: str, value: bytes = b"") -> None:
        self._producer.produce(f"{self.name}.in", value, key)
        self._producer.poll(0)

    def flush(self) -> None:
        self._producer.flush()

    def read(self, topic: str) -> list[Record]:
        """All committed records of one of the app's topics (`in`, `out`, `changelog`)."""
        return read(self.brokers, f"{self.name}.{topic}", self.partitions)

    def dead_letters(self) -> list[Record]:
        # others on the broker leave theirs in the same topic, some without a place of origin
        source = f"{self.name}.in".encode()
        return [r for r in read(self.brokers, DEAD_LETTERS) if dict(r.headers).get("topic") == source]

    def logs(self) -> str:
        return "\n".join(worker.log.read_text("utf-8", "replace") for worker in self.workers)


def read(brokers: str, topic: str, partitions: int | None = None) -> list[Record]:
    """All committed records of a topic, by partition, up to its end now."""
    if partitions is None:
        admin = AdminClient(client_config(brokers))
        partitions = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
    ends = high_watermarks(brokers, [(topic, number) for number in range(partitions)])
    consumer = Consumer(consumer_config(brokers, "reader") | {"enable.partition.eof": True, "fetch.wait.max.ms": 50})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    waiting = {number for number in range(partitions) if ends[topic, number] > 0}
    found: list[Record] = []
    deadline = time.monotonic() + PATIENCE
    while waiting:
        assert time.monotonic() < deadline, f"{topic}: partitions {waiting} could not be read to their end"
        for message in consumer.consume(10_000, 0.1):
            error = message.error()
            if error is None:
                found.append(_record(message))
            elif error.code() == KafkaError._PARTITION_EOF and message.offset() >= ends[topic, message.partition()]:
                waiting.discard(message.partition())
    consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def _record(message: Message) -> Record:
    headers = tuple((name, value) for name, value in message.headers() or ())
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
    )
