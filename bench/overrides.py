"""What it costs to read the current person: the bare table by the person of the time, the view `events` with overrides
for a share of all slots, and the view after a squash.

    python -m bench.overrides [--events 3000000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.paths import fill
from sinks.clickhouse.engine import Warehouse, open_embedded
from sinks.clickhouse.owners import reload
from sinks.clickhouse.squash import squash

SHARES = (0, 1, 10)
QUESTIONS = {
    "events of each": "SELECT max(n) FROM (SELECT {person}, count() AS n FROM {table} GROUP BY {person})",
    "persons by day": "SELECT toDate(occurred_at) AS day, uniq({person}) FROM {table} GROUP BY day ORDER BY day",
}
_OVERRIDES = """
INSERT INTO pathline.slot_owners (slot, version, person_id, topic, partition, offset)
SELECT slot, 2, generateUUIDv4(), 'identity.assignments', 0, rowNumberInAllBlocks()
FROM (SELECT DISTINCT slot FROM pathline.events_raw WHERE cityHash64(slot) % 100 < {share:UInt32})
"""


def seconds(warehouse: Warehouse, sql: str) -> float:
    """Of processor, the least of five: what else the machine does matters less for it."""
    found = []
    for _ in range(5):
        began = time.process_time()
        warehouse.rows(sql)
        found.append(time.process_time() - began)
    return min(found)


def line(what: str, figures: list[float], bare: list[float]) -> None:
    told = "".join(f"{figure:>12.3f} ({figure / base:.1f}x)" for figure, base in zip(figures, bare, strict=True))
    print(f"{what:<34}{told}")


def asked(warehouse: Warehouse, table: str, person: str) -> list[float]:
    return [seconds(warehouse, sql.format(person=person, table=f"pathline.{table}")) for sql in QUESTIONS.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=3_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_embedded(Path(folder) / "warehouse")
        fill(warehouse, given.events)
        print(f"{'seconds of processor':<34}" + "".join(f"{what:>19}" for what in QUESTIONS))
        bare = asked(warehouse, "events_raw", "person_at")
        line("bare table, by person_at", bare, bare)
        for share in SHARES:
            warehouse.command(_OVERRIDES, {"share": share})
            reload(warehouse)
            line(f"view, {share} % of slots overridden", asked(warehouse, "events", "person_id"), bare)
        began = time.perf_counter()
        done, took = list(squash(warehouse))[-1], time.perf_counter() - began
        line("view, after the squash", asked(warehouse, "events", "person_id"), bare)
        print(f"squash: {took:.1f} s; {done}")
        warehouse.close()


if __name__ == "__main__":
    main()
