"""Parts that pile up: each insert makes some, and merges in the background may be behind."""

from __future__ import annotations

from sinks.clickhouse import metrics
from sinks.clickhouse.engine import Warehouse

# merges work within a partition, so it is there that they can be behind
_PARTS = """
SELECT table, max(parts) AS most
FROM
(
    SELECT table, partition_id, count() AS parts
    FROM system.parts WHERE database = 'pathline' AND table != 'migrations' AND active
    GROUP BY table, partition_id
)
GROUP BY table ORDER BY most DESC, table
"""


def crowded(warehouse: Warehouse, most: int) -> str | None:
    """Which table has more than `most` parts in a partition, in words; None when none has."""
    found = warehouse.rows(_PARTS)
    for table in found:
        metrics.PARTS.labels(table["table"]).set(table["most"])
    if not found or found[0]["most"] <= most:
        return None
    return f"{found[0]['table']} has {found[0]['most']} parts in one month, more than {most}: merges are behind"
