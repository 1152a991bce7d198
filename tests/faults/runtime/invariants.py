"""What must hold after any faults, each as a function that raises `Violated` with what is wrong and returns figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from processors.runtime.rocks import RocksStore
from processors.runtime.store import PROGRESS, WAKES
from schemas.kafka import consumer_config, high_watermarks
from schemas.topics import changelog
from tests.faults.runtime.evidence import Evidence
from tests.faults.runtime.job import Person
from tests.faults.runtime.oracle import Expected

Figures = dict[str, int]
_SHOWN = 5


class Violated(AssertionError):
    """An invariant does not hold. `number` is that of the list in docs/guarantees.md."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"invariant {number}: {what}")
        self.number = number


def outputs_exactly_once(evidence: Evidence, expected: Expected) -> Figures:
    """1. Each event is answered exactly once, as the oracle answers it, from a place where it was published; answers
    under a key are numbered without gaps, and events of one topic are answered in its order."""
    times = Counter(said.id for _, said in evidence.counted)
    _none(1, "events were never answered", expected.answers.keys() - times.keys())
    _none(1, "events were answered more than once", (event for event, count in times.items() if count > 1))
    _none(1, "nobody sent what was answered", times.keys() - expected.answers.keys())
    places: dict[str, list[int]] = defaultdict(list)
    latest: dict[tuple[str, str], int] = {}
    for key, said in evidence.counted:
        if expected.answers[said.id] != (key, said.amount):
            raise Violated(1, f"event {said.id}: answered {key, said.amount}, not {expected.answers[said.id]}")
        topic, partition, offset = said.source
        if evidence.inputs[topic, partition][offset].key != key.encode():
            raise Violated(1, f"event {said.id} did not come from {said.source}")
        if latest.get((key, topic), -1) >= offset:
            raise Violated(1, f"events of {key} in {topic} were not taken in their order at offset {offset}")
        latest[key, topic] = offset
        places[key].append(said.place)
    _none(1, "answers are not numbered 1, 2, 3...", (k for k, n in places.items() if n != list(range(1, len(n) + 1))))
    return {"events": len(expected.answers), "answers": len(evidence.counted), "keys": len(places)}


def state_as_the_oracle(evidence: Evidence, expected: Expected) -> Figures:
    """2. State read from the changelog alone is the oracle's; of timers it holds how many were fired."""
    found = evidence.persons()
    fired = Counter(key for key, _, _ in evidence.woken)
    wanted = {
        key: Person(person.received, person.tally, person.owner, fired[key]) for key, person in expected.persons.items()
    }
    _none(2, "keys without the state they should have", wanted.keys() - found.keys())
    _none(2, "keys that should have no state", found.keys() - wanted.keys())
    _none(2, "keys with another state", (f"{k}: {found[k]}, not {wanted[k]}" for k in wanted if found[k] != wanted[k]))
    return {"keys": len(found), "changelog records": evidence.changes.total()}


def stores_as_the_changelog(brokers: str, app: str, partitions: int, states: Iterable[Path]) -> Figures:
    """2. Each local store is the changelog up to its checkpoint, and in each partition one is at its end: the owner's.

    `states` are the state folders of all workers, which must be down.
    """
    stores = [(int(path.name), RocksStore(path)) for state in states for path in sorted(state.glob("[0-9]*"))]
    compared = 0
    try:
        for partition in range(partitions):
            here = [(s.checkpoint.offset, s) for number, s in stores if number == partition and s.checkpoint]
            end = _compare(brokers, app, partition, here)
            furthest = max((offset for offset, _ in here), default=0)
            if furthest < end:
                raise Violated(
                    2, f"no store of partition {partition} is at the end of its changelog: {furthest} of {end}"
                )
            compared += len(here)
    finally:
        for _, store in stores:
            store.close()
    return {"stores compared": compared}


def offsets_never_ahead(
    evidence: Evidence, committed: Mapping[tuple[str, int], int], checked: dict[tuple[str, int], int]
) -> Figures:
    """3. What lies before a committed offset is answered or a dead letter, and in the state; offsets never go back.

    `evidence` was gathered after `committed` was asked for; `checked` is how far this was checked, and is moved on.
    """
    for place in evidence.inputs:
        if committed[place] < checked.get(place, 0):
            raise Violated(3, f"the committed offset of {place} went back from {checked[place]} to {committed[place]}")
        for record in evidence.inputs[place][checked.get(place, 0) : committed[place]]:
            if (*place, record.offset) not in evidence.letters and not evidence.has(record):
                raise Violated(3, f"{place} is committed up to {committed[place]}, without offset {record.offset}")
        checked[place] = committed[place]
    return {"records before committed offsets": sum(checked.values())}


