"""The sink waits while parts pile up, and goes on with the very batches it had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.pressure import crowded
from tests.sinks.made import DAY, T0, event, fill, update


@pytest.fixture
def unmerged(warehouse: Warehouse) -> Iterator[Warehouse]:
    warehouse.command("SYSTEM STOP MERGES pathline.events_raw")
    yield warehouse
    warehouse.command("SYSTEM START MERGES pathline.events_raw")


def test_parts_count_by_month(unmerged: Warehouse) -> None:
    for number in range(3):
        fill(unmerged, [update(event(f"A{number}", T0)), update(event(f"B{number}", T0 + 60 * DAY))], first=2 * number)
    # six parts of two months
    assert crowded(unmerged, 3) is None
    assert crowded(unmerged, 2) == "events_raw has 3 parts in one month, more than 2: merges are behind"
    unmerged.command("SYSTEM START MERGES pathline.events_raw")
    unmerged.command("OPTIMIZE TABLE pathline.events_raw FINAL")
    assert crowded(unmerged, 2) is None
