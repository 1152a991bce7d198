"""How soon readers of the warehouse see who is who: from the call of the collector that joins two people, or from the
order to keep them apart, until a query counts one person, or two.

    python -m bench.merges [--people 20] [--rate 50]

A whole stack runs; meanwhile others do things at a rate. The query is asked again 10 ms after it was answered. Each
merge and split comes at a moment of its own between two batches of the sink.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from contextlib import closing

from confluent_kafka import Producer
from segment.analytics.client import Client

from bench.latency import marks
from bench.whole_line import line_of
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from schemas.kafka import producer_config
from schemas.records import Assertion, LinkEnvelope
from schemas.registry import codec_for
from schemas.topics import LINKS
from sinks.clickhouse.engine import Warehouse, open_server

PROJECT = {
    "project.yaml": "name: bench\n",
    "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  anonymous_id: {limit: 100}\n",
}


def client_of(stack: Stack) -> Client:
    return Client(stack.line.write_key, host=stack.line.collector, sync_mode=True)


def crowd(stack: Stack, rate: float, over: threading.Event) -> None:
    """Events of other people until it is over."""
    client = client_of(stack)
    while not over.wait(1 / rate):
        client.track(f"other-{random.randrange(500)}", "Product Viewed")


def seen(warehouse: Warehouse, number: int, persons: int, since: float) -> float:
    """Seconds until this pair is so many persons."""
    pair = [f"user_id:user-{number}", f"anonymous_id:device-{number}"]
    sql = "SELECT uniqExact(person_id) AS n FROM pathline.events WHERE hasAny(identifiers, {pair:Array(String)})"
    while warehouse.rows(sql, {"pair": pair})[0]["n"] != persons:
        time.sleep(0.01)
    return time.time() - since


def measure(stack: Stack, people: int) -> tuple[list[float], list[float]]:
    """Seconds that merges and splits took."""
    client, producer = client_of(stack), Producer(producer_config(stack.settings.brokers) | {"linger.ms": 0})
    codec = codec_for(stack.settings)
    merges, splits = list[float](), list[float]()
    with closing(open_server(stack.line.warehouse, prepare=False)) as warehouse:
        for number in range(people):
            client.track(f"user-{number}", "Product Viewed")
            client.track(anonymous_id=f"device-{number}", event="Product Viewed")
            seen(warehouse, number, 2, 0)
            time.sleep(random.random())
            began = time.time()
            client.identify(f"user-{number}", anonymous_id=f"device-{number}")
            merges.append(seen(warehouse, number, 1, began))
            time.sleep(random.random())
            began = time.time()
            apart = Assertion(
                verb="never",
                a=f"user_id:user-{number}",
                b=f"anonymous_id:device-{number}",
                author="bench",
                reason="",
                at=round(began * 1000),
            )
            producer.produce(LINKS, codec.encode(LinkEnvelope(kind="assertion", assertion=apart)), b"links")
            producer.flush(30)
            splits.append(seen(warehouse, number, 2, began))
    return merges, splits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20, help="pairs that are merged and split")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second of others")
    asked = parser.parse_args()
    with line_of(PROJECT) as stack:
        wait_quiet(lambda: stack.line)
        over = threading.Event()
        others = threading.Thread(target=crowd, args=(stack, asked.rate, over), daemon=True)
        others.start()
        merges, splits = measure(stack, asked.people)
        over.set()
        others.join()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for what, took in (("merge", merges), ("split", splits)):
            print(f"{what} seen after ms: {marks(took)}, at most {max(took) * 1000:.0f}", flush=True)


if __name__ == "__main__":
    main()
