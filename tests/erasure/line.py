"""The whole line in memory with the real ClickHouse engine behind it, and a search through all that it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.inbound.segment import to_event
from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.dispatch import DispatchStage
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.step import SegmentsStage
from schemas import lists, topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.model import Project
from schemas.records import Assertion, Event, LinkEnvelope, SendCommand
from sinks.clickhouse.batches import Batch
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.erasure import Erasures, Names, delete
from sinks.clickhouse.owners import put
from sinks.clickhouse.rows import erasure_of, rows_of
from sinks.clickhouse.tables import Origin

CODEC = Codec()


class Post:
    """A channel whose provider takes everything, or nothing for now."""

    name, noun, traits = "email", "Email", Traits()

    def __init__(self) -> None:
        self.sent: list[SendCommand] = []
        self.away = False

    async def hand_over(self, command: SendCommand) -> Outcome:
        if self.away:
            return Outcome("temporary", "away")
        self.sent.append(command)
        return Outcome("accepted", provider_id=command.send_id)


class Whole:
    """One line. Times are milliseconds since 1970 UTC."""

    def __init__(self, project: Project, start: int, warehouse: Warehouse | None = None) -> None:
        self.project = project
        self.post = Post()
        source = FixedDefinitions(project)
        self.clock = VirtualClock(start)
        self.stages = [
            IdentityStage(source, CODEC),
            GraphStage(source, CODEC),
            SegmentsStage(source, CODEC),
            JourneysStage(source, CODEC),
            DispatchStage(source, CODEC, self.post),
        ]
        self.line = MemoryLine(self.stages, self.clock, partitions=2)
        self.warehouse = warehouse
        self._taken: dict[str, int] = {}

    def happen(self, message: dict[str, Any], received_at: int | None = None) -> Event:
        """A message of the Segment spec comes in; by default at its own time."""
        end = 253_402_300_799_000
        event = to_event(message, self.project.identity, received_at=end, source="test", use_sent_at=False)
        at = event.occurred_at if received_at is None else received_at
        event = type(event)(**{**{f: getattr(event, f) for f in event.__struct_fields__}, "received_at": at})
        self.line.advance(max(at, self.clock.now()))
        self.line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
        self.line.drain()
        return event

    def enlist(self, name: str, identifier: str, at: int) -> None:
        """An identifier joins a static list."""
        self.line.advance(max(at, self.clock.now()))
        self.line.publish(topics.EVENTS, identifier, CODEC.encode(lists.change(name, identifier, True, at)))
        self.line.drain()

    def forget(self, identifier: str, at: int) -> None:
        self.line.advance(max(at, self.clock.now()))
        assertion = Assertion(verb="erase", a=identifier, author="test", reason="asked", at=at)
        envelope = LinkEnvelope(kind="assertion", assertion=assertion)
        self.line.publish(topics.LINKS, "links", CODEC.encode(envelope))
        self.line.drain()

    def sink(self) -> None:
        """What the sink does with all records so far: insert, then erase."""
        assert self.warehouse is not None
        for topic, records in list(self.line.outputs.items()):
            if topic in (topics.UPDATES, topics.ASSIGNMENTS, topics.REFUSALS, topics.DECISIONS) or topic.startswith(
                ("outbound.", "email.ledger")
            ):
                self._sink(topic, records[self._taken.get(topic, 0) :])
                self._taken[topic] = len(records)

    def _sink(self, topic: str, records: list[Record]) -> None:
        assert self.warehouse is not None
        erasures = Erasures(self.warehouse)
        erasures.refresh()
        for record in records:
            batch = Batch((record.topic, record.partition))
            origin = Origin(record.topic, record.partition, record.offset)
            if topic == topics.UPDATES and (erasure := erasure_of(CODEC, record.value)) is not None:
                batch.erase(erasure, origin)
            batch.add(record.offset, 0, rows_of(CODEC, origin, record.value))
            for table, rows in batch.rows.items():
                kept = erasures.kept(table, rows)
                if kept:
                    token = f"{record.topic}-{record.partition}-{record.offset}-{table}"
                    put(self.warehouse, table, kept, token)
            for erasure in batch.erasures:
                delete(self.warehouse, Names.of(erasure))
                erasures.refresh()

    def state(self) -> Iterator[tuple[str, bytes, bytes]]:
        """All state of all stages: (app, key, value)."""
        for (app, _), place in self.line._places.items():
            for key, value in place.store.scan(b"\0", b"\xff"):
                yield app, key, value

    def traces(self, needles: Iterable[str]) -> list[str]:
        """Where a text still stands in state or in the newest records of compacted topics."""
        wanted = [needle.encode() for needle in needles]
        found = [
            f"{app} {key!r}"
            for app, key, value in self.state()
            if not key.startswith(b"w") and any(needle in key or needle in value for needle in wanted)
        ]
        for topic in (topics.ASSIGNMENTS, "email.ledger"):
            newest = {(record.partition, record.key): record for record in self.line.outputs[topic]}
            found += [
                f"{topic} {record.key!r}"
                for record in newest.values()
                if record.value is not None and any(n in (record.key or b"") or n in record.value for n in wanted)
            ]
        return found

    def rows_with(self, needles: list[str]) -> dict[str, int]:
        """Rows of the warehouse in which one of these texts stands: in whatever column of whatever there is to be read,
        tables, views, dictionaries, also in columns that `*` leaves out; by name."""
        assert self.warehouse is not None
        columns = self.warehouse.rows(
            "SELECT table, groupArray(name) AS names FROM system.columns WHERE database = 'pathline'"
            " GROUP BY table ORDER BY table"
        )
        found = {}
        for table in columns:
            row = ", ".join(f"`{name}`" for name in table["names"])
            where = f"multiSearchAny(toString(tuple({row})), {{n:Array(String)}})"
            rows = self.warehouse.rows(
                f"SELECT count() AS n FROM pathline.{table['table']} WHERE {where}", {"n": needles}
            )
            count = int(rows[0]["n"])
            if count:
                found[table["table"]] = count
        return found
