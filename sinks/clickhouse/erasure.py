"""Erasure in the warehouse: rows of what was erased are deleted, and those that come later are left out.

Rows belong to an erased slot, person or identifier. What other persons' events say of them is those persons' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from schemas.erasure import mark
from schemas.records import Erasure
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.owners import reload
from sinks.clickhouse.tables import COLUMNS, Row

PERSON, SLOT, IDENTIFIER = "person", "slot", "identifier"
#: whose a row is: (kind, column) of each table; identifiers only up to the erasure, by the row's own time
OWNERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "events_raw": ((SLOT, "slot"),),
    "listed_raw": ((SLOT, "slot"),),
    "memberships": ((PERSON, "person_id"),),
    "profiles": ((PERSON, "person_id"),),
    "moves": ((SLOT, "slot"), (PERSON, "from_person"), (PERSON, "to_person")),
    "assignments": ((SLOT, "slot"),),
    "slot_owners": ((SLOT, "slot"),),
    # after the table it is copied from
    "settled_owners": ((SLOT, "slot"),),
    "refusals": ((IDENTIFIER, "a"), (IDENTIFIER, "b")),
    "decisions": ((PERSON, "person_id"),),
    "ledger": ((PERSON, "person_id"),),
    "sends_raw": ((PERSON, "person_at"), (IDENTIFIER, "identifier")),
    "accesses_raw": ((PERSON, "person_at"),),
}
#: tables whose rows also go with the send they are about; before the table of sends
_OF_SENDS = ("decisions", "ledger")


@dataclass(frozen=True, slots=True)
class Names:
    """What was erased at an instant (milliseconds since 1970 UTC), in clear: only for as long as it takes."""

    at: int
    persons: list[str] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, erasure: Erasure) -> Names:
        return cls(erasure.at, erasure.persons, erasure.slots, erasure.identifiers)

    def marks(self) -> Iterable[tuple[str, str]]:
        """(kind, mark) of each."""
        for kind, names in ((PERSON, self.persons), (SLOT, self.slots), (IDENTIFIER, self.identifiers)):
            yield from ((kind, mark(name)) for name in names)


class Erasures:
    """What was erased so far, as the warehouse knows it."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._known: dict[tuple[str, str], int] = {}
        self._rows = 0

    def refresh(self) -> None:
        """Take in what was erased since, by another writer too."""
        count = int(self._warehouse.rows("SELECT count() AS n FROM pathline.erasures")[0]["n"])
        if count == self._rows:
            return
        found = self._warehouse.rows(
            "SELECT kind, mark, toUnixTimestamp64Milli(max(at)) AS at FROM pathline.erasures GROUP BY kind, mark"
        )
        self._known = {(row["kind"], row["mark"]): int(row["at"]) for row in found}
        self._rows = count

    def kept(self, table: str, rows: list[Row]) -> list[Row]:
        """Rows of a table without those of what was erased."""
        return [row for row in rows if not self._gone(table, row)] if self._known else rows

    def covers_slot(self, slot: str) -> bool:
        """Whether a slot belongs to somebody who was erased."""
        return bool(self._known) and (SLOT, _mark(slot)) in self._known

    def covers_identifier(self, identifier: str, at: int) -> bool:
        """Whether what is said of an identifier at an instant is of somebody who was erased."""
        erased = self._known.get((IDENTIFIER, _mark(identifier))) if self._known else None
        return erased is not None and at <= erased

    def _gone(self, table: str, row: Row) -> bool:
        for kind, column in OWNERS.get(table, ()):
            value = row[_place(table, column)]
            if value is None:
                continue
            name = str(UUID(bytes=value)) if kind == PERSON else value
            at = self._known.get((kind, _mark(name)))
            if at is not None and (kind != IDENTIFIER or row[_place(table, "at")] <= at):
                return True
        return False


def delete(warehouse: Warehouse, names: Names) -> None:
    """Delete all rows of what was erased; doing it again is harmless."""
    for table in OWNERS:
        where, parameters = condition(table, names)
        if remaining(warehouse, table, names):
            statement = f"ALTER TABLE pathline.{table} DELETE WHERE {where} SETTINGS mutations_sync = 2"
            warehouse.command(statement, parameters)
            if table == "slot_owners":
                reload(warehouse)


def remaining(warehouse: Warehouse, table: str, names: Names) -> int:
    """How many rows of it a table has."""
    where, parameters = condition(table, names)
    return int(warehouse.rows(f"SELECT count() AS n FROM pathline.{table} WHERE {where}", parameters)[0]["n"])


def condition(table: str, names: Names) -> tuple[str, dict[str, object]]:
    """Which rows of a table belong to it, as SQL with its parameters."""
    parameters: dict[str, object] = {
        "persons": names.persons,
        "slots": names.slots,
        "identifiers": names.identifiers,
        "at": names.at,
    }
    parts = [_SQL[kind].format(column=column) for kind, column in OWNERS[table]]
    if table in _OF_SENDS:
        sends = " OR ".join(_SQL[kind].format(column=column) for kind, column in OWNERS["sends_raw"])
        parts.append(f"send_id IN (SELECT send_id FROM pathline.sends_raw WHERE {sends})")
    return " OR ".join(parts), parameters


_SQL = {
    PERSON: "{column} IN {{persons:Array(UUID)}}",
    SLOT: "{column} IN {{slots:Array(String)}}",
    IDENTIFIER: "({column} IN {{identifiers:Array(String)}} AND at <= fromUnixTimestamp64Milli({{at:Int64}}))",
}


@lru_cache(maxsize=256)
def _place(table: str, column: str) -> int:
    return list(COLUMNS[table]).index(column)


@lru_cache(maxsize=65_536)
def _mark(name: str) -> str:
    return mark(name)
