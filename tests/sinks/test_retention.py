"""Rows go when they are older than the settings say, and not before."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from schemas.settings import Settings
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.retention import KEPT, in_force, retain
from tests.sinks.made import DAY, decision, event, fill, send, update
from tests.sinks.sinking import wait


def ages(warehouse: Warehouse, table: str, column: str = "at") -> list[int]:
    """Whole days of the rows there are."""
    days = f"intDiv(dateDiff('second', {column}, now()), 86400)"
    rows = warehouse.rows(f"SELECT {days} AS d FROM pathline.{table} ORDER BY d")
    return [row["d"] for row in rows]


@pytest.fixture(autouse=True)
def _kept_for_ever_afterwards(warehouse: Warehouse) -> Iterator[None]:
    """What a failing test leaves in force would take the rows of every test after it."""
    yield
    retain(warehouse, Settings())


def test_rows_are_kept_for_ever_unless_told(warehouse: Warehouse) -> None:
    assert retain(warehouse, Settings()) == {}
    assert in_force(warehouse) == dict.fromkeys(KEPT, 0)


def test_what_is_too_old_goes_and_a_longer_time_holds_again(warehouse: Warehouse) -> None:
    def keeping(**days: int) -> dict[str, int]:
        return retain(warehouse, Settings.model_validate(days))

    now = round(time.time() * 1000)
    old, new = now - 100 * DAY - DAY // 2, now - DAY // 2
    far = 4_102_444_800_000 + 100 * 365 * DAY  # a clock that went wrong: the year 2200
    fill(warehouse, [update(event("A", at)) for at in (old, new, far)])
    fill(warehouse, [decision(at, "welcome", "entered") for at in (old, new)])
    fill(warehouse, [send(f"s{at}", at) for at in (old, new)])
    assert keeping(keep_events_days=30) == {"events_raw": 30}
    # said again nothing is done
    assert keeping(keep_events_days=30) == {}
    wait(lambda: len(ages(warehouse, "events_raw", "occurred_at")) == 2, "the old event to go")
    assert ages(warehouse, "events_raw", "occurred_at")[1] == 0
    assert ages(warehouse, "decisions") == ages(warehouse, "sends_raw") == [0, 100]
    # what comes too late is not kept either
    fill(warehouse, [update(event("B", old))], first=50)
    warehouse.command("OPTIMIZE TABLE pathline.events_raw FINAL")
    assert len(ages(warehouse, "events_raw", "occurred_at")) == 2
    assert keeping(keep_decisions_days=90, keep_events_days=200) == {"decisions": 90, "events_raw": 200}
    wait(lambda: ages(warehouse, "decisions") == [0], "the old decision to go")
    fill(warehouse, [update(event("C", old))], first=60)
    warehouse.command("OPTIMIZE TABLE pathline.events_raw FINAL")
    assert len(ages(warehouse, "events_raw", "occurred_at")) == 3
    assert keeping() == {"decisions": 0, "events_raw": 0}
    assert in_force(warehouse) == dict.fromkeys(KEPT, 0)


def test_times_of_a_scaled_clock_are_not_counted_by_the_wall() -> None:
    scaled = {"clock": "scaled", "clock_start": 1, "clock_until": 2, "clock_started": 1}
    with pytest.raises(ValidationError, match="scaled line"):
        Settings(keep_events_days=1, **scaled)  # type: ignore[arg-type]
