"""The job that systems are compared by: read an event, get and set the counter of its key in durable state with a
changelog, send the event on. Here are its topics and events, and how the rate and the delay of a worker are seen from
outside: by what a reader of committed records can see, the same for every system.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from schemas.kafka import client_config, consumer_config, high_watermarks, producer_config, topic_settings
from schemas.topics import Topic

KEYS = 20_000
VALUE_BYTES = 120
#: Nothing new for so long, in seconds: the worker is done (Quix Streams commits every 5 s).
_QUIET_SECONDS = 7.0
_START_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.02


def create(brokers: str, partitions: int, *names: str, compact: bool = False) -> None:
    """Topics as the line's own are."""
    admin = AdminClient(client_config(brokers))
    settings = topic_settings(Topic("", "", None, compact, None, ""))
    topics = [NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings) for name in names]
    for answer in admin.create_topics(topics).values():
        answer.result()


def key(number: int) -> bytes:
    """The key with this number."""
    return b"person-%d" % number


def value(at: int, number: int) -> bytes:
    """An event of 120 bytes; `at` is when it is made, in nanoseconds."""
    start = f'{{"at":{at},"id":"{number * 0x9E3779B97F4A7C15 % 2**64:016x}","total":{number % 9973},"event":"'
    return f'{start:v<{VALUE_BYTES - 2}}"}}'.encode()


def fill(brokers: str, topic: str, events: int, keys: int = KEYS, *, each_once: bool = False) -> None:
    """Publish events with keys drawn at random (the same at every run), or one event a key."""
    producer = _producer(brokers, {"queue.buffering.max.messages": 2_000_000, "linger.ms": 20})
    draw = random.Random(1).randrange
    for number in range(events):
        producer.produce(topic, value(0, number), key(number if each_once else draw(keys)))
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()


@dataclass(frozen=True, slots=True)
class Rate:
    """Events a second of a worker between the first and the last output seen, and what its process took meanwhile."""

    events: int
    seconds: float
    cpu_seconds: float
    memory_bytes: int
    start_seconds: float

    @property
    def per_second(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_micros(self) -> float:
        """Processor time of the worker in microseconds an event."""
        return self.cpu_seconds / self.events * 1e6


def rate(
    brokers: str,
    topic: str,
    partitions: int,
    events: int,
    longest: float,
    *pids: int,
    after: int = 0,
    warm: float = 0.0,
) -> Rate:
    """Watch the committed end of an output topic until all events have passed or for `longest` seconds.

    What counts begins with the first look at which there are more than `after` and the first came `warm` seconds ago.
    A reader would take a core from the worker; asking for the end costs next to nothing. Raises TimeoutError when
    nothing comes.
    """
    committed = CommittedEnd(brokers, topic, partitions)
    processes = [psutil.Process(pid) for pid in pids]
    asked = arrived = time.perf_counter()
    looks: list[tuple[float, int, float]] = []
    seen, memory, start = committed.now() if after else 0, 0, 0.0
    while seen < events and not (looks and looks[-1][0] - looks[0][0] > longest):
        now, end = time.perf_counter(), committed.now()
        if now - arrived > (_QUIET_SECONDS if looks else _START_SECONDS):
            break
        if end > seen:
            seen, arrived, start = end, now, start or now
            memory = sum(process.memory_info().rss for process in processes)
            if seen > after and now - start >= warm:
                looks.append((now, seen, sum(sum(process.cpu_times()[:2]) for process in processes)))
        time.sleep(_LOOK_EVERY_SECONDS)
    if len(looks) < 2:
        raise TimeoutError(f"too little arrived in {topic}: {seen}")
    first, last = looks[0], looks[-1]
    return Rate(last[1] - first[1], last[0] - first[0], last[2] - first[2], memory, start - asked)


class CommittedEnd:
    """How far a topic is for a reader of committed records: the sum over its partitions, markers of transactions
    included."""

    def __init__(self, brokers: str, topic: str, partitions: int) -> None:
        self._admin = AdminClient(client_config(brokers))
        self._wanted = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)}

    def now(self) -> int:
        answers = self._admin.list_offsets(self._wanted, isolation_level=IsolationLevel.READ_COMMITTED)
        try:
            return sum(answer.result(10).offset for answer in answers.values())
        except KafkaException:
            return 0


def delays(
    brokers: str, into: str, out: str, partitions: int, pace: int, seconds: float, warm_up: float
) -> list[float]:
    """Milliseconds from producing an event to holding its committed output, sorted, at `pace` events a second.

    Starts to count when outputs come and `warm_up` seconds of them have passed. Raises TimeoutError when none comes.
    """
    found: list[float] = []
    state = {"from": float("inf"), "seen": 0}
    closing = threading.Event()
    consumer = Consumer(consumer_config(brokers, f"{out}-reader"))
    ends = high_watermarks(brokers, [(out, number) for number in range(partitions)])
    consumer.assign([TopicPartition(topic, number, end) for (topic, number), end in ends.items()])

    def receive() -> None:
        while not closing.is_set():
            message = consumer.poll(0.1)
            data = message.value() if message is not None and message.error() is None else None
            if data is not None:
                sent = int(data[6 : data.index(b",")])
                state["seen"] += 1
                if sent >= state["from"]:
                    found.append((time.time_ns() - sent) / 1e6)

    receiver = threading.Thread(target=receive)
    receiver.start()
    try:
        _pace(brokers, into, pace, seconds, warm_up, state)
        deadline = time.monotonic() + _QUIET_SECONDS
        while len(found) < pace * seconds and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        closing.set()
        receiver.join()
        consumer.close()
    return sorted(found)


def _pace(brokers: str, into: str, pace: int, seconds: float, warm_up: float, state: dict[str, Any]) -> None:
    """Produce at an even pace: until outputs come, the warm-up, then the events that count."""
    producer = _producer(brokers, {"linger.ms": 0})
    draw = random.Random(2).randrange
    began, number, counted_from, until = time.perf_counter(), 0, float("inf"), float("inf")
    while (now := time.perf_counter()) < until:
        if state["seen"] and counted_from == float("inf"):
            counted_from = now + warm_up
            until = counted_from + seconds
            state["from"] = time.time_ns() + int(warm_up * 1e9)
        if not state["seen"] and now - began > _START_SECONDS:
            raise TimeoutError(f"nothing came out for {into}")
        producer.produce(into, value(time.time_ns(), number), key(draw(KEYS)))
        producer.poll(0)
        number += 1
        time.sleep(max(0.0, began + number / pace - time.perf_counter()))
    producer.flush()


def _producer(brokers: str, settings: dict[str, Any]) -> Producer:
    # uncompressed, as Faust by itself can't read what the line's other records are compressed with
    return Producer(producer_config(brokers) | {"compression.type": "none"} | settings)


def percentile(found: list[float], share: float) -> float:
    """Of sorted figures, the one below which this share of them lies."""
    return found[min(len(found) - 1, int(len(found) * share))]
