"""Squash: the current person is written into old rows, and overrides that no row needs any more leave the dictionary.

Each step can be the last one before a crash, and reads give the same answers all the time:
1. The overrides are copied to `settled_owners`: from here on a late row that needs one brings it back.
2. Rows are rewritten, part by part as ClickHouse swaps them in. A row says the same before with its override as after
   without; one that came meanwhile keeps its override.
3. Queries that began before that are waited for: they read the old rows.
4. Overrides leave `slot_owners`, but those of which there is a row that is older. That is looked up after the deletion
   was ordered, so a row unseen by it came later, and brought its override back into a part that the deletion leaves be.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.owners import reload

#: a query that takes longer keeps the overrides for the next time
PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 0.1

_KEEP = """
INSERT INTO pathline.settled_owners (slot, version, person_id, topic, partition, offset, run)
SETTINGS async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = {token:String}
SELECT slot, version, person_id, topic, partition, offset, {run:UInt64} FROM pathline.slot_owners
"""
# an erasure while it was copied
_ERASED = "run = {run:UInt64} AND slot NOT IN (SELECT slot FROM pathline.slot_owners)"
_OUTDATED = "dictGet('pathline.slot_owner', 'version', slot) > squashed.version"
_REWRITE = f"""
ALTER TABLE pathline.events_raw
UPDATE squashed = dictGetOrDefault('pathline.slot_owner', ('version', 'person_id'), slot, squashed)
IN PARTITION ID {{partition:String}} WHERE {_OUTDATED} SETTINGS mutations_sync = 2
"""
_DROP = f"""
ALTER TABLE pathline.slot_owners DELETE
WHERE (slot, version) IN (SELECT slot, version FROM pathline.settled_owners WHERE run = {{run:UInt64}})
    AND slot NOT IN (SELECT slot FROM pathline.events_raw WHERE {_OUTDATED})
SETTINGS mutations_sync = 2
"""


def squash(warehouse: Warehouse, patience: float = PATIENCE_SECONDS) -> Iterator[str]:
    """Squash, step by step; says in a sentence what was done after each. Stopped anywhere it can be begun anew."""
    overrides = _count(warehouse, "SELECT uniqExact(slot) AS n FROM pathline.slot_owners")
    if not overrides:
        yield "nothing to squash: every row has its current person"
        return
    run = time.time_ns() // 1_000
    warehouse.command(_KEEP, {"run": run, "token": f"squash-{run}"})
    if _count(warehouse, f"SELECT count() AS n FROM pathline.settled_owners WHERE {_ERASED}", run):
        warehouse.command(
            f"ALTER TABLE pathline.settled_owners DELETE WHERE {_ERASED} SETTINGS mutations_sync = 2", {"run": run}
        )
    # what another process put there is rewritten too, else it would look as if nothing needed it
    reload(warehouse)
    yield f"{overrides:,} overrides"
    yield from _rewrite(warehouse)
    if not _rested(warehouse, time.monotonic(), patience):
        yield f"a query runs longer than {patience:.0f} s: the overrides stay until the next time"
        return
    warehouse.command(_DROP, {"run": run})
    reload(warehouse)
    left = _count(warehouse, "SELECT uniqExact(slot) AS n FROM pathline.slot_owners")
    yield f"done: {overrides - left:,} overrides are written into the rows, {left:,} stay"


def last_run(warehouse: Warehouse) -> float:
    """When something was squashed last, in seconds since 1970 UTC; 0 when never."""
    return _count(warehouse, "SELECT max(run) AS n FROM pathline.settled_owners") / 1_000_000


def _rewrite(warehouse: Warehouse) -> Iterator[str]:
    parts = warehouse.rows(
        "SELECT _partition_id AS id, any(toYYYYMM(occurred_at)) AS month, count() AS n"
        f" FROM pathline.events_raw WHERE {_OUTDATED} GROUP BY id ORDER BY id"
    )
    total, done = sum(int(part["n"]) for part in parts), 0
    for number, part in enumerate(parts, start=1):
        warehouse.command(_REWRITE, {"partition": part["id"]})
        done += int(part["n"])
        yield f"month {part['month']} ({number} of {len(parts)}): {done:,} of {total:,} rows"


def _rested(warehouse: Warehouse, since: float, patience: float) -> bool:
    """Whether all queries that ran at `since` (monotonic seconds) have ended."""
    while True:
        passed = time.monotonic() - since
        running = "SELECT count() AS n FROM system.processes WHERE query_kind = 'Select' AND elapsed > {s:Float64}"
        if not warehouse.rows(running, {"s": passed})[0]["n"]:
            return True
        if passed > patience:
            return False
        time.sleep(_PAUSE_SECONDS)


def _count(warehouse: Warehouse, sql: str, run: int = 0) -> int:
    return int(warehouse.rows(sql, {"run": run})[0]["n"])
