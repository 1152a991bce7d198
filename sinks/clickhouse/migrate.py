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


def migrate(warehouse: Commands, credentials: str = "", migrations: Iterable[Migration] | None = None) -> list[str]:
    """Apply what is missing; gives the names applied now.

    `credentials` are the USER and PASSWORD clauses a server needs for its own dictionaries. Raises SchemaError when an
    applied migration was edited since or is not known here (the warehouse is newer than this version).
    """
    known = list(available() if migrations is None else migrations)
    warehouse.command("CREATE DATABASE IF NOT EXISTS pathline")
    warehouse.command(
        "CREATE TABLE IF NOT EXISTS pathline.migrations (name String, checksum String, statement UInt32,"
        " at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = MergeTree ORDER BY (name, statement)"
    )
    done = {
        row["name"]: (row["checksum"], row["statements"])
        for row in warehouse.rows(
            "SELECT name, any(checksum) AS checksum, uniqExact(statement) AS statements"
            " FROM pathline.migrations GROUP BY name"
        )
    }
    for name in sorted(done.keys() - {migration.name for migration in known}):
        raise SchemaError(f"the warehouse was written by a newer version: migration {name} is not known here")
    applied = []
    for migration in known:
        checksum, statements = done.get(migration.name, (migration.checksum, 0))
        if checksum != migration.checksum:
            raise SchemaError(f"migration {migration.name} was changed after it was applied")
        todo = migration.statements(credentials)[statements:]
        for number, statement in enumerate(todo, start=statements):
            # a crash between a statement and its note must not make the next start fail
            warehouse.command(_repeatable(statement))
            warehouse.command(
                "INSERT INTO pathline.migrations (name, checksum, statement)"
                " SELECT {name:String}, {checksum:String}, {number:UInt32}",
                {"name": migration.name, "checksum": migration.checksum, "number": number},
            )
        if todo:
            applied.append(migration.name)
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
