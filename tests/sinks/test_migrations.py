"""Bringing a warehouse to the schema of this version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

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


def test_every_table_has_a_deduplication_window_and_the_columns_that_are_written(engine: Warehouse) -> None:
    for table, columns in COLUMNS.items():
        [made] = engine.rows(
            "SELECT create_table_query AS sql FROM system.tables WHERE database = 'pathline' AND name = {name:String}",
            {"name": table},
        )
        assert "non_replicated_deduplication_window" in made["sql"]
        there = engine.rows(
            "SELECT name FROM system.columns WHERE database = 'pathline' AND table = {name:String}"
            " AND default_kind = '' ORDER BY position",
            {"name": table},
        )
        assert [row["name"] for row in there] == list(columns)
