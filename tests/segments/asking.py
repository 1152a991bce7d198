"""What the stage applied as rows of a warehouse, and segments asked of it in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from pathline.members.conditions import member
from pathline.members.query import Query
from schemas.codec import Codec
from schemas.definitions.model import Project
from schemas.records import Event, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.owners import put
from sinks.clickhouse.rows import event_row, listed_row
from sinks.clickhouse.tables import Origin, Row

CODEC = Codec()
#: so many segments are asked for in one query, as ClickHouse bounds their size
TOGETHER = 6


def person(name: str, world: str) -> UUID:
    """The id under which a person of one world stands in the warehouse."""
    return uuid5(NAMESPACE_OID, f"{world}/{name}")


class Worlds:
    """Persons of several stories side by side in one warehouse, as they were at an instant."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._rows = defaultdict[str, list[Row]](list)
        self._count = 0

    def add(self, world: str, updates: Iterable[Update], at: int) -> None:
        """What had come by an instant, at the persons of that instant."""
        homes: dict[str, str] = {}
        told: list[Update] = []
        profiles: dict[str, bytes] = {}
        for update in updates:
            if update.at > at:
                continue
            if update.profile is not None:
                profiles[update.person_id] = update.profile
            if update.move is not None:
                homes |= {moved.slot: update.move.to for moved in update.move.slots}
            elif update.event is not None or update.listed is not None:
                homes.setdefault(update.slot, update.person_id)
                told.append(update)
        for name, profile in profiles.items():
            row: Row = (person(name, world).bytes, 0, False, [], [], profile.decode(), "updates", 0, self._count)
            self._rows["profiles"].append(row)
        for update in told:
            who = person(homes[update.slot], world).bytes
            self._count += 1
            origin = Origin("updates", 0, self._count)
            if update.listed is not None:
                said = CODEC.decode(Event, update.listed)
                self._rows["listed_raw"].append(listed_row(said, who, update.slot, 1, origin))
            elif update.event is not None:
                event = _with_uuid(CODEC.decode(Event, update.event))
                self._rows["events_raw"].append(event_row(event, who, update.slot, 1, origin))

    def insert(self) -> None:
        """All of them at once, in place of what was there."""
        for table in ("events_raw", "listed_raw", "profiles"):
            self._warehouse.command(f"TRUNCATE TABLE pathline.{table}")
            if self._rows[table]:
                put(
                    self._warehouse, table, self._rows[table], f"{table} {uuid5(NAMESPACE_OID, str(self._rows[table]))}"
                )


def asked(warehouse: Warehouse, project: Project, at: int) -> dict[str, set[UUID]]:
    """The members of each segment, by the SQL that is printed for it."""
    members: dict[str, set[UUID]] = {name: set() for name in project.segments}
    for names in batched(project.segments, TOGETHER):
        query = Query(project, at)
        parts = [f"SELECT '{n}' AS segment, person_id FROM everybody WHERE {member(query, n)}" for n in names]
        for row in warehouse.rows(query.text("\nUNION ALL\n".join(parts), " ".join(names))):
            members[row["segment"]].add(row["person_id"])
    return members


def batched(names: Iterable[str], count: int) -> Iterator[tuple[str, ...]]:
    rest = iter(names)
    while some := tuple(islice(rest, count)):
        yield some


def inside(changes: Iterable[tuple[str, str, str, int]], at: int) -> Mapping[str, set[str]]:
    """Persons in each segment at an instant, of (person, segment, change, at) in order."""
    members = defaultdict[str, set[str]](set)
    for who, segment, change, changed_at in changes:
        if changed_at <= at:
            (members[segment].add if change == "entered" else members[segment].discard)(who)
    return members


def _with_uuid(event: Event) -> Event:
    """Tests number their events; the warehouse wants UUIDs, in the same order."""
    if len(event.event_id) == 36:
        return event
    return msgspec.structs.replace(event, event_id=str(UUID(int=int(event.event_id))))
