"""Records that can't be used, for every topic that a process of the line reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Producer

from schemas import topics
from schemas.codec import Codec
from schemas.headers import Headers, sendable
from schemas.identifiers import person_id
from schemas.kafka import producer_config
from schemas.records import (
    Access,
    Assignment,
    Backfill,
    Decision,
    Definitions,
    Event,
    Handoff,
    LedgerEntry,
    Link,
    LinkEnvelope,
    Marker,
    Period,
    PersonEnvelope,
    PromoCode,
    Receipt,
    Refusal,
    SendCommand,
    Update,
    Wire,
)
from tests.badinput.foreign import EVENT

CODEC = Codec()
AT = EVENT.occurred_at
PERSON = person_id("user_id:nobody")
MARKETING, TRANSACTIONAL = topics.outbound("email"), topics.outbound("email", True)
LEDGER, RECEIPTS = topics.ledger("email"), topics.receipts("sms")
#: of the channels that the project of these tests names a connector for
DISPATCH = tuple(app for channel in ("email", "push", "sms") for app in topics.dispatch_apps(channel))
#: who reads a topic, as `app` of dead letters; `definitions` is read by all and told by the graph, and by the sink,
#: which has a row of each
READERS = {
    topics.EVENTS: ("identity",),
    topics.LINKS: ("graph",),
    topics.ASSIGNMENTS: ("identity", "profiles", "sink"),
    topics.REFUSALS: ("sink",),
    topics.PEOPLE: ("segments",),
    topics.SEGMENTS_HANDOFF: ("segments",),
    topics.SEGMENTS_BACKFILL: ("segments",),
    topics.JOURNEYS_HANDOFF: ("journeys",),
    topics.UPDATES: ("journeys", *DISPATCH, "profiles", "sink"),
    topics.DECISIONS: ("sink",),
    topics.DEFINITIONS: ("graph", "sink"),
    topics.ACCESSES: ("sink",),
    topics.PROMOS: ("journeys",),
    MARKETING: ("dispatch-email", "sink"),
    TRANSACTIONAL: ("dispatch-email-transactional", "sink"),
    LEDGER: ("sink",),
    RECEIPTS: ("dispatch-sms",),
}
#: compacted topics take no record without a key; there a null value says that a key is gone, which some understand
COMPACTED = (topics.ASSIGNMENTS, topics.DEFINITIONS, topics.PROMOS, LEDGER)
SINGLE = (topics.LINKS, topics.DEFINITIONS)

_SEND = SendCommand(
    send_id="s",
    person_id=PERSON,
    journey="j",
    version="v",
    instance_id="i",
    step="1",
    channel="email",
    category="marketing",
    template="t",
    to="nobody@example.com",
    identifier="email:nobody@example.com",
    at=AT,
    content=b"{}",
)
GOOD: dict[str, Wire] = {
    topics.EVENTS: EVENT,
    topics.LINKS: LinkEnvelope(kind="link", link=Link(a="user_id:a", b="email:b@example.com", seen_at=AT, source="s")),
    topics.ASSIGNMENTS: Assignment(
        identifier="user_id:a", version=1, periods=[Period(since=0, person_id=PERSON, slot="user_id:a#0", version=1)]
    ),
    topics.REFUSALS: Refusal(a="user_id:a", b="user_id:b", reason="limit", at=AT, source="s"),
    topics.PEOPLE: PersonEnvelope(kind="event", person_id=PERSON, slot="user_id:a#0", version=1, event=b"event"),
    topics.SEGMENTS_HANDOFF: Handoff(person_id=PERSON, origin=PERSON, reason="merge", at=AT, slots=[]),
    topics.SEGMENTS_BACKFILL: Backfill(kind="read", definitions="unheard of", marked_at=AT),
    topics.JOURNEYS_HANDOFF: Handoff(person_id=PERSON, origin=PERSON, reason="merge", at=AT, slots=[]),
    topics.UPDATES: Update(kind="timer", person_id=PERSON, at=AT),
    topics.DECISIONS: Decision(decision_id="d", at=AT, person_id=PERSON, journey="j", reason="sent"),
    topics.DEFINITIONS: Definitions(version="v", published_at=AT, files={"identity.yaml": "identifiers: {}"}),
    MARKETING: _SEND,
    TRANSACTIONAL: _SEND,
    topics.PROMOS: PromoCode(promo="p", code="c", at=AT),
    topics.ACCESSES: Access(access_id="a", at=AT, key="k", outcome="unknown"),
    LEDGER: LedgerEntry(send_id="s", person_id=PERSON, channel="email", state="accepted", at=AT),
    RECEIPTS: Receipt(kind="forget", provider_id="i", at=AT),
}
#: sound Avro with content that no reader of the topic can use
SENSELESS: dict[str, Wire] = {
    topics.EVENTS: Event(**{f: getattr(EVENT, f) for f in EVENT.__struct_fields__} | {"identifiers": []}),
    topics.LINKS: LinkEnvelope(kind="?"),
    topics.PEOPLE: PersonEnvelope(kind="marker", person_id="", marker=Marker(version="unheard of", at=AT)),
    topics.UPDATES: Update(kind="timer", person_id=PERSON, at=AT, profile=b'{"consents": 5'),
    RECEIPTS: Receipt(kind="?", provider_id="i", at=AT),
    topics.DEFINITIONS: Definitions(version="broken", published_at=AT, files={"identity.yaml": "identifiers: ["}),
}
#: what only some readers of its topic can't use: the sink's row of a project is one of its files, whatever they say
USED_BY = {(topics.DEFINITIONS, "senseless"): ("sink",)}
_LARGE = b"\x00" + (1).to_bytes(4, "big") + b"\xfe" * (topics.MESSAGE_BYTES - 4_096)
_HEADERS: Headers = (("topic", b"mine"), ("app", None), *((f"h{n}", b"\xff" * 1_000) for n in range(500)), ("h1", b""))


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that was put into a topic, and who has to find it unusable."""

    kind: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    readers: tuple[str, ...]


