"""Rows into the tables, so that whoever reads sees to whom they belong now.

`slot_owners` has the overrides that some row still needs, a dictionary over it is what reads look into. A squash moves
the others to `settled_owners`; a row that comes later with an older placement brings its override back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import pyarrow as pa

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.tables import COLUMNS, Row, arrow

_SLOT, _VERSION = (list(COLUMNS["events_raw"]).index(name) for name in ("slot", "version"))

#: overrides that a squash took out of use although one of these rows, which came after it, needs them
_LATE = """
SELECT slot, max(version) AS version FROM pathline.settled_owners
WHERE slot IN {slots:Array(String)}
GROUP BY slot
HAVING version > transform(slot, {slots:Array(String)}, {versions:Array(UInt32)}, toUInt32(0))
"""
_WAKE = """
INSERT INTO pathline.slot_owners (slot, version, person_id, topic, partition, offset)
SETTINGS async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = {token:String}
SELECT slot, version, person_id, topic, partition, offset FROM pathline.settled_owners
WHERE slot IN {slots:Array(String)}
ORDER BY slot, version DESC LIMIT 1 BY slot
"""


def put(warehouse: Warehouse, table: str, rows: Sequence[Row], token: str) -> None:
    """Insert rows of a table under a token that stands for exactly them; doing it again leaves no second copy."""
    if table == "events_raw":
        put_events(warehouse, arrow(table, rows), [(row[_SLOT], row[_VERSION]) for row in rows], token)
        return
    warehouse.insert(table, arrow(table, rows), token)
    if table == "slot_owners":
        reload(warehouse)


def put_events(warehouse: Warehouse, data: pa.Table, places: Sequence[tuple[str, int]], token: str) -> None:
    """The same for rows of `events_raw`; `places` are their slots with the versions of their placement."""
    _wake(warehouse, places)
    warehouse.insert("events_raw", data, token)
    # a squash meanwhile that did not see them has named the overrides it takes away before it looked
    _wake(warehouse, places)


def reload(warehouse: Warehouse) -> None:
    """Let reads see the overrides as they are: dictionaries of the embedded engine never refresh by themselves."""
    warehouse.command("SYSTEM RELOAD DICTIONARY pathline.slot_owner")


def _wake(warehouse: Warehouse, places: Iterable[tuple[str, int]]) -> None:
    """Bring back the overrides that rows with these places need."""
    if not warehouse.rows("SELECT count() AS n FROM pathline.settled_owners")[0]["n"]:
        return
    lowest: dict[str, int] = {}
    for slot, version in places:
        lowest[slot] = min(version, lowest.get(slot, version))
    late = warehouse.rows(_LATE, {"slots": list(lowest), "versions": list(lowest.values())})
    if late:
        # a token of its own each time: the same override may have to come back again and again
        token = f"wake-{time.time_ns()}"
        warehouse.command(_WAKE, {"slots": [row["slot"] for row in late], "token": token})
        reload(warehouse)
