"""Forgetting somebody: the order goes through the line, then every place is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pathline.erasing import files, letters, profiles
from pathline.erasing.reading import Following, newest, topics_of
from pathline.erasing.traces import compacted, state_of
from pathline.erasing.warehouse import Asking
from pathline.errors import UserError
from pathline.lists.keeping import Keeper
from pathline.local import current
from pathline.local.home import Line
from processors.graph.erasure import FORGOTTEN, Forgotten
from processors.graph.model import NODES
from processors.identity.model import HOLDERS, RECENT
from processors.runtime.store import state_key
from schemas import topics
from schemas.codec import BadRecord, Codec
from schemas.erasure import mark
from schemas.identifiers import identifier_of, person_id, slot_of
from schemas.kafka import COMPACTED_AFTER_MS, SEGMENT_MS, client_config, consumer_config, producer_config
from schemas.records import Assertion, Erasure, LinkEnvelope, PersonEnvelope, Update
from schemas.settings import Settings
from schemas.topics import ASSIGNMENTS, LINKS, PEOPLE, UPDATES, Topic, catalogue, changelog, dispatch_apps
from sinks.clickhouse.erasure import OWNERS, Names, remaining
from sinks.clickhouse.person import find

LOOK_SECONDS = 0.2
#: how long the process that answers for people may take to read what everybody else has read
_PROFILES_SECONDS = 10.0
#: apps that read `updates`, beside dispatch
_READERS = ("journeys", "sink")


@dataclass(frozen=True, slots=True)
class Place:
    """One place that was asked: how much of the person it has, or until when (milliseconds since 1970 UTC) it keeps
    what it had; `problem` when it could not be asked."""

    place: str
    remaining: int = 0
    until: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was forgotten, and what every place says. `already` is the instant of an earlier erasure, if this one had
    nothing to do."""

    identifier: str
    at: int
    persons: list[str]
    identifiers: list[str]
    slots: int
    places: list[Place] = field(default_factory=list)
    dead_letters: int = 0
    already: int | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing remains but what expires."""
        return not any(place.remaining or place.problem for place in self.places)


def forget(
    settings: Settings,
    codec: Codec,
    warehouse: Asking,
    assertion: Assertion,
    patience: float,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Forget the person of an identifier and prove it. Raises UserError when nobody is known by it, and when the graph
    does not answer within `patience` seconds; KafkaException."""
    who = assertion.a
    there = topics_of(settings.brokers)
    gone = _forgotten(settings, who)
    if not _known(settings, warehouse, there, who):
        if gone is None:
            raise UserError(f"nobody is known by {who}: nothing to forget")
        names = _earlier(who, gone)
        places = list(_asked(settings, codec, warehouse, there, names, gone.at))
        return Report(who, gone.at, names.persons, [who], len(names.slots), places, already=gone.at)
    following = Following(settings.brokers, {topic: there[topic] for topic in (PEOPLE, UPDATES, ASSIGNMENTS)})
    try:
        _order(settings, codec, assertion)
        names, passed = _heard(following, codec, assertion, time.monotonic() + patience)
    finally:
        following.close()
    say(f"{len(names.identifiers)} identifiers; waiting until every stage has heard of it")
    late = _await(settings, there, passed, time.monotonic() + patience)
    removed = letters.erase(settings, names.identifiers)
    files.erase(settings.home, names.identifiers)
    if topics.LISTS in there:
        Keeper(settings, codec).forget(names.identifiers)
    places = [Place(app, problem=f"has not heard of it within {patience:.0f} s") for app in late]
    places += _asked(settings, codec, warehouse, there, names, assertion.at)
    return Report(who, assertion.at, names.persons, names.identifiers, len(names.slots), places, removed)


def _order(settings: Settings, codec: Codec, assertion: Assertion) -> None:
    producer = Producer(producer_config(settings.brokers))
    producer.produce(LINKS, codec.encode(LinkEnvelope(kind="assertion", assertion=assertion)), b"links")
    if producer.flush(30):
        raise UserError("Kafka did not acknowledge it: nothing was forgotten yet, say it again")


def _heard(
    following: Following, codec: Codec, assertion: Assertion, deadline: float
) -> tuple[Names, dict[str, dict[int, int]]]:
    """What the graph says is to be forgotten, and by topic and partition the records that everybody has to read."""
    said: dict[str, Erasure] = {}
    told: set[str] = set()
    removed: set[str] = set()
    passed: dict[str, dict[int, int]] = {}
    while not _complete(said, assertion.a, told, removed):
        if time.monotonic() > deadline:
            who = "segments have" if said else "the graph has"
            raise UserError(f"{who} not answered in time; it was told, and will: say it again to see that it is done")
        message = following.next(LOOK_SECONDS)
        if message is None:
            continue
        topic, value, key = message.topic() or "", message.value(), (message.key() or b"").decode(errors="replace")
        if topic == ASSIGNMENTS and value is None:
            removed.add(key)
        elif topic in (PEOPLE, UPDATES) and (erasure := _erasure(codec, topic, value, assertion.at)) is not None:
            if topic == PEOPLE:
                said |= {key: erasure} if erasure.slots else {}
                continue
            told.add(key)
        else:
            continue
        passed.setdefault(topic, {})[message.partition() or 0] = message.offset() or 0
    everybody = _meant(said, assertion.a)
    erasures = [erasure for person, erasure in said.items() if person in everybody]
    names = Names(
        assertion.at,
        sorted({person for erasure in erasures for person in erasure.persons}),
        sorted({slot for erasure in erasures for slot in erasure.slots}),
        sorted({identifier for erasure in erasures for identifier in erasure.identifiers}),
    )
    return names, passed


