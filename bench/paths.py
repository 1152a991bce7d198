"""Seconds each analysis takes over generated events in the embedded warehouse, and the most memory.

    python -m bench.paths [--events 5000000] [--home FOLDER] [--peers] [--only WORD]

The events are of one person in 16 events, over half a year: ten names, five channels, receipts of another system's
e-mails. Each analysis runs once, cold, in this process. With a folder the warehouse is kept and used again.
`--peers` asks DuckDB and pandas the same, each in a process of its own, where they are installed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from bench.paths_peers import timed
from schemas.definitions.expressions import compile as cel
from sinks.clickhouse.engine import Warehouse, open_embedded
from sinks.clickhouse.paths.attempts import Question
from sinks.clickhouse.paths.attribution import Question as Lookback
from sinks.clickhouse.paths.attribution import attribution
from sinks.clickhouse.paths.channels import Question as Returns
from sinks.clickhouse.paths.channels import channels
from sinks.clickhouse.paths.cohorts import Cohorts
from sinks.clickhouse.paths.costs import Prices
from sinks.clickhouse.paths.dropoff import dropoff
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.flows import flows
from sinks.clickhouse.paths.funnel import funnel
from sinks.clickhouse.paths.ltv import ltv
from sinks.clickhouse.paths.models import MODELS
from sinks.clickhouse.paths.orders import Asked
from sinks.clickhouse.paths.retention import retention
from sinks.clickhouse.paths.touches import Nodes, TouchRules
from sinks.clickhouse.paths.transitions import transitions
from sinks.clickhouse.paths.walks import Question as Anchors

DAY = 86_400_000
STEPS = ("Product Viewed", "Product Added", "Order Completed")
ALL = Filters()
NODES = Nodes(rules=TouchRules(frozenset({"web", "app", "store"})))

_FILL = """
INSERT INTO pathline.events_raw
    (event_id, message_id, type, name, channel, source, occurred_at, received_at, person_at, slot, version, identifiers,
     send_id, revenue, properties, traits, context, topic, partition, offset)
SELECT
    reinterpretAsUUID(reverse(reinterpretAsFixedString(sipHash128(number)))), concat('m-', toString(number)), 'track',
    ['Page Viewed', 'Product Viewed', 'Product Viewed', 'Product Added', 'Order Completed', 'Email Link Clicked',
     'Email Opened', 'Search', 'Page Viewed', 'Called'][1 + cityHash64(number, 1) % 10] AS what,
    multiIf(startsWith(what, 'Email'), 'email', what = 'Called', 'call_centre',
            ['web', 'web', 'app', 'store'][1 + cityHash64(number, 2) % 4]),
    'bench', fromUnixTimestamp64Milli(toInt64(1767225600000 + cityHash64(number, 3) % (180 * 86400000))) AS at, at,
    reinterpretAsUUID(reverse(reinterpretAsFixedString(sipHash128(cityHash64(number, 7) % {people:UInt64})))) AS person,
    concat('user_id:', toString(person)), 1, [concat('user_id:', toString(person))],
    if(startsWith(what, 'Email'), concat('s-', toString(number % 1000000)), NULL),
    if(what = 'Order Completed', cityHash64(number, 9) % 10000 / 100, NULL),
    concat('{"order_id":"', toString(number), '","path":"/p/', toString(number % 500), '","price":',
           toString(number % 97), '}'), '{}', '{"page":{"path":"/x"}}', 'updates', 0, number
FROM numbers({from:UInt64}, {size:UInt64})
SETTINGS max_partitions_per_insert_block = 0
"""


def fill(warehouse: Warehouse, number: int, size: int = 1_000_000) -> None:
    """That many events in all."""
    [there] = warehouse.rows("SELECT count() AS events FROM pathline.events_raw")
    for first in range(there["events"], number, size):
        some = {"from": first, "size": min(size, number - first), "people": max(1, number // 16)}
        warehouse.command(_FILL, some)


def analyses(warehouse: Warehouse) -> dict[str, Callable[[], object]]:
    """Each by what it is called here."""
    week = Question(STEPS, 7 * DAY)
    cheap = Filters(where=cel("event.name != 'Product Viewed' || event.properties.price > 20"))

    def owed(*models: str) -> object:
        return attribution(warehouse, models, NODES, Asked(), Lookback(30 * DAY), ALL, Prices())

    return {
        "transitions by event": lambda: transitions(warehouse, Nodes("event"), ALL),
        "transitions by channel": lambda: transitions(warehouse, NODES, ALL),
        "flows from an event, 4 steps": lambda: flows(warehouse, Nodes("event"), Anchors(STEPS[1], depth=4), ALL),
        "flows to an event by channel": lambda: flows(warehouse, NODES, Anchors(end=STEPS[2], depth=3), ALL),
        "funnel, ordered": lambda: funnel(warehouse, week, ALL),
        "funnel with an expression": lambda: funnel(warehouse, week, cheap),
        "funnel, strict": lambda: funnel(warehouse, Question(STEPS, 7 * DAY, "strict"), ALL),
        "funnel, any order": lambda: funnel(warehouse, Question(STEPS, 7 * DAY, "any"), ALL),
        "funnel with drops": lambda: funnel(warehouse, week, ALL, drops=True),
        "attribution, linear": lambda: owed("linear"),
        "attribution, all models": lambda: owed(*MODELS),
        "channels": lambda: channels(warehouse, Returns(Asked(), Prices(), NODES.rules, 30 * DAY), ALL),
        "retention by week": lambda: retention(warehouse, Cohorts("week"), "", ALL),
        "lifetime value by month": lambda: ltv(warehouse, Cohorts("month"), Asked(), ALL),
        "drop-off": lambda: dropoff(warehouse, NODES, 30 * DAY, ALL),
    }


def peers(warehouse: Warehouse, file: Path) -> None:
    """Ask the peers; ours are asked for the same numbers beside them."""
    writer = None
    for part in range(10):
        some = warehouse.arrow(
            "SELECT cityHash64(person_id) AS person, toUnixTimestamp64Milli(occurred_at) AS ts,"
            " cityHash64(event_id) AS id, toString(name) AS name, toString(channel) AS channel, send_id, revenue"
            f" FROM pathline.events WHERE cityHash64(person_id) % 10 = {part}"
        )
        writer = writer or pq.ParquetWriter(file, some.schema)
        writer.write_table(some)
    assert writer is not None
    writer.close()
    linear = attribution(warehouse, ("linear",), NODES, Asked(), Lookback(30 * DAY), ALL, Prices())["linear"]
    ours = {
        "transitions": sum(
            row.count
            for row in transitions(warehouse, Nodes("event"), ALL)
            if row.origin != "(start)" and row.target != "(end)"
        ),
        "funnel": funnel(warehouse, Question(STEPS, 7 * DAY), ALL).steps[-1].people,
        "attribution, linear": round(sum(row.conversions for row in linear if row.node != "(none)")),
        "retention": sum(row.returned for row in retention(warehouse, Cohorts("week"), "", ALL)),
    }
    for name, answer in ours.items():
        print(f"our answer: {name}: {answer:,}")
    for peer in ("duckdb", "pandas"):
        subprocess.run([sys.executable, "-m", "bench.paths_peers", str(file), "--peer", peer], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--only", default="", help="word in the names of the analyses")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_embedded((chosen.home or Path(folder)) / "warehouse")
        fill(warehouse, chosen.events)
        for name, ask in analyses(warehouse).items():
            if chosen.only in name:
                timed(name, ask)
        if chosen.peers:
            peers(warehouse, Path(folder) / "events.parquet")
        warehouse.close()


if __name__ == "__main__":
    main()
