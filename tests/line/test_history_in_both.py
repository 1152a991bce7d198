"""One file into the warehouse and into a line: the same people, events and links."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.inbound.files import open_source, replay
from connectors.inbound.files.position import Position
from connectors.inbound.files.transactions import Loaded
from pathline.history import load as history
from pathline.history.links import links_of
from pathline.history.load import Outcome
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock, WallClock
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.records import Assignment, LinkEnvelope, PersonEnvelope, Refusal, Update, Wire
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.owners import reload
from tests.sinks.made import fill
from tests.warehouse import emptied

IDENTITY = """
identifiers:
  user_id:      {limit: 1}
  email:        {limit: 2, normalize: email}
  phone:        {limit: 1, per: 30d, region: UA, normalize: phone}
  push_token:   {shared: separate}
  anonymous_id: {limit: 100, shared: newest}
blocked: ["", "null"]
hub: 3
"""
PROJECT = parse({"project.yaml": "name: shop", "identity.yaml": IDENTITY})
DAYS = st.integers(1, 28)


@st.composite
def message(draw: st.DrawFn) -> Any:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([b"{no json", b"[1]", b'{"type": "track"}', b'{"type": "page", "userId": "u1"}']))
    one: dict[str, Any] = {
        "type": draw(st.sampled_from(["track", "identify", "page"])),
        "event": "Order Completed",
        "messageId": f"m{draw(st.integers(0, 30))}",
        "timestamp": f"2026-03-{draw(DAYS):02}T10:00:00Z",
        "properties": {"order_id": f"o{draw(st.integers(0, 3))}", "total": draw(st.integers(0, 9))},
    }
    for field, values in (("userId", ["u1", "u2", "u3", "null"]), ("anonymousId", ["c1", "c2"])):
        if value := draw(st.none() | st.sampled_from(values)):
            one[field] = value
    about: dict[str, Any] = {}
    if email := draw(st.none() | st.sampled_from(["A@x.com", "b@x.com", "no address"])):
        about["email"] = email
    if phone := draw(st.none() | st.sampled_from(["0501234567", "+380501234568"])):
        about["phone"] = phone
    one["context"] = {"traits": about}
    if token := draw(st.none() | st.sampled_from(["t1"])):
        one["context"]["externalIds"] = [{"type": "push_token", "id": token}]
    return one


FILES = st.lists(message(), min_size=1, max_size=25)


class Published:
    """Transactions of a line in memory."""

    def __init__(self, line: MemoryLine) -> None:
        self._line = line

    def commit(self, records: Sequence[Loaded], position: Position) -> None:
        for record in records:
            self._line.publish(record.topic, "", record.value, raw_key=record.key or b"")


def through_a_line(path: Path, warehouse: Warehouse) -> set[tuple[str, str, int]]:
    """Fills the warehouse with what the line tells; gives its links."""
    codec, definitions = Codec(), FixedDefinitions(PROJECT)
    clock = VirtualClock(WallClock().now())
    line = MemoryLine([IdentityStage(definitions, codec), GraphStage(definitions, codec)], clock)
    published: Any = Published(line)
    run = replay._Run(open_source(str(path)), clock, codec, PROJECT.identity, published, lambda _: None)
    run.go(Position())
    line.drain()
    told: list[Wire] = []
    for record in line.outputs[topics.PEOPLE]:
        envelope = codec.decode(PersonEnvelope, record.value)
        if envelope.kind == "event":
            placed = {name: getattr(envelope, name) for name in ("person_id", "slot", "version", "event")}
            told.append(Update(kind="event", at=clock.now(), **placed))
    told += [codec.decode(Assignment, record.value) for record in line.outputs[topics.ASSIGNMENTS]]
    told += [codec.decode(Refusal, record.value) for record in line.outputs[topics.REFUSALS]]
    fill(warehouse, told)
    links = (codec.decode(LinkEnvelope, record.value).link for record in line.outputs[topics.LINKS])
    return {(link.a, link.b, link.seen_at) for link in links if link is not None}


def stored(warehouse: Warehouse) -> list[list[dict[str, Any]]]:
    reload(warehouse)
    return [
        warehouse.rows(
            "SELECT toString(event_id) AS id, message_id, name, occurred_at, toString(person_id) AS person, slot,"
            " identifiers, revenue, properties, traits, context FROM pathline.events ORDER BY id, slot"
        ),
        warehouse.rows("SELECT a, b, reason, refused, count() AS n FROM pathline.refusals GROUP BY ALL ORDER BY ALL"),
        warehouse.rows(
            "SELECT identifier, version, since, toString(person_id) AS person, slot, slot_version"
            " FROM pathline.assignments ORDER BY ALL"
        ),
    ]


def seen(*sightings: tuple[str, int, dict[str, Any]]) -> list[Any]:
    """Messages of users on days, with what else is told of them."""
    return [
        {"type": "page", "messageId": f"m{n}", "userId": user, "timestamp": f"2026-03-{day:02}T10:00:00Z"} | more
        for n, (user, day, more) in enumerate(sightings)
    ]


COOKIE: dict[str, Any] = {"anonymousId": "c1"}
PHONE: dict[str, Any] = {"context": {"traits": {"phone": "0501234567"}}}


# a cookie's second sighting counts once somebody else has it in between; a phone's, when its period is over
@example(messages=seen(("u1", 1, COOKIE), ("u1", 5, COOKIE), ("u2", 3, COOKIE), ("u1", 6, COOKIE)), chunk=2)
@example(messages=seen(("u1", 1, PHONE), ("u2", 20, PHONE), ("u1", 28, PHONE), ("u1", 2, PHONE)), chunk=9)
# older than what was known
@example(messages=seen(("u1", 9, COOKIE), ("u1", 8, COOKIE), ("u1", 7, COOKIE), ("u1", 8, PHONE)), chunk=9)
@given(messages=FILES, chunk=st.integers(1, 12))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_file_leaves_the_same_in_a_line_and_in_the_warehouse(
    engine: Warehouse, messages: list[Any], chunk: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "history.jsonl"
        lines = [one if isinstance(one, bytes) else orjson.dumps(one) for one in messages]
        path.write_bytes(b"\n".join(lines))
        links = through_a_line(path, emptied(engine))
        expected = stored(engine)
        before, history.CHUNK = history.CHUNK, chunk
        try:
            run = history._Load(Path(name), PROJECT, open_source(str(path)), emptied(engine), lambda _: None)
            outcome: Outcome = run.run()
        finally:
            history.CHUNK = before
        assert stored(engine) == expected
        assert {(link.a, link.b, link.seen_at) for link in links_of(Path(name)).read()} == links
        assert outcome.accepted == len(expected[0])
        assert outcome.accepted + outcome.duplicate + outcome.rejected == len(lines)
        assert outcome.kept is not None
        kept = outcome.kept.read_bytes().splitlines()
        assert len(kept) == outcome.rejected
        assert set(kept) <= set(lines)
