"""How fast segments are without Kafka: `python -m bench.segments`.

Prints, per CPU second, events of the stage on a line in memory (codec included) with 0, 10, 100 and 1,000 segments, and
the bytes of state a person takes. Bound: decoding the two records and writing the update, which any stage has to do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from functools import partial

from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.store import MemoryStore
from processors.runtime.turns import Work
from processors.segments.model import PEOPLE
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.expressions import compile
from schemas.definitions.model import (
    All,
    Condition,
    Did,
    IdentifierType,
    IdentityRules,
    InSegment,
    Not,
    Project,
    Segment,
    TraitIs,
    Window,
)
from schemas.records import Event, PersonEnvelope, Update

CODEC = Codec()
DAY = 86_400_000
START = 1_700_000_000_000
NAMES = [f"Event {number}" for number in range(50)]
PEOPLE_COUNT, BATCH = 2_000, 5_000


def condition(number: int) -> Condition:
    """A mix: most count within a window, some look at traits, some at other segments, some at properties."""
    name, far = NAMES[number % len(NAMES)], (1 + number % 90) * DAY
    match number % 5:
        case 0:
            return Did((name,), at_least=1 + number % 3, window=Window(far=far))
        case 1:
            return All((Did((name,)), Not(Did((name,), window=Window(far=far)))))
        case 2:
            return TraitIs(f"trait_{number % 20}", "equals", "yes")
        case 3:
            where = compile(f"event.properties.total > {number % 100}")
            return Did((name,), where=where, window=Window(far=far))
        case _:
            return All((InSegment(f"s{number - 4}"), Not(InSegment(f"s{number - 1}"))))


def project(segments: int) -> Project:
    made = {f"s{number}": Segment(f"s{number}", condition(number)) for number in range(segments)}
    rules = IdentityRules({"user_id": IdentifierType("user_id", 0, 1)}, frozenset())
    return Project("bench", "UTC", "", None, rules, {}, {}, made, {}, {}, str(segments), {})


def records(count: int, seed: int = 1) -> list[Record]:
    """Events of the people in turn, an event a person every 12 hours."""
    draw, made = random.Random(seed), []
    for number in range(count):
        person, at = number % PEOPLE_COUNT, START + number // PEOPLE_COUNT * DAY // 2
        event = Event(
            message_id=f"m{number}",
            event_id=f"e{number}",
            type="track",
            name=draw.choice(NAMES),
            channel="web",
            identifiers=[f"user_id:{person}"],
            occurred_at=at,
            received_at=at,
            source="bench",
            properties=b'{"total":%d,"url":"/a/page"}' % draw.randrange(150),
            traits=b"{}",
            context=b'{"ip":"192.0.2.1"}',
        )
        envelope = PersonEnvelope(
            kind="event", person_id=str(person), slot=f"user_id:{person}#0", version=1, event=CODEC.encode(event)
        )
        made.append(Record(topics.PEOPLE, 0, number, at, str(person).encode(), CODEC.encode(envelope)))
    return made


def bound(values: Sequence[Record]) -> float:
    """CPU seconds of reading what comes in and writing what goes out."""
    started = time.process_time()
    for record in values:
        envelope = CODEC.decode(PersonEnvelope, record.value)
        event = CODEC.decode(Event, envelope.event)
        CODEC.encode(Update(kind="event", person_id=envelope.person_id, at=event.received_at, event=envelope.event))
    return time.process_time() - started


def run(segments: int, values: Sequence[Record]) -> tuple[float, float]:
    """(CPU seconds, bytes of state a person); the first half of the events only fills the state."""
    stage, store, seconds = SegmentsStage(FixedDefinitions(project(segments)), CODEC), MemoryStore(), 0.0
    for first in range(0, len(values), BATCH):
        work, started = Work(0, store), time.process_time()
        for record in values[first : first + BATCH]:
            error = work.run(record.timestamp, partial(stage.on_record, record))
            assert error is None, error
        store.apply(list(work.changes()))
        seconds += time.process_time() - started if first >= len(values) // 2 else 0.0
    sizes = [len(PEOPLE.encode(person)) for _, person in Work(0, store).scan(PEOPLE)]
    return seconds, sum(sizes) / len(sizes)


def main() -> None:
    values = records(40_000)
    print(f"{'bound: codec alone':>20} {len(values) / bound(values):>10,.0f} events/s")
    for segments in (0, 10, 100, 1_000):
        seconds, size = run(segments, values)
        rate = len(values) / 2 / seconds
        print(f"{f'{segments:,} segments':>20} {rate:>10,.0f} events/s {size:>10,.0f} bytes a person")


if __name__ == "__main__":
    main()
