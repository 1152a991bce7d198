"""How fast journeys are without Kafka: `python -m bench.journeys`.

Prints, per CPU second, updates of the stage (codec and state included) with 0, 1, 10 and 100 journeys, timers that fire
and send in one go, and the bytes of state a waiting person takes. Bound: decoding an update and its event, which any
stage has to do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

import orjson

from processors.journeys.model import PERSONS, PROFILES
from processors.journeys.step import JourneysStage
from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.store import WAKE, MemoryStore, wake_of
from processors.runtime.turns import Work
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import Project, parse
from schemas.identifiers import person_id, slot_of
from schemas.records import Event, Update

CODEC = Codec()
START = 1_700_000_000_000
HOUR = 3_600_000
PEOPLE, EVENTS, BATCH, NAMES = 2_000, 20_000, 5_000, 50

JOURNEY = """
name: j{n}
enter: {{event: Event {event}, where: event.properties.total > 20, at_most_every: 1d}}
exit: [{{event: Event {exit}}}]
steps:
  - wait: 1h
  - send: {{template: hello, channels: [email]}}
  - wait_for: {{event: Event {awaited}}}
    timeout: 6h
"""


def project(journeys: int) -> Project:
    files = {
        "project.yaml": "name: bench",
        "channels.yaml": "email: {connector: smtp, consent: opt_out, caps: [{at_most: 5, per: 1d}]}",
        "templates/hello.yaml": "subject: Hi\nbody: 'Hello {{ person.traits.name }}'\n",
    }
    for n in range(journeys):
        numbers = {"event": n % NAMES, "exit": (n + 7) % NAMES, "awaited": (n + 13) % NAMES}
        files[f"journeys/j{n}.yaml"] = JOURNEY.format(n=n, **numbers)
    return parse(files)


def update(number: int, name: str, person: int, at: int) -> bytes:
    """An event of a person; every tenth brings a profile."""
    identifier = f"user_id:{person}"
    event = Event(
        message_id=f"m{number}",
        event_id=f"e{number}",
        type="track",
        name=name,
        channel="web",
        identifiers=[identifier],
        occurred_at=at,
        received_at=at,
        source="bench",
        properties=orjson.dumps({"total": number % 100, "product": f"p{number % 500}"}),
        traits=b"{}",
        context=b"{}",
    )
    profile = {"traits": {"name": "Ann"}, "addresses": {"user_id": [str(person)], "email": [f"p{person}@example.com"]}}
    first = number < PEOPLE
    return CODEC.encode(
        Update(
            kind="event",
            person_id=person_id(identifier),
            slot=slot_of(identifier),
            version=1,
            at=at,
            event=CODEC.encode(event),
            profile=orjson.dumps(profile) if first or number % 10 == 0 else None,
        )
    )


def records(name: Callable[[int], str], count: int) -> list[Record]:
    values = [update(n, name(n), n % PEOPLE, START + n // PEOPLE * HOUR) for n in range(count)]
    return [Record(topics.UPDATES, 0, n, 0, None, value) for n, value in enumerate(values)]


def taken(stage: JourneysStage, store: MemoryStore, all_records: list[Record]) -> tuple[float, list[bytes]]:
    """CPU seconds for the records in transactions of BATCH, and the wakes asked for."""
    wakes: list[bytes] = []
    started = time.process_time()
    for begin in range(0, len(all_records), BATCH):
        work = Work(0, store)
        for record in all_records[begin : begin + BATCH]:
            work.run(START, partial(stage.on_record, record))
        changes = list(work.changes())
        store.apply(changes)
        wakes += [raw for raw, value in changes if value == WAKE]
    return time.process_time() - started, wakes


def main() -> None:
    draw = random.Random(1)
    mixed = records(lambda _: f"Event {draw.randrange(NAMES)}", EVENTS)
    started = time.process_time()
    for record in mixed:
        CODEC.decode(Event, CODEC.decode(Update, record.value).event)
    bound = len(mixed) / (time.process_time() - started)
    print(f"bound (decoding only)      {bound:>10,.0f} updates/s")
    for journeys in (0, 1, 10, 100):
        stage = JourneysStage(FixedDefinitions(project(journeys)), CODEC)
        seconds, _ = taken(stage, MemoryStore(), mixed)
        print(f"{journeys:>4} journeys              {EVENTS / seconds:>10,.0f} updates/s")

    stage, store = JourneysStage(FixedDefinitions(project(1)), CODEC), MemoryStore()
    entering = records(lambda _: "Event 0", PEOPLE * 2)
    _, wakes = taken(stage, store, entering)
    work = Work(0, store)
    sizes = [
        len(PERSONS.encode(state)) + len(PROFILES.encode(profile))
        for (_, state), (_, profile) in zip(work.scan(PERSONS), work.scan(PROFILES), strict=True)
    ]
    print(f"state of a waiting person  {sum(sizes) / len(sizes):>10,.0f} bytes")
    started = time.process_time()
    for raw in wakes:
        key, due = wake_of(raw)[:2]
        work.run(due, partial(stage.on_wake, key, due))
    list(work.changes())
    seconds = time.process_time() - started
    sent = sum(1 for one in work.sent if one.topic == topics.outbound("email"))
    print(f"timers that send           {len(wakes) / seconds:>10,.0f} timers/s ({sent} sends)")


if __name__ == "__main__":
    main()
