"""How long an event takes through the line, on this machine: from its acceptance until its send command can be read.

    python -m bench.latency [--rates 50 500] [--seconds 20] [--partitions 1] [--sends 10] [--journeys 1] [--segments 0]
                           [--timers]

A whole stack runs (all processors, both dispatch lanes, sink, mail catcher). People known to it do things at a steady
rate; one event in `--sends` starts a journey that sends at once. An event is accepted when Kafka has acknowledged it to
the edge; a record is visible when a reader of committed records has it in hand. `people`, `updates` and `outbound` are
the hops on the way. Of more `--journeys` two are started by the views among the events, the others by what does not
happen. Of `--segments` more ten are read by each view, the others by what does not happen. With `--timers` who orders
is in a segment for two seconds: how long after they are over can it be read that it left? What the edge itself takes is
in `bench.collector`. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import re
import threading
import time

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.whole_line import cpu, line_of
from connectors.inbound.published import latest_rules
from connectors.inbound.segment import to_event
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from schemas.codec import Codec
from schemas.definitions.model import IdentityRules
from schemas.kafka import consumer_config, high_watermarks, producer_config
from schemas.records import Update
from schemas.registry import codec_for
from schemas.topics import EVENTS, PEOPLE, UPDATES, outbound

PROJECT = {
    "project.yaml": "name: bench\n",
    "channels.yaml": "email: {cost: 0, connector: smtp, consent: opt_in}\n",
    "segments/buyers.yaml": "name: buyers\nwhen: {did: Order Completed, count: {at_least: 3}, within: 30d}\n",
    "segments/looking.yaml": "name: looking\nwhen: {did: Product Viewed, count: {at_least: 5}, within: 1h}\n",
    "journeys/receipt.yaml": (
        "name: receipt\nenter: {event: Order Completed}\ncategory: transactional\n"
        "steps: [{send: {template: receipt, channels: [email]}}]\n"
    ),
    "templates/receipt.yaml": "subject: Thank you\nbody: 'Order {{ entry.properties.order_id }}'\n",
}
#: one of many: it waits, sends under caps, and waits for an answer
ANOTHER = """
name: other_{n}
enter: {{event: {event}, where: event.properties.total > 20, at_most_every: 1d}}
exit: [{{event: Order Completed}}]
steps:
  - wait: 1h
  - send: {{template: receipt, channels: [email]}}
  - wait_for: {{event: Product Added {n}}}
    timeout: 6h
