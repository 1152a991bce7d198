"""One embedded engine for all tests of a process, which can have only one open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.clickhouse.engine import Warehouse, open_embedded
from sinks.clickhouse.tables import COLUMNS


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    opened = open_embedded(tmp_path_factory.mktemp("line") / "warehouse")
    yield opened
    opened.close()


@pytest.fixture
def warehouse(engine: Warehouse) -> Warehouse:
    """The warehouse, empty."""
    for table in COLUMNS:
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    engine.command("SYSTEM RELOAD DICTIONARY pathline.slot_owner")
    return engine
