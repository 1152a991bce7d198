"""How fast identity is without Kafka: `python -m bench.identity`.

Prints, per CPU second, records of the resolver and links of the graph, each on a line in memory (codec included), and
links of the function that joins a whole set, against a bare union-find over the same links as bound.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

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
from schemas.records import Event, Link, LinkEnvelope

CODEC = Codec()
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


def through(stage: Stage, topic: str, values: Sequence[bytes], batch: int = 5_000) -> float:
    """Seconds a stage takes for these records, in transactions of `batch` as the worker has them."""
    records = [Record(topic, 0, offset, 0, b"", value) for offset, value in enumerate(values)]
    store = MemoryStore()

    def run() -> None:
        for first in range(0, len(records), batch):
            work = Work(0, store)
            for record in records[first : first + batch]:
                error = work.run(0, partial(stage.on_record, record))
                assert error is None
            store.apply(list(work.changes()))

    return timed(run)


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


def main() -> None:
    count = 40_000
    for identifiers in (1, 3, 10):
        for people, kind in ((count, "all new"), (400, "returning")):
            seconds = through(IdentityStage(SOURCE, CODEC), topics.EVENTS, events(count, identifiers, people))
            rate = f"{count / seconds:9,.0f}"
            print(f"resolver, {identifiers:2} identifiers, {kind:9}: {rate} events/s")
    links = shop_links(30_000)
    values = [CODEC.encode(LinkEnvelope(kind="link", link=link)) for link in links]
    seconds = through(GraphStage(SOURCE, CODEC), topics.LINKS, values)
    print(f"graph stage, novel links:            {len(links) / seconds:9,.0f} links/s")
    edges = [Edge(link.a, link.b, link.seen_at, link.seen_at) for link in links]
    seconds = timed(lambda: resolve(edges, RULES))
    print(f"whole set joined under limits:       {len(links) / seconds:9,.0f} links/s")
    seconds = timed(lambda: union_find(links))
    print(f"bound, bare union-find:              {len(links) / seconds:9,.0f} links/s")
    print(f"merge of a person with 1,000 identifiers: {giant(1_000) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
