"""Brings a warehouse to the schema this version works with.

Migrations are the files `migrations/NNNN_name.sql`, applied once each in order; what was applied stands in
`pathline.migrations` with a checksum, so that an edited file is noticed rather than ignored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class SchemaError(Exception):
    """The warehouse was made by other migrations than the ones here."""


class Commands(Protocol):
    """What a migration needs of a warehouse."""

    def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None: ...

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, credentials: str = "") -> list[str]:
        """Its SQL statements; each ends with a semicolon at the end of a line."""
        text = self.text.replace("{credentials}", credentials)
        parts = re.split(r";[ \t]*(?:\n|$)", text)
        return [part.strip() for part in parts if any(_is_sql(line) for line in part.splitlines())]


def available() -> list[Migration]:
    """All migrations of this version, in order."""
    folder = files("sinks.clickhouse") / "migrations"
    found = [Migration(entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if _NAME.match(entry.name)]
    return sorted(found, key=lambda migration: migration.name)


@dataclass(frozen=True, slots=True)
class Planned:
    """A migration and how far it is: `done` of its statements were applied, the first one at `at` (UTC, ISO 8601). A
    `trouble` keeps all from being applied."""

    migration: Migration
    done: int
    at: str
    trouble: str

    @property
    def pending(self) -> list[str]:
        """The statements that are left."""
        return self.migration.statements()[self.done :]

    @property
    def state(self) -> str:
        if self.trouble or not self.pending:
            return self.trouble or "applied"
        return "applied in part" if self.done else "to apply"


def plan(warehouse: Commands, migrations: Iterable[Migration] | None = None) -> list[Planned]:
    """All migrations in order, and what `migrate` would do; nothing is changed."""
    known = {migration.name: migration for migration in (available() if migrations is None else migrations)}
    made = warehouse.rows("SELECT 1 FROM system.tables WHERE database = 'pathline' AND name = 'migrations'")
    done = {row["name"]: row for row in (warehouse.rows(_APPLIED) if made else [])}
    return [
        Planned(
            migration=known.get(name) or Migration(name, ""),
            done=done[name]["statements"] if name in done else 0,
            at=done[name]["at"] if name in done else "",
            trouble=_trouble(known.get(name), done[name]["checksum"] if name in done else ""),
        )
        for name in sorted({*known, *done})
    ]


def _trouble(migration: Migration | None, applied: str) -> str:
    if migration is None:
        return "is of a newer version"
    return "was changed after it was applied" if applied not in ("", migration.checksum) else ""


_APPLIED = """
SELECT name, any(checksum) AS checksum, uniqExact(statement) AS statements,
       formatDateTime(min(pathline.migrations.at), '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS at
FROM pathline.migrations GROUP BY name
"""


def migrate(warehouse: Commands, credentials: str = "", migrations: Iterable[Migration] | None = None) -> list[str]:
    """Apply what is missing; gives the names applied now.

    `credentials` are the USER and PASSWORD clauses a server needs for its own dictionaries. Raises SchemaError when an
    applied migration was edited since or is not known here (the warehouse is newer than this version).
    """
    warehouse.command("CREATE DATABASE IF NOT EXISTS pathline")
    warehouse.command(
        "CREATE TABLE IF NOT EXISTS pathline.migrations (name String, checksum String, statement UInt32,"
        " at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = MergeTree ORDER BY (name, statement)"
    )
    planned = plan(warehouse, migrations)
    for one in planned:
        if one.trouble:
            raise SchemaError(f"the warehouse can't be used: its migration {one.migration.name} {one.trouble}")
    applied = []
    for one in planned:
        todo = one.migration.statements(credentials)[one.done :]
        for number, statement in enumerate(todo, start=one.done):
            # a crash between a statement and its note must not make the next start fail
            warehouse.command(_repeatable(statement))
            warehouse.command(
                "INSERT INTO pathline.migrations (name, checksum, statement)"
                " SELECT {name:String}, {checksum:String}, {number:UInt32}",
                {"name": one.migration.name, "checksum": one.migration.checksum, "number": number},
            )
        if todo:
            applied.append(one.migration.name)
    return applied


def _is_sql(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("--")


def _repeatable(statement: str) -> str:
    return re.sub(
        r"^((?:--[^\n]*\n|\s)*CREATE (?:TABLE|VIEW|DICTIONARY)) (?!IF NOT EXISTS)",
        r"\1 IF NOT EXISTS ",
        statement,
        count=1,
    )
