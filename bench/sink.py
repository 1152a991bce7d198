"""Rows a second into the embedded warehouse with the real schema, against a bare insert of the same Arrow tables.

    python -m bench.sink [--records 300000] [--batch 20000]

`records` is what the sink does between Kafka's client and its commits: decode, rows, Arrow, insert under a token.
`bare` inserts ready Arrow tables in as large pieces into the same table without a token.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from schemas.codec import Codec
from schemas.identifiers import person_id, slot_of
from schemas.records import Event, Update
from schemas.topics import UPDATES
from sinks.clickhouse.batches import Batch, Range
from sinks.clickhouse.engine import Warehouse, open_embedded
from sinks.clickhouse.rows import rows_of
from sinks.clickhouse.tables import Origin, arrow

T0 = 1_767_225_600_000
PEOPLE = 20_000
CHANNELS = ("web", "app", "email", "store", "push", "sms")


def updates(codec: Codec, number: int) -> Iterator[bytes]:
    """Events of many people over 30 days, with properties as a shop sends them; every tenth changes a profile."""
    for n in range(number):
        who = f"user_id:customer-{n * 7919 % PEOPLE}"
        order = {"order_id": f"o-{n}", "total": n % 997 / 7, "products": [{"product_id": f"p-{n % 500}", "price": 9.5}]}
        event = Event(
            message_id=f"message-{n}",
            event_id=f"{n:08x}-0000-5000-8000-{n * 2654435761 % 2**48:012x}",
            type="track",
            name=("Product Viewed", "Product Added", "Order Completed")[n % 3],
            channel=CHANNELS[n % len(CHANNELS)],
            identifiers=[who, f"email:customer-{n * 7919 % PEOPLE}@example.com"],
            occurred_at=T0 + n * 8_640,
            received_at=T0 + n * 8_640,
            source="bench",
            properties=orjson.dumps(order),
            traits=b"{}",
            context=b'{"library":{"name":"analytics.js","version":"2.11.1"},"page":{"path":"/product"}}',
        )
        profile = {"traits": {"city": "Kyiv"}, "segments": ["regulars"], "addresses": {"user_id": [who[8:]]}}
        yield codec.encode(
            Update(
                kind="event",
                person_id=person_id(who),
                slot=slot_of(who),
                version=1,
                at=event.received_at,
                event=codec.encode(event),
                profile=orjson.dumps(profile) if n % 10 == 0 else None,
            )
        )


def through_the_sink(warehouse: Warehouse, codec: Codec, records: list[bytes], size: int) -> tuple[float, float]:
    """(seconds in all, seconds of them in ClickHouse)."""
    began, inside = time.perf_counter(), 0.0
    for start in range(0, len(records), size):
        batch = Batch((UPDATES, 0))
        for offset, value in enumerate(records[start : start + size], start=start):
            batch.add(offset, len(value), rows_of(codec, Origin(UPDATES, 0, offset), value))
        range_ = batch.range or Range(0, 0)
        for table, rows in batch.rows.items():
            data = arrow(table, rows)
            entered = time.perf_counter()
            warehouse.insert(table, data, range_.token(batch.partition))
            inside += time.perf_counter() - entered
    return time.perf_counter() - began, inside


def bare(warehouse: Warehouse, codec: Codec, records: list[bytes], size: int) -> float:
    """Seconds to insert the same rows of events, made before."""
    tables = []
    for start in range(0, len(records), size):
        rows = [
            row
            for offset, value in enumerate(records[start : start + size], start=start)
            for table, row in rows_of(codec, Origin(UPDATES, 1, offset), value)
            if table == "events_raw"
        ]
        tables.append(arrow("events_raw", rows))
    began = time.perf_counter()
    for number, table in enumerate(tables):
        warehouse.insert("events_raw", table, f"bare-{number}")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--batch", type=int, default=20_000)
    given = parser.parse_args()
    codec = Codec()
    records = list(updates(codec, given.records))
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_embedded(Path(folder) / "warehouse")
        seconds, inside = through_the_sink(warehouse, codec, records, given.batch)
        bound = bare(warehouse, codec, records, given.batch)
        # as merges leave them in the end; small parts would not say what each column takes
        warehouse.command("ALTER TABLE pathline.events_raw MODIFY SETTING min_bytes_for_wide_part = 0")
        warehouse.command("OPTIMIZE TABLE pathline.events_raw FINAL")
        [stored] = warehouse.rows(
            "SELECT sum(rows) AS rows, sum(data_compressed_bytes) AS bytes FROM system.parts"
            " WHERE database = 'pathline' AND table = 'events_raw' AND active"
        )
        columns = warehouse.rows(
            "SELECT name, data_compressed_bytes AS bytes, compression_codec AS codec FROM system.columns"
            " WHERE database = 'pathline' AND table = 'events_raw' ORDER BY bytes DESC"
        )
        warehouse.close()
    print(f"records: {given.records / seconds:>10,.0f}/s  ({inside / seconds:.0%} of the time in ClickHouse)")
    print(f"bare:    {given.records / bound:>10,.0f}/s  (the sink reaches {bound / seconds:.0%} of it)")
    print(f"stored:  {stored['bytes'] / stored['rows']:>10.1f} bytes an event")
    for column in columns:
        if (share := column["bytes"] / stored["rows"]) >= 0.05:
            print(f"  {column['name']:<12}{share:>7.1f}  {column['codec']}")


if __name__ == "__main__":
    main()
