"""Bringing a warehouse to the schema of this version."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sinks
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.migrate import Migration, SchemaError, available, migrate, plan
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


def test_the_plan_says_what_would_be_done_and_does_nothing(clean: Warehouse) -> None:
    def states() -> dict[str, str]:
        return {one.migration.name: one.state for one in plan(clean, [*available(), EXTRA])}

    assert states() == {**{one.name: "applied" for one in available()}, EXTRA.name: "to apply"}
    assert not tables(clean) & {"extra_a", "extra_b"}
    clean.command(
        "INSERT INTO pathline.migrations (name, checksum, statement) SELECT {name:String}, {checksum:String}, 0",
        {"name": EXTRA.name, "checksum": EXTRA.checksum},
    )
    assert states()[EXTRA.name] == "applied in part"
    assert "extra_b" in plan(clean, [*available(), EXTRA])[-1].pending[0]
    edited = Migration(EXTRA.name, EXTRA.text + "-- edited\n")
    assert plan(clean, [*available(), edited])[-1].state == "was changed after it was applied"
    assert plan(clean)[-1].state == "is of a newer version"


def test_the_commands_show_the_plan_and_carry_it_out(tmp_path: Path) -> None:
    # in processes of their own: one embedded engine a process

    def told(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pathline", "warehouse", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PATHLINE_HOME": str(tmp_path)}
        )
        return done.returncode, done.stdout + done.stderr

    assert told("plan")[0] == 1
    (tmp_path / "warehouse").mkdir()
    code, text = told("plan", "--format", "json")
    assert code == 0
    assert {row["state"] for row in json.loads(text)} == {"to apply"}
    assert "CREATE TABLE pathline.events_raw" in told("plan", "--sql")[1]
    assert told("migrate") == (0, f"applied: {', '.join(one.name for one in available())}\n")
    assert told("migrate") == (0, "nothing to apply\n")
    assert {row["state"] for row in json.loads(told("plan", "--format", "json")[1])} == {"applied"}


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
            " AND (default_kind = '' OR has({written:Array(String)}, name)) ORDER BY position",
            {"name": table, "written": list(columns)},
        )
        assert [row["name"] for row in there] == list(columns)
