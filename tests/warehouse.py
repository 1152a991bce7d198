"""One embedded engine for all tests of a process, which can have only one open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.clickhouse.engine import Warehouse, open_embedded
from sinks.clickhouse.owners import reload

#: all that hold rows of the line
TABLES = (
    "SELECT name FROM system.tables WHERE database = 'pathline' AND engine LIKE '%MergeTree' AND name != 'migrations'"
)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    opened = open_embedded(tmp_path_factory.mktemp("line") / "warehouse")
    yield opened
    opened.close()


@pytest.fixture
def warehouse(engine: Warehouse) -> Warehouse:
    """The warehouse, empty."""
    return emptied(engine)


def emptied(warehouse: Warehouse) -> Warehouse:
    for table in warehouse.rows(TABLES):
        warehouse.command(f"TRUNCATE TABLE pathline.{table['name']}")
    reload(warehouse)
    return warehouse