"""
#: whoever ordered just now
JUST_NOW = {"segments/just_now.yaml": "name: just_now\nwhen: {did: Order Completed, within: 2s}\n"}
PEOPLE_COUNT = 2_000
HOPS = (PEOPLE, UPDATES, outbound("email", transactional=True))
NUMBER = re.compile(rb"number-(\d+)-")


class Watch:
    """Notes when each numbered record of the hops becomes visible."""

    def __init__(self, brokers: str, partitions: int, codec: Codec) -> None:
        self.seen: dict[str, dict[int, float]] = {topic: {} for topic in HOPS}
        #: seconds from when a timer was due
        self.fired: list[float] = []
        self._codec = codec
        places = [(topic, number) for topic in HOPS for number in range(partitions)]
        ends = high_watermarks(brokers, places)
        # answers at once: what is measured is the line
        self._consumer = Consumer(consumer_config(brokers, "bench-latency") | {"fetch.queue.backoff.ms": 1})
        self._consumer.assign([TopicPartition(topic, number, ends[topic, number]) for topic, number in places])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def has(self, numbers: range, sends: range) -> bool:
        """Whether all of these have come through all hops."""
        return all(self.seen[topic].keys() >= set(sends if topic == HOPS[-1] else numbers) for topic in HOPS)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._over.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and not message.error():
                now = time.time()
                found = NUMBER.search(message.value() or b"")
                if found:
                    self.seen[message.topic() or ""].setdefault(int(found[1]), now)
                elif message.topic() == UPDATES:
                    update = self._codec.decode(Update, message.value() or b"")
                    self.fired += [now - each.at / 1000 for each in update.changes if each.cause == "timer"]


class Line:
    """A running stack with an edge of its own into it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.codec: Codec = codec_for(stack.settings)
        rules = latest_rules(stack.settings.brokers, self.codec)
        assert rules is not None
        self._rules: IdentityRules = rules
        self._producer = Producer(producer_config(stack.settings.brokers) | {"linger.ms": 0})
        self.accepted: dict[int, float] = {}
        self.numbers = 0

    def publish(self, person: int, name: str) -> None:
        """One event of a person; when it was accepted is noted under its number."""
        number = self.numbers
        self.numbers += 1
        message = {
            "type": "track",
            "event": name,
            "messageId": f"m-{number}",
            "userId": f"user-{person}",
            "properties": {"order_id": f"number-{number}-", "product_id": str(number % 500), "total": number % 90},
            "context": {"channel": "web", "traits": {"email": f"person-{person}@example.com"}},
        }
        event = to_event(message, self._rules, received_at=int(time.time() * 1000), source="bench")

        def taken(error: object, record: Message) -> None:
            assert error is None, error
            self.accepted[number] = time.time()

        self._producer.produce(EVENTS, self.codec.encode(event), event.identifiers[0].encode(), on_delivery=taken)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until everything was accepted."""
        self._producer.flush(60)

    def run(self, rate: float, seconds: float, every: int) -> tuple[range, range]:
        """A steady stream; the numbers of its events, and of those that are sent for."""
        first, began = self.numbers, time.time()
        total = int(rate * seconds)
        for sent in range(total):
            while (left := began + sent / rate - time.time()) > 0:
                self._producer.poll(min(left, 0.002))
            self.publish(self.numbers % PEOPLE_COUNT, "Order Completed" if sent % every == 0 else "Product Viewed")
        self.flush()
        return range(first, first + total), range(first, first + total, every)


def show(line: Line, watch: Watch, rate: float, numbers: range, sends: range) -> None:
    """Percentiles of each hop."""
    for topic in HOPS:
        expected = sends if topic == HOPS[-1] else numbers
        seen = watch.seen[topic]
        took = [seen[number] - line.accepted[number] for number in expected if number in seen]
        missing = f"  ({len(expected) - len(took)} missing)" if len(expected) > len(took) else ""
        print(f"{rate:6.0f}/s  accepted -> {topic:<30} ms: {marks(took)}{missing}", flush=True)
    if watch.fired:
        print(
            f"{rate:6.0f}/s  due -> left in {UPDATES:<27} ms: {marks(watch.fired)}, {len(watch.fired):,} timers",
            flush=True,
        )


def marks(seconds: list[float]) -> str:
    """Percentiles in milliseconds."""
    took = sorted(seconds)
    return ", ".join(f"p{share} {took[int(len(took) * share / 100)] * 1000:.0f}" for share in (50, 90, 99) if took)


def measure(line: Line, rate: float, seconds: float, every: int) -> None:
    """One rate for some seconds, and what each process used meanwhile."""
    before = {process.name: cpu(process.pid) for process in line.stack.line.processes}
    watch = Watch(line.stack.line.broker, line.stack.settings.partitions, line.codec)
    began = time.time()
    numbers, sends = line.run(rate, seconds, every)
    late = time.time() - began - seconds
    deadline = time.time() + 30
    while not watch.has(numbers, sends) and time.time() < deadline:
        time.sleep(0.05)
    took = time.time() - began
    watch.close()
    show(line, watch, rate, numbers, sends)
    used = {process.name: (cpu(process.pid) - before[process.name]) / took for process in line.stack.line.processes}
    told = ", ".join(f"{name} {share:.0%}" for name, share in sorted(used.items(), key=lambda item: -item[1]))
    print(f"         of a core: {sum(used.values()):.0%} in all; {told}; the source was {late:.2f} s late", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[50, 500], help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--journeys", type=int, default=1)
    parser.add_argument("--sends", type=int, default=10, help="one event in so many is sent for")
    parser.add_argument("--segments", type=int, default=0)
    parser.add_argument("--timers", action="store_true")
    asked = parser.parse_args()
    others = JUST_NOW if asked.timers else {}
    others = others | {
        f"segments/other_{n}.yaml": f"when: {{did: {'Product Viewed' if n < 10 else f'Page {n}'}, "
        f"count: {{at_least: {n % 5 + 1}}}, within: {n % 90 + 1}d}}\n"
        for n in range(asked.segments)
    }
    others |= {
        f"journeys/other_{n}.yaml": ANOTHER.format(n=n, event="Product Viewed" if n < 2 else f"Page {n}")
        for n in range(asked.journeys - 1)
    }
    with line_of({**PROJECT, **others}, asked.partitions) as stack:
        line = Line(stack)
        for person in range(PEOPLE_COUNT):
            line.publish(person, "Product Viewed")
        line.flush()
        wait_quiet(lambda: stack.line)
        many = f"{asked.partitions} partitions, {asked.journeys} journeys, {asked.segments} more segments"
        print(f"{os.cpu_count()} cores, {many}, load {os.getloadavg()[0]:.1f}", flush=True)
        for rate in asked.rates:
            measure(line, rate, asked.seconds, asked.sends)
            wait_quiet(lambda: stack.line)


if __name__ == "__main__":
    main()
