"""How fast the segments stage is and what it keeps, without Kafka.

    python -m bench.segments [--persons 1000000] [--segments 0 10 100 1000] [--quick]

Rates are events per second of processor time, codec included, for people drawn at random of those in a store on disk,
as a worker has it. A segment reads ten kinds of events at most and an event is read by ten segments, however many
segments there are: what does not read an event must cost nothing. Bound: decoding the two records and writing the
update, which any stage has to do. Then the bytes that a person's state takes for each kind of condition, after fifty
events that it counts.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import orjson

from bench.segment_shop import BY_ORDERS, DAY, KINDS, REVENUE, SAME, doing, shop, single
from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.rocks import RocksStore
from processors.runtime.store import MemoryStore, Store, state_key
from processors.runtime.turns import Work
from processors.segments.model import PEOPLE
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.model import Project
from schemas.records import Event, Move, PersonEnvelope, SlotVersion, Update

CODEC = Codec()
START = 1_760_000_000_000
#: Their states are those of everybody.
SAMPLE = 1_000
#: Of each of them so many events are known.
KNOWN = 30
BATCH = 5_000
SEGMENTS = (0, 10, 100, 1_000)


def record(person: str, slot: str, number: int, name: str, at: int, properties: bytes, traits: bytes = b"{}") -> Record:
    """An event as the stage gets it."""
    event = Event(
        message_id=f"m{number}",
        event_id=f"00000000-0000-0000-0000-{number:012}",
        type="track",
        name=name,
        channel="web",
        identifiers=[slot.partition("#")[0]],
        occurred_at=at,
        received_at=at,
        source="bench",
        properties=properties,
        traits=traits,
        context=b'{"ip":"192.0.2.1"}',
    )
    envelope = PersonEnvelope(kind="event", person_id=person, slot=slot, version=1, event=CODEC.encode(event))
    return Record(topics.PEOPLE, 0, number, at, person.encode(), CODEC.encode(envelope))


def happen(
    draw: random.Random, names: Sequence[str], people: Iterator[tuple[str, str]], first: int, at: int
) -> Iterator[Record]:
    """One event of each of these (person, slot), some seconds apart."""
    for number, (person, slot) in enumerate(people, first):
        properties = b'{"total":%d,"url":"/a/page"}' % draw.randrange(150)
        yield record(person, slot, number, draw.choice(names), at + (number - first) * 1_000, properties)


def move(person: str, to: str, number: int, at: int) -> Record:
    """A visitor turns out to be somebody known."""
    moved = Move(to=to, slots=[SlotVersion(slot=f"anonymous_id:{number}#0", version=2)], reason="merge", at=at)
    envelope = PersonEnvelope(kind="move", person_id=person, move=moved)
    return Record(topics.PEOPLE, 0, number, at, person.encode(), CODEC.encode(envelope))


class Worker:
    """The stage on one partition, its transactions without Kafka."""

    def __init__(self, project: Project, store: MemoryStore | RocksStore) -> None:
        self.stage, self.store = SegmentsStage(FixedDefinitions(project), CODEC), store
        self.handed: list[Record] = []

    def take(self, records: Sequence[Record]) -> float:
        """Seconds of processor time."""
        started = time.process_time()
        for first in range(0, len(records), BATCH):
            work = Work(0, self.store)
            for one in records[first : first + BATCH]:
                error = work.run(one.timestamp, partial(self.stage.on_record, one))
                assert error is None, error
            handed = (one for one in work.sent if one.topic == topics.SEGMENTS_HANDOFF)
            self.handed += [Record(one.topic, 0, 0, records[first].timestamp, one.key, one.value) for one in handed]
            changes = list(work.changes())
            if isinstance(self.store, RocksStore):
                self.store.apply(changes, 0, "bench")
            else:
                self.store.apply(changes)
        return time.process_time() - started


def states(store: Store) -> dict[str, bytes]:
    """Encoded states by person."""
    return {key: PEOPLE.encode(person) for key, person in Work(0, store).scan(PEOPLE)}


def bound(records: Sequence[Record]) -> float:
    """Seconds of processor time of reading what comes in and writing what goes out."""
    started = time.process_time()
    for one in records:
        envelope = CODEC.decode(PersonEnvelope, one.value)
        event = CODEC.decode(Event, envelope.event)
        CODEC.encode(Update(kind="event", person_id=envelope.person_id, at=event.received_at, event=envelope.event))
    return time.process_time() - started


def crowd(project: Project, names: Sequence[str], draw: random.Random) -> list[bytes]:
    """States of `SAMPLE` people of whom `KNOWN` events each are known."""
    known = Worker(project, MemoryStore())
    sample = [(f"{number:032x}", f"user_id:{number}#0") for number in range(SAMPLE)]
    for day in range(KNOWN):
        known.take(list(happen(draw, names, iter(sample), day * SAMPLE, START + day * DAY)))
    return list(states(known.store).values())


def fill(store: RocksStore, made: Sequence[bytes], persons: int) -> None:
    """So many persons in a store, each in one of these states."""
    for first in range(0, persons, 50_000):
        copies = range(first, min(first + 50_000, persons))
        store.apply([(state_key(PEOPLE, f"{n:032x}"), made[n % SAMPLE]) for n in copies], 0, "bench")


def anybody(draw: random.Random, persons: int, count: int) -> Iterator[tuple[str, str]]:
    """(person, slot) of so many drawn at random."""
    for _ in range(count):
        number = draw.randrange(persons)
        yield f"{number:032x}", f"user_id:{number % SAMPLE}#0"


def size_of(folder: Path) -> int:
    """Bytes on disk of a store."""
    return sum(path.stat().st_size for path in folder.iterdir())


def rates(segments: int, persons: int, events: int, folder: Path) -> str:
    """A row of the table: with so many segments and people."""
    draw, project, names = random.Random(1), *shop(segments)
    made = crowd(project, names, draw)
    store = RocksStore(folder / str(segments))
    fill(store, made, persons)
    worker = Worker(project, store)
    later, first = START + KNOWN * DAY, KNOWN * SAMPLE
    worker.take(list(happen(draw, names, anybody(draw, persons, BATCH), first, later)))
    usual = list(happen(draw, names, anybody(draw, persons, events), first + BATCH, later + DAY))
    known_rate, least = events / worker.take(usual), events / bound(usual)
    strangers = ((f"new-{number}", f"anonymous_id:{number}#0") for number in range(events // 4))
    new = list(happen(draw, names, strangers, first + BATCH + events, later + 2 * DAY))
    new_rate = len(new) / worker.take(new)
    moves = [
        move(f"new-{number}", f"{draw.randrange(persons):032x}", number, later + 3 * DAY) for number in range(len(new))
    ]
    merge_rate = len(moves) / (worker.take(moves) + worker.take(worker.handed))
    store.close()
    disk = size_of(folder / str(segments))
    size = sum(map(len, made)) / len(made)
    return (
        f"{segments:>8,} {known_rate:>10,.0f} {known_rate / least:>6.0%} {new_rate:>10,.0f} {merge_rate:>10,.0f} "
        f"{size:>10,.0f} {disk / persons * 1e6 / 2**20:>12,.0f}"
    )


def kept(kind: str, file: str) -> str:
    """A row of the table: what is kept of somebody who did a hundred things in half a year, fifty of them orders."""
    found = dict[str, int]()
    for name, rules in ((kind, file), ("", KINDS["nothing"])):
        told = SAME if "orders" in kind else REVENUE if kind in BY_ORDERS else ""
        worker = Worker(single(rules, told), MemoryStore())
        records = []
        for number in range(100):
            event, properties, traits = doing(number)
            at = START + number * 2 * DAY
            records.append(
                record("p", "user_id:p#0", number, event, at, orjson.dumps(properties), orjson.dumps(traits))
            )
        worker.take(records)
        found[name] = len(states(worker.store)["p"])
    return f"{kind:<32} {found[kind] - found['']:>8,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--segments", type=int, nargs="+", default=SEGMENTS)
    parser.add_argument("--quick", action="store_true", help="small: shows that it works, the figures mean little")
    asked = parser.parse_args()
    persons, events = (20_000, 2_000) if asked.quick else (asked.persons, asked.events)
    print(f"events a second of processor time, {persons:,} persons on disk, load {os.getloadavg()[0]:.1f}")
    print("segments  of people  of the first events     merges     bytes  MB a million")
    print("              known  bound  of anybody                 a person   persons on disk")
    with tempfile.TemporaryDirectory(prefix="pathline-bench-") as folder:
        for segments in asked.segments:
            print(rates(segments, persons, events, Path(folder)), flush=True)
    print("\nbytes of state a person for one definition, after 50 orders and 50 views in 200 days")
    for kind, file in KINDS.items():
        print(kept(kind, file), flush=True)


if __name__ == "__main__":
    main()
