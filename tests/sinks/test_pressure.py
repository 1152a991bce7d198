"""The sink waits while parts pile up, and goes on with the very batches it had."""

from __future__ import annotations

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.pressure import crowded
from tests.sinks.made import DAY, T0, event, fill, update


def test_parts_count_by_month(warehouse: Warehouse) -> None:
    warehouse.command("SYSTEM STOP MERGES pathline.events_raw")
    try:
        for number in range(3):
            months = [update(event(f"{number}", T0 + days * DAY, id=f"{number}/{days}")) for days in (0, 60)]
            fill(warehouse, months, first=2 * number)
        # six parts of two months
        assert crowded(warehouse, 3) is None
        assert crowded(warehouse, 2) == "events_raw has 3 parts in one month, more than 2: merges are behind"
    finally:
        warehouse.command("SYSTEM START MERGES pathline.events_raw")
    warehouse.command("OPTIMIZE TABLE pathline.events_raw FINAL")
    assert crowded(warehouse, 2) is None
