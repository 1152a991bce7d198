"""What state and compacted topics still have of somebody who was forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.outbound.state import ALLOWED, OF, OPEN
from pathline.erasing.reading import newest
from processors.graph.erasure import FORMER
from processors.graph.model import NODES
from processors.identity.model import BLOCKS, HOLDERS, RECENT, SENT
from processors.journeys.model import PERSONS, PROFILES
from processors.runtime.contract import Table
from processors.runtime.slots import Slots
from processors.segments.model import PEOPLE
from schemas.codec import BadRecord, Codec
from schemas.records import LedgerEntry, SendCommand
from schemas.topics import ASSIGNMENTS, LISTS, changelog
from sinks.clickhouse.erasure import Names

#: (key, decoded state) -> whether it is of somebody
Test = Callable[[str, Any], bool]


def state_of(brokers: str, app: str, partitions: list[int], names: Names, codec: Codec) -> list[tuple[str, str]]:
    """(table, key) of each state of an app that still is about these names. Raises KafkaException."""
    tests = _tests(names, codec)
    likely = _pattern([*names.identifiers, *names.slots, *names.persons])
    found = newest(brokers, changelog(app), partitions, lambda key, value: bool(likely(key) or likely(value)))
    traces = []
    for raw, value in found.items():
        prefix, _, key = raw[1:].decode(errors="replace").partition("\0")
        known = tests.get((_family(app), prefix)) if raw.startswith(b"s") else None
        if known is not None and known[1](key, known[0].decode(value)):
            traces.append((prefix, key))
    return traces


def compacted(brokers: str, topics: Mapping[str, list[int]], names: Names, codec: Codec) -> dict[str, int]:
    """Records that compacted topics still have of these names, by topic. Raises KafkaException."""
    found = {ASSIGNMENTS: len(newest(brokers, ASSIGNMENTS, topics[ASSIGNMENTS], _key_in(names.identifiers)))}
    if LISTS in topics:
        keys = _key_in(names.identifiers)
        found[LISTS] = len(newest(brokers, LISTS, [0], lambda key, value: keys(key.partition(b"/")[2], value)))
    for topic in (topic for topic in topics if topic.endswith(".ledger")):
        theirs = newest(brokers, topic, topics[topic], lambda key, value: _person(codec, value) in names.persons)
        found[topic] = len(theirs)
    return found


def _key_in(identifiers: Iterable[str]) -> Callable[[bytes, bytes], bool]:
    keys = {identifier.encode() for identifier in identifiers}
    return lambda key, value: key in keys


def _person(codec: Codec, value: bytes) -> str | None:
    try:
        return codec.decode(LedgerEntry, value).person_id
    except BadRecord:
        return None  # a dead letter of who reads ledgers, where its bytes are searched


def _family(app: str) -> str:
    return "dispatch" if app.startswith("dispatch-") else app


def _pattern(names: Iterable[str]) -> Callable[[bytes], object]:
    return re.compile(b"|".join(re.escape(name.encode()) for name in names) or b"(?!)").search


def _tests(names: Names, codec: Codec) -> dict[tuple[str, str], tuple[Table[Any], Test]]:
    """Whether a state is about these names, by app and table."""
    identifiers, slots, persons = set(names.identifiers), set(names.slots), set(names.persons)

    def own(key: str, state: object) -> bool:
        return key.partition("\0")[0] in identifiers

    def holder(key: str, state: Any) -> bool:
        return key in identifiers or not identifiers.isdisjoint(state.superseded)

    def node(key: str, state: Any) -> bool:
        linked = {*state.links, *state.assertions, *state.superseded}
        return key in identifiers or not identifiers.isdisjoint(linked)

    def slotted(key: str, state: Any) -> bool:
        known: Slots[Any] = state.slots
        return not slots.isdisjoint({*known.held, *known.redirects}) or (key in persons and bool(known.held))

    def command(key: str, state: Any) -> bool:
        send = codec.decode(SendCommand, state.command)
        return send.person_id in persons or (send.identifier in identifiers and send.at <= names.at)

    def person(key: str, state: object) -> bool:
        return key.partition("\0")[0] in persons

    tests: dict[str, list[tuple[Table[Any], Test]]] = {
        "identity": [(HOLDERS, holder), (SENT, own), (RECENT, own), (BLOCKS, own)],
        "graph": [(NODES, node), (FORMER, own)],
        "segments": [(PEOPLE, slotted)],
        "journeys": [(PERSONS, slotted), (PROFILES, person)],
        "dispatch": [(OPEN, command), (OF, person), (ALLOWED, person)],
    }
    return {(app, table.prefix): (table, test) for app, known in tests.items() for table, test in known}
