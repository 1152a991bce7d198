"""Bringing a warehouse to the schema of this version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sinks
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.migrate import Migration, SchemaError, available, migrate
from sinks.clickhouse.tables import COLUMNS

EXTRA = Migration("9001_extra.sql", "-- two tables\nCREATE TABLE pathline.extra_a (a Int8) ENGINE = Memory;\n\n"
                  "CREATE TABLE pathline.extra_b (a String DEFAULT ';') ENGINE = Memory;\n")  # fmt: skip


@pytest.fixture
def clean(engine: Warehouse) -> Iterator[Warehouse]:
    yield engine
    for table in ("extra_a", "extra_b"):
        engine.command(f"DROP TABLE IF EXISTS pathline.{table}")
    engine.command(f"DELETE FROM pathline.migrations WHERE name = '{EXTRA.name}'")


def tables(warehouse: Warehouse) -> set[str]:
    return {row["name"] for row in warehouse.rows("SELECT name FROM system.tables WHERE database = 'pathline'")}


def test_what_is_missing_is_applied_once(clean: Warehouse) -> None:
    assert migrate(clean) == []
    assert migrate(clean, migrations=[*available(), EXTRA]) == [EXTRA.name]
    assert {"extra_a", "extra_b"} <= tables(clean)
    assert migrate(clean, migrations=[*available(), EXTRA]) == []


def test_a_migration_that_was_cut_off_is_finished(clean: Warehouse) -> None:
    class Dies:
        """A warehouse whose process dies right after the first table was made, before that was noted."""

        def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
            return clean.rows(sql, parameters)

        def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
            if sql.startswith("INSERT"):
                raise KeyboardInterrupt
            clean.command(sql, parameters)

    with pytest.raises(KeyboardInterrupt):
        migrate(Dies(), migrations=[*available(), EXTRA])
    assert tables(clean) & {"extra_a", "extra_b"} == {"extra_a"}
    assert migrate(clean, migrations=[*available(), EXTRA]) == [EXTRA.name]
    assert {"extra_a", "extra_b"} <= tables(clean)


def test_an_edited_migration_is_noticed(clean: Warehouse) -> None:
    first, *others = available()
    edited = Migration(first.name, first.text + "\n-- edited")
    with pytest.raises(SchemaError, match=r"0001_tables\.sql was changed"):
        migrate(clean, migrations=[edited, *others])


def test_a_warehouse_of_a_newer_version_is_left_alone(clean: Warehouse) -> None:
    migrate(clean, migrations=[*available(), EXTRA])
    with pytest.raises(SchemaError, match="newer version"):
        migrate(clean)


def test_every_table_knows_tokens_also_those_that_views_write_to(engine: Warehouse) -> None:
    made = engine.rows(
        "SELECT name, engine, engine_full FROM system.tables WHERE database = 'pathline'"
        " AND engine NOT IN ('View', 'Dictionary') AND name NOT LIKE 'extra_%'"
    )
    # notes of what was applied may be there twice
    assert {row["name"] for row in made} > COLUMNS.keys()
    without = {row["name"] for row in made if "non_replicated_deduplication_window = 10000" not in row["engine_full"]}
    assert without == {"migrations"}


def test_every_insert_says_how_it_is_told_from_a_repeated_one() -> None:
    folder = Path(sinks.__file__).parent
    inserts = re.compile(r"INSERT INTO pathline\.(\w+).*?(?=SELECT)", re.DOTALL)
    found = [
        (match[1], match[0]) for path in folder.rglob("*.py") for match in inserts.finditer(path.read_text("utf-8"))
    ]
    assert {"slot_owners", "settled_owners", "migrations"} == {table for table, _ in found}
    for table, statement in found:
        if table != "migrations":
            assert "async_insert = 0, insert_deduplicate = 1, insert_deduplication_token =" in statement
    # everything else goes through the one call that says it
    calls = [path.name for path in folder.rglob("*.py") if "insert_arrow(" in path.read_text("utf-8")]
    assert calls == ["engine.py"]


def test_every_table_has_the_columns_that_are_written(engine: Warehouse) -> None:
    for table, columns in COLUMNS.items():
        there = engine.rows(
            "SELECT name FROM system.columns WHERE database = 'pathline' AND table = {name:String}"
            " AND default_kind = '' ORDER BY position",
            {"name": table},
        )
        assert [row["name"] for row in there] == list(columns)