def dead_letters_exactly_once(
    evidence: Evidence, expected: Expected, poison: Mapping[tuple[bytes, bytes | None], int]
) -> Figures:
    """4. Each record that can't be used is a dead letter exactly once, byte by byte, and nothing else is."""
    _none(4, "records that should be dead letters and are not", expected.letters - evidence.letters.keys())
    _none(4, "dead letters that should not be", evidence.letters.keys() - expected.letters)
    _none(4, "dead letters that are there more than once", (at for at, found in evidence.letters.items() if found[1:]))
    for (topic, partition, offset), (letter,) in evidence.letters.items():
        record = evidence.inputs[topic, partition][offset]
        if (record.key, record.value) != (letter.key, letter.value):
            raise Violated(4, f"the dead letter of {topic}[{partition}]@{offset} is not what was published")
    found = Counter((letter.key, letter.value) for (letter,) in evidence.letters.values())
    if found != poison:
        raise Violated(4, f"the dead letters are not the bad records that were published: {found - Counter(poison)}")
    return {"bad records": sum(poison.values()), "dead letters": len(evidence.letters)}


def timers_once_never_early(evidence: Evidence) -> Figures:
    """5. Each timer that was asked for fired once, and not before its time."""
    asked = {(key, said.due) for key, said in evidence.counted}
    fired = Counter((key, said.due) for key, said, _ in evidence.woken)
    _none(5, "timers never fired", asked - fired.keys())
    _none(5, "timers fired more than once", (timer for timer, count in fired.items() if count > 1))
    _none(5, "timers fired that nobody asked for", fired.keys() - asked)
    _none(5, "timers fired early", (f"{k}: {s.due - at} ms" for k, s, at in evidence.woken if at < s.due))
    if evidence.pending():
        raise Violated(5, f"{evidence.pending()} timers are left in the state")
    latest = max((at - said.due for _, said, at in evidence.woken), default=0)
    return {"timers": len(asked), "fired": fired.total(), "latest by ms": latest}


def each_event_in_one_person(evidence: Evidence, expected: Expected) -> Figures:
    """6. After all merges each event counts in exactly one person, and none is left where a login led away from."""
    persons = evidence.persons()
    count = sum(person.tally.count for person in persons.values())
    amount = sum(person.tally.amount for person in persons.values())
    wanted = sum(amount for _, amount in expected.answers.values())
    if (count, amount) != (len(expected.answers), wanted):
        raise Violated(6, f"{count} events count, with {amount}; {len(expected.answers)} with {wanted} were sent")
    merged = {key for key, person in persons.items() if person.owner}
    _none(6, "keys that logged in and still hold events", (key for key in merged if persons[key].tally.count))
    return {"events": count, "persons": len(persons) - len(merged), "merged": len(merged)}


def _compare(brokers: str, app: str, partition: int, stores: list[tuple[int, RocksStore]]) -> int:
    """Fold a partition's changelog and look into each store at its checkpoint; the offset after the last change."""
    topic, position, last = changelog(app), 0, 0
    end = high_watermarks(brokers, [(topic, partition)])[topic, partition]
    reader = Consumer(consumer_config(brokers, f"{app}-comparing") | {"enable.partition.eof": True})
    reader.assign([TopicPartition(topic, partition, 0)])
    state: dict[bytes, bytes] = {}
    waiting = sorted(stores, key=itemgetter(0))

    def look(until: int) -> None:
        while waiting and waiting[0][0] <= until:
            offset, store = waiting.pop(0)
            local = dict(store.scan(PROGRESS, WAKES[1]))
            if local != state:
                wrong = [key for key in local.keys() | state.keys() if local.get(key) != state.get(key)]
                raise Violated(2, f"a store of partition {partition} at {offset} differs: {wrong[:_SHOWN]}")

    while position < end:
        for message in reader.consume(10_000, 0.1):
            error, offset = message.error(), message.offset() or 0
            if error is not None:
                position = max(position, offset)
                continue
            look(offset)
            key, value = message.key() or b"", message.value()
            position = last = offset + 1
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    reader.close()
    look(end)
    if waiting:
        raise Violated(2, f"a store of partition {partition} is ahead of the changelog: {waiting[-1][0]} of {end}")
    return last


def _none(number: int, what: str, found: Iterable[object]) -> None:
    """Raises Violated when there is any."""
    listed = sorted(map(str, found))
    if listed:
        raise Violated(number, f"{len(listed)} {what}: {', '.join(listed[:_SHOWN])}")