def poison(brokers: str, partitions: int) -> list[Poison]:
    """Put every kind of bad record into every topic."""
    # as a foreign program might be set up: other partitioner, compression, and no limit of ours
    producer = Producer(producer_config(brokers) | {"message.max.bytes": 200_000_000, "compression.type": "zstd"})
    put: list[Poison] = []
    for topic, readers in READERS.items():
        for number, (kind, key, value, headers) in enumerate(_records(topic)):
            used = readers if value is None and topic in COMPACTED else USED_BY.get((topic, kind), ())
            meant = tuple(reader for reader in readers if reader not in used)
            partition = 0 if topic in SINGLE else number % partitions

            def delivered(error, message, kind=kind, key=key, value=value, headers=headers, meant=meant):  # type: ignore[no-untyped-def]
                assert error is None, f"{kind}: {error}"
                place = message.topic(), message.partition(), message.offset()
                put.append(Poison(kind, *place, key, value, headers, meant))

            producer.produce(topic, value, key, partition, headers=sendable(headers), on_delivery=delivered)
            producer.poll(0)
    assert producer.flush(60) == 0
    return put


def _records(topic: str) -> Iterator[tuple[str, bytes | None, bytes | None, Headers]]:
    whole = CODEC.encode(GOOD[topic])
    other = CODEC.encode(GOOD[topics.REFUSALS if topic != topics.REFUSALS else topics.EVENTS])
    key = None if topic not in COMPACTED else b"bad"
    yield "truncated", key, whole[: len(whole) * 2 // 3], ()
    yield "longer than its record", key, whole + b"\x00", ()
    yield "of another schema", b"\xff\x00", other, ()
    yield "unknown schema id", b"k", b"\x00\x00\x00\xff\xff" + whole[5:], ()
    yield "JSON", b"k", b'{"userId": "someone"}', (("content-type", b"application/json"),)
    yield "empty", b"", b"", ()
    yield "null", b"gone", None, ()
    yield "500 kB of headers", b"k", b"headers", _HEADERS
    if topic in SENSELESS:
        yield "senseless", b"k", CODEC.encode(SENSELESS[topic]), ()
    if topic in (topics.EVENTS, topics.UPDATES, topics.DEFINITIONS):
        yield "of 9 MiB", b"k", _LARGE, ()


def bomb(brokers: str, topic: str, size: int) -> None:
    """A record that is small on the wire and this large when read."""
    producer = Producer(producer_config(brokers) | {"message.max.bytes": 2 * size, "compression.type": "zstd"})
    producer.produce(topic, b"\x00" * size, b"bomb", 0)
    assert producer.flush(60) == 0


def table(put: list[Poison], found: Counter[tuple[str, int, int, str]]) -> str:
    """Figures by topic: bad records put in, dead letters that had to come of them, and those that did."""
    lines = [f"{'topic':<30} {'records':>8} {'readers':>8} {'expected':>9} {'found':>6}"]
    for topic, readers in READERS.items():
        records = [each for each in put if each.topic == topic]
        expected = sum(len(each.readers) for each in records)
        there = sum(count for (where, *_), count in found.items() if where == topic)
        lines.append(f"{topic:<30} {len(records):>8} {len(readers):>8} {expected:>9} {there:>6}")
    return "\n".join(lines)
