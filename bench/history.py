"""Events a second from files into the embedded warehouse, against a bare insert of the same rows.

    python -m bench.history [--events 300000] [--people 30000]

Each format is loaded as `pathline load FILE --into warehouse` does it: read, made events of, given to their persons by
the line's own identity steps, written. `bare` inserts the same rows as ready Arrow tables. `CPU us` and `bare us` are
microseconds of processor an event, of all processes; on a busy machine they say more than the rates. Memory is what the
process has at the end more than before the load; `identity` is that of the people alone, found by loading one event of
each.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

import pathline.cli  # noqa: F401  the collector of garbage as the command sets it
from connectors.inbound.files import open_source, read_mapping
from pathline.history.load import load_into_warehouse
from schemas.definitions import load
from schemas.settings import Settings
from sinks.clickhouse.connect import folder
from sinks.clickhouse.engine import open_embedded
from sinks.clickhouse.tables import COLUMNS

T0 = 1_767_225_600
MAPPING = """
columns:
  id: messageId
  customer: userId
  cookie: anonymousId
  mail: context.traits.email
  at: timestamp
  event: event
  order: properties.order_id
  total: properties.total
constants: {context.channel: web}
"""
FORMATS = ("jsonl", "csv", "parquet")


def rows(number: int, people: int) -> Iterator[dict[str, Any]]:
    """Events of people in random order over 30 days, each with three identifiers."""
    for n in range(number):
        who = n * 7919 % people
        yield {
            "id": f"message-{n}",
            "customer": f"customer-{who}",
            "cookie": f"cookie-{who}",
            "mail": f"customer-{who}@example.com",
            "at": datetime.fromtimestamp(T0 + n * 2_592_000 / number, UTC).isoformat(timespec="milliseconds"),
            "event": ("Product Viewed", "Product Added", "Order Completed")[n % 3],
            "order": f"o-{n}",
            "total": n % 997 / 7,
        }


def write(path: Path, number: int, people: int) -> None:
    made = rows(number, people)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(made)), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["id", "customer", "cookie", "mail", "at", "event", "order", "total"])
            table.writeheader()
            table.writerows(made)
    else:
        with path.open("wb") as file:
            for row in made:
                message = {
                    "type": "track",
                    "event": row["event"],
                    "messageId": row["id"],
                    "userId": row["customer"],
                    "anonymousId": row["cookie"],
                    "timestamp": row["at"],
                    "properties": {"order_id": row["order"], "total": row["total"]},
                    "context": {"channel": "web", "traits": {"email": row["mail"]}},
                }
                file.write(orjson.dumps(message) + b"\n")


def measured(path: Path) -> dict[str, float]:
    """In a process of its own: one embedded engine a process."""
    done = subprocess.run([sys.executable, "-m", "bench.history", "--one", str(path)], capture_output=True, check=True)
    return dict(orjson.loads(done.stdout))


def worked() -> float:
    """Seconds of processor that this process and its ended children took."""
    return sum(os.times()[:4])


def one(path: Path) -> dict[str, float]:
    """Seconds and memory of loading a file, and seconds of the bare insert of what it left."""
    home = path.parent / f"home-{path.name}"
    settings = Settings(home=home)
    mapping = None
    if path.suffix != ".jsonl":
        (path.parent / "mapping.yaml").write_text(MAPPING)
        mapping = read_mapping(path.parent / "mapping.yaml")
    project = load(Path("definitions"))
    open_embedded(folder(home)).close()
    process = psutil.Process()
    memory, cpu, began = process.memory_info().rss, worked(), time.perf_counter()
    outcome = load_into_warehouse(settings, project, open_source(str(path), mapping), lambda _: None)
    seconds, cpu = time.perf_counter() - began, worked() - cpu
    memory = process.memory_info().rss - memory
    warehouse = open_embedded(folder(home))
    columns = ", ".join(
        f"toFixedString(UUIDStringToNum(toString({name})), 16) AS {name}" if type == pa.binary(16) else name
        for name, type in COLUMNS["events_raw"].items()
    )
    table = warehouse.arrow(f"SELECT {columns} FROM pathline.events_raw ORDER BY offset")
    ready = pa.Table.from_batches(table.to_batches()).cast(pa.schema(list(COLUMNS["events_raw"].items())))
    warehouse.command("TRUNCATE TABLE pathline.events_raw")
    bare, cpu_bare = time.perf_counter(), time.process_time()
    for start in range(0, ready.num_rows, 50_000):
        warehouse.insert("events_raw", ready.slice(start, 50_000), f"bare-{start}")
    bare, cpu_bare = time.perf_counter() - bare, time.process_time() - cpu_bare
    warehouse.close()
    return {
        "events": outcome.accepted,
        "seconds": seconds,
        "cpu": cpu,
        "bare": bare,
        "cpu_bare": cpu_bare,
        "memory": memory / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--people", type=int, default=30_000)
    parser.add_argument("--one", type=Path)
    given = parser.parse_args()
    if given.one:
        sys.stdout.buffer.write(orjson.dumps(one(given.one)))
        return
    print(f"{'':8} {'events/s':>10} {'bare/s':>10} {'ratio':>6} {'CPU us':>7} {'bare us':>8} {'memory MB':>10}")
    with tempfile.TemporaryDirectory() as name:
        for events, format in [(given.people, "jsonl"), *((given.events, format) for format in FORMATS)]:
            path = Path(name) / f"{events}.{format}"
            write(path, events, given.people)
            found = measured(path)
            rate, bound = found["events"] / found["seconds"], found["events"] / found["bare"]
            told = "identity" if events == given.people else format
            print(
                f"{told:8} {rate:10,.0f} {bound:10,.0f} {rate / bound:6.0%} {found['cpu'] / found['events'] * 1e6:7.1f}"
                f" {found['cpu_bare'] / found['events'] * 1e6:8.1f} {found['memory']:10,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
