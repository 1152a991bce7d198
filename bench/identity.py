"""How fast identity is, and how soon a merge is done.

    python -m bench.identity [--events 40000] [--people 30000] [--merges 500] [--rate 20]

First, in memory and per second of processor time (codec included): events of the resolver with 1, 3 and 10 identifiers
and the share of links that are new, links of the graph, its state per million identifiers, and one person with 1,000
identifiers merged in one go; each with a bound beside it that does nothing but decode and encode, or join.
Then on a running line: from the acceptance of an event that links two identifiers until the slots of both are under one
person, as a reader of `updates` sees it. `--merges 0` leaves the line out.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.whole_line import line_of
from connectors.inbound.published import latest_rules
from connectors.inbound.segment import to_event
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from processors.graph.policy import Edge, resolve
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.runtime.contract import Record, Stage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.store import MemoryStore
from processors.runtime.turns import Work
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.model import IdentifierType, IdentityRules, Project
from schemas.identifiers import person_id, slot_of
from schemas.kafka import consumer_config, high_watermarks, producer_config
from schemas.records import Assignment, Event, Link, LinkEnvelope, Period, PersonEnvelope, Update

CODEC = Codec()
NOBODY = person_id("")
TYPES = ("user_id", "email", "phone", *(f"device_{n}" for n in range(6)), "anonymous_id")
RULES = IdentityRules(
    types={name: IdentifierType(name, rank, limit=1 if rank == 0 else 100) for rank, name in enumerate(TYPES)},
    blocked=frozenset({"", "null"}),
    hub=50,
)
SOURCE = FixedDefinitions(Project("bench", "UTC", "", None, RULES, {}, {}, {}, {}, {}, "1", {}))


def timed(work: Callable[[], object]) -> float:
    """CPU seconds, so that what else the machine does counts little."""
    started = time.process_time()
    work()
    return time.process_time() - started


@dataclass(frozen=True, slots=True)
class Outcome:
    """CPU seconds of a stage, how many links it sent, and its state."""

    seconds: float
    links: int
    store: MemoryStore


def through(stage: Stage, topic: str, values: Sequence[bytes], batch: int = 5_000) -> Outcome:
    """What a stage does with these records, in transactions of `batch` as the worker has them."""
    records = [Record(topic, 0, offset, 0, b"", value) for offset, value in enumerate(values)]
    store = MemoryStore()
    sent: Counter[str] = Counter()

    def run() -> None:
        for first in range(0, len(records), batch):
            work = Work(0, store)
            for record in records[first : first + batch]:
                error = work.run(0, partial(stage.on_record, record))
                assert error is None
            store.apply(list(work.changes()))
            sent.update(record.topic for record in work.sent)

    seconds = timed(run)
    return Outcome(seconds, sent[topics.LINKS], store)


def only_codec(values: Sequence[bytes]) -> None:
    """Decodes events and encodes what the resolver sends of each at least."""
    for value in values:
        event = CODEC.decode(Event, value)
        envelope = PersonEnvelope(kind="event", person_id=NOBODY, slot=event.identifiers[0], version=1, event=value)
        CODEC.encode(envelope)


def only_codec_of_links(values: Sequence[bytes]) -> None:
    """Decodes links and encodes one assignment for each."""
    for value in values:
        link = CODEC.decode(LinkEnvelope, value).link
        assert link is not None
        period = Period(since=0, person_id=NOBODY, slot=link.b, version=1)
        CODEC.encode(Assignment(identifier=link.b, version=1, periods=[period]))


def events(count: int, identifiers: int, people: int) -> list[bytes]:
    made = []
    for number in range(count):
        person = number % people
        known = [TYPES[0], *TYPES[len(TYPES) - identifiers + 1 :]]
        event = Event(
            message_id=f"m{number}",
            event_id=f"e{number}",
            type="track",
            name="Page Viewed",
            channel="web",
            identifiers=[f"{type}:{person}" for type in known],
            occurred_at=number,
            received_at=number,
            source="bench",
            properties=b'{"url":"/a/page","referrer":"https://example.com"}',
            traits=b"{}",
            context=b'{"ip":"192.0.2.1"}',
        )
        made.append(CODEC.encode(event))
    return made


def shop_links(people: int, seed: int = 1) -> list[Link]:
    """Three identifiers a person, some devices shared."""
    draw = random.Random(seed)
    links = []
    for person in range(people):
        device = person if draw.random() > 0.05 else draw.randrange(person + 1)
        links.append(Link(a=f"user_id:{person}", b=f"email:{person}", seen_at=person, source="bench"))
        links.append(Link(a=f"user_id:{person}", b=f"anonymous_id:{device}", seen_at=person, source="bench"))
    return links


def union_find(links: Sequence[Link]) -> None:
    parent: dict[str, str] = {}

    def find(one: str) -> str:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for link in links:
        left, right = find(link.a), find(link.b)
        if left != right:
            parent[left] = right


def giant(identifiers: int) -> float:
    """Seconds for one link that merges two persons of half as many identifiers each."""
    half = identifiers // 2
    rules = IdentityRules({"a": IdentifierType("a", 0), "b": IdentifierType("b", 1)}, frozenset())
    project = Project("bench", "UTC", "", None, rules, {}, {}, {}, {}, {}, "1", {})
    links = [(f"a:{side}", f"b:{side}-{n}") for side in (1, 2) for n in range(half - 1)]
    stage, store = GraphStage(FixedDefinitions(project), CODEC), MemoryStore()

    def run(a: str, b: str) -> None:
        work = Work(0, store)
        value = CODEC.encode(LinkEnvelope(kind="link", link=Link(a=a, b=b, seen_at=1, source="")))
        work.run(0, partial(stage.on_record, Record(topics.LINKS, 0, 0, 0, b"", value)))
        store.apply(list(work.changes()))

    for a, b in links:
        run(a, b)
    return timed(lambda: run("a:1", "a:2"))


def merges(line: Line, count: int, rate: float) -> list[float]:
    """Milliseconds from the acceptance of a linking event until the updates of its person say that the other slot has
    arrived."""
    places = [(topics.UPDATES, number) for number in range(line.stack.settings.partitions)]
    ends = high_watermarks(line.stack.line.broker, places)
    reader = Consumer(consumer_config(line.stack.line.broker, "bench-merges") | {"fetch.queue.backoff.ms": 1})
    reader.assign([TopicPartition(topic, number, ends[topic, number]) for topic, number in places])
    accepted: dict[str, float] = {}
    arrived: dict[str, float] = {}
    began = time.time()
    published = 0
    while len(arrived) < count and time.time() < began + count / rate + 30:
        if published < count and time.time() >= began + published / rate:
            slot = slot_of(f"anonymous_id:cookie-{published}")
            line.post({"userId": f"user-{published}", "anonymousId": f"cookie-{published}"}, slot, accepted)
            published += 1
        line.serve()
        message = reader.poll(0.001)
        if message is not None and not message.error():
            update = CODEC.decode(Update, message.value() or b"")
            for slot_version in update.arrived:
                arrived.setdefault(slot_version.slot, time.time())
    reader.close()
    return sorted((arrived[slot] - accepted[slot]) * 1000 for slot in arrived.keys() & accepted.keys())


class Line:
    """A running stack with an edge of its own into it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        rules = latest_rules(stack.settings.brokers, CODEC)
        assert rules is not None
        self._rules: IdentityRules = rules
        self._producer = Producer(producer_config(stack.settings.brokers) | {"linger.ms": 0})

    def post(self, who: dict[str, str], name: str = "", accepted: dict[str, float] | None = None) -> None:
        """An event of these ids; when it was accepted is noted under `name`."""
        now = time.time()
        event = to_event(
            {"type": "track", "event": "Viewed", **who}, self._rules, received_at=int(now * 1000), source=""
        )

        def taken(error: object, record: Message) -> None:
            assert error is None, error
            if accepted is not None:
                accepted[name] = time.time()

        self._producer.produce(topics.EVENTS, CODEC.encode(event), event.identifiers[0].encode(), on_delivery=taken)

    def serve(self) -> None:
        """Let Kafka's acknowledgements in."""
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all events are accepted."""
        self._producer.flush(60)


def on_the_line(count: int, rate: float) -> None:
    with line_of({"project.yaml": "name: bench\n"}) as stack:
        line = Line(stack)
        for number in range(count):
            line.post({"anonymousId": f"cookie-{number}"})
            line.serve()
        line.flush()
        wait_quiet(lambda: stack.line)
        took = merges(line, count, rate)
        marks = ", ".join(f"p{share} {took[int(len(took) * share / 100)]:.0f}" for share in (50, 90, 99) if took)
        print(f"merge on the line at {rate:.0f}/s, {len(took)} of {count}, ms: {marks}; load {os.getloadavg()[0]:.1f}")


def in_memory(count: int, people: int) -> None:
    for identifiers in (1, 3, 10):
        for known, kind in ((count, "all new"), (min(count, 400), "returning")):
            values = events(count, identifiers, known)
            outcome = through(IdentityStage(SOURCE, CODEC), topics.EVENTS, values)
            bound = timed(lambda values=values: only_codec(values))  # type: ignore[misc]
            pairs = count * (identifiers - 1)
            novel = f"{outcome.links / pairs:6.1%}" if pairs else "  none"
            print(
                f"resolver, {identifiers:2} identifiers, {kind:9}: {count / outcome.seconds:9,.0f} events/s"
                f"  (bound, codec alone: {count / bound:9,.0f})  new links: {novel}"
            )
    links = shop_links(people)
    values = [CODEC.encode(LinkEnvelope(kind="link", link=link)) for link in links]
    outcome = through(GraphStage(SOURCE, CODEC), topics.LINKS, values)
    bound = timed(lambda: only_codec_of_links(values))
    print(
        f"graph stage, novel links:            {len(links) / outcome.seconds:9,.0f} links/s"
        f"   (bound, codec alone: {len(links) / bound:9,.0f})"
    )
    identifiers = {end for link in links for end in (link.a, link.b)}
    size = sum(len(key) + len(value) for key, value in outcome.store.scan(b"", b"\xff")) / len(identifiers)
    names = sum(map(len, identifiers)) / len(identifiers)
    print(f"graph state, a million identifiers:  {size:9,.0f} MB      (bound, their names alone: {names:9,.0f} MB)")
    edges = [Edge(link.a, link.b, link.seen_at, link.seen_at) for link in links]
    seconds, bound = timed(lambda: resolve(edges, RULES)), timed(lambda: union_find(links))
    print(
        f"whole set joined under limits:       {len(links) / seconds:9,.0f} links/s"
        f"   (bound, bare union-find: {len(links) / bound:9,.0f})"
    )
    print(f"merge of a person with 1,000 identifiers: {giant(1_000) * 1000:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000, help="of each measurement of the resolver")
    parser.add_argument("--people", type=int, default=30_000, help="in the graph, three identifiers each")
    parser.add_argument("--merges", type=int, default=500, help="on the running line; 0: none")
    parser.add_argument("--rate", type=float, default=20.0, help="merges a second")
    asked = parser.parse_args()
    in_memory(asked.events, asked.people)
    if asked.merges:
        on_the_line(asked.merges, asked.rate)


if __name__ == "__main__":
    main()
