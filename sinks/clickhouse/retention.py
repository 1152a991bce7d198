"""How long rows are kept: ClickHouse removes older ones by itself (TTL), as the settings of the line say."""

from __future__ import annotations

import re

from schemas.settings import Settings
from sinks.clickhouse.engine import Warehouse

#: setting and time of each table. What tells the present is not among them: placements of slots, and changes of
#: memberships, the last of which says who is in a segment.
KEPT = {
    "events_raw": ("keep_events_days", "occurred_at"),
    "decisions": ("keep_decisions_days", "at"),
    "sends_raw": ("keep_sends_days", "at"),
    "ledger": ("keep_sends_days", "at"),
    "accesses_raw": ("keep_accesses_days", "at"),
    "profiles": ("keep_profiles_days", "at"),
}
_DAYS = re.compile(r"\bTTL .*toIntervalDay\((\d+)\)")
# a TTL counts in DateTime, which ends in 2106 and then begins anew
_TTL = (
    "toDateTime(greatest(least({column}, toDateTime64('2050-01-01', 3, 'UTC')), toDateTime64('1970-01-01', 3, 'UTC')))"
    " + toIntervalDay({days})"
)


def in_force(warehouse: Warehouse) -> dict[str, int]:
    """Days by table as the warehouse has them; 0 is for ever."""
    tables = warehouse.rows(
        "SELECT name, engine_full FROM system.tables WHERE database = 'pathline' AND name IN {tables:Array(String)}",
        {"tables": list(KEPT)},
    )
    found = {table["name"]: _DAYS.search(table["engine_full"]) for table in tables}
    return {table: int(match[1]) if match else 0 for table, match in found.items()}


def retain(warehouse: Warehouse, settings: Settings) -> dict[str, int]:
    """Bring the warehouse to what the settings say; gives what was changed. Rows that are too old already go in the
    background, those that get too old at a later merge."""
    there, changed = in_force(warehouse), {}
    for table, (setting, column) in KEPT.items():
        days = getattr(settings, setting)
        if days != there[table]:
            ttl = f"MODIFY TTL {_TTL.format(column=column, days=days)}" if days else "REMOVE TTL"
            warehouse.command(f"ALTER TABLE pathline.{table} {ttl}")
            changed[table] = days
    return changed