def _erasure(codec: Codec, topic: str, value: bytes | None, at: int) -> Erasure | None:
    """The erasure of this instant that a record is, None for any other; what can't be read is a dead letter."""
    try:
        told = codec.decode(PersonEnvelope, value) if topic == PEOPLE else codec.decode(Update, value)
    except BadRecord:
        return None
    return told.erasure if told.erasure is not None and told.erasure.at == at else None


def _meant(said: dict[str, Erasure], identifier: str) -> set[str]:
    """Persons that are told of the erasure of this identifier's person; another one may be of the same instant.

    Each record names the others, if only by the person in their middle, which names all.
    """
    meant = {
        person for person, erasure in said.items() if any(identifier_of(slot) == identifier for slot in erasure.slots)
    }
    while True:
        wider = meant | {other for person in meant & said.keys() for other in said[person].others}
        if wider == meant:
            return meant
        meant = wider


def _complete(said: dict[str, Erasure], identifier: str, told: set[str], removed: set[str]) -> bool:
    """Whether everybody was told, segments heard, and the identifiers are out of the compacted topic."""
    meant = _meant(said, identifier)
    identifiers = {name for person in meant & said.keys() for name in said[person].identifiers}
    return bool(meant) and meant <= told & said.keys() and identifiers <= removed


def _await(
    settings: Settings, there: dict[str, list[int]], passed: dict[str, dict[int, int]], deadline: float
) -> list[str]:
    """Wait until everybody has read these records; who has not. A channel that nobody sends by has nobody to wait
    for."""
    admin = AdminClient(client_config(settings.brokers))
    groups = {group.group_id for group in admin.list_consumer_groups().result().valid}
    senders = {app for channel in _channels(there) for app in dispatch_apps(channel)}
    waiting = {"identity": ASSIGNMENTS} | dict.fromkeys((*_READERS, *sorted(senders & groups)), UPDATES)
    while waiting:
        for app, topic in list(waiting.items()):
            if _has_read(settings, app, topic, passed.get(topic, {})):
                del waiting[app]
        if time.monotonic() > deadline:
            break
        if waiting:
            time.sleep(LOOK_SECONDS)
    return sorted(waiting)


def _has_read(settings: Settings, app: str, topic: str, offsets: dict[int, int]) -> bool:
    asking = Consumer(consumer_config(settings.brokers, app))
    try:
        committed = asking.committed([TopicPartition(topic, partition) for partition in offsets], timeout=10)
        return all(place.offset > offsets[place.partition] for place in committed)
    finally:
        asking.close()


def _asked(
    settings: Settings, codec: Codec, warehouse: Asking, there: dict[str, list[int]], names: Names, at: int
) -> Iterable[Place]:
    """Every place that could have something of the person."""
    for name in sorted(there):
        app = name.removesuffix(".changelog")
        if app != name:
            yield Place(f"state of {app}", len(state_of(settings.brokers, app, there[name], names, codec)))
    for topic, count in compacted(settings.brokers, there, names, codec).items():
        yield Place(f"topic {topic}", count)
    for table in OWNERS:
        yield Place(f"warehouse {table}", warehouse.ask(partial(remaining, table=table, names=names)))
    if (line := current.running_line()) is not None and line.profiles_key:
        yield _profiles(line, names)
    yield Place("dead letters", len(letters.of(settings, names.identifiers)))
    yield Place("files of loads", files.of(settings.home, names.identifiers))
    now = settings.make_clock().now()
    for kept in catalogue(_channels(there)):
        if kept.name in there and kept.name not in (topics.DEFINITIONS, topics.DEAD_LETTERS):
            yield Place(f"topic {kept.name}", until=max(at, now) + _kept(kept))


def _profiles(line: Line, names: Names) -> Place:
    try:
        return Place("profiles", profiles.known(line, [*names.identifiers, *names.persons], _PROFILES_SECONDS))
    except OSError as error:
        return Place("profiles", problem=f"does not answer: {error}")


def _channels(there: Iterable[str]) -> list[str]:
    return [topic.removesuffix(".ledger") for topic in there if topic.endswith(".ledger")]


def _kept(topic: Topic) -> int:
    """For how long the disk may keep what a topic had, in milliseconds."""
    return SEGMENT_MS + (COMPACTED_AFTER_MS if topic.compact else topic.retention_ms)


def _forgotten(settings: Settings, who: str) -> Forgotten | None:
    key = state_key(FORGOTTEN, mark(who))
    found = newest(settings.brokers, changelog("graph"), [0], lambda raw, value: raw == key)
    return FORGOTTEN.decode(found[key]) if key in found else None


def _known(settings: Settings, warehouse: Asking, there: dict[str, list[int]], who: str) -> bool:
    """Whether the resolver, the graph, the warehouse or the dead letters know an identifier."""
    keys = {state_key(table, who) for table in (HOLDERS, RECENT, NODES)}
    for app in ("identity", "graph"):
        if newest(settings.brokers, changelog(app), there[changelog(app)], lambda key, value: key in keys):
            return True
    return warehouse.ask(partial(find, who=who)) is not None or bool(letters.of(settings, [who]))


def _earlier(who: str, gone: Forgotten) -> Names:
    """What an identifier was before it was erased."""
    persons = [person_id(who, generation) for generation in range(gone.generation)]
    return Names(gone.at, persons, [slot_of(who)], [who])
