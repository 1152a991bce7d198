"""The whole line on this machine: events a second, and the time from an event to its e-mail at the SMTP server.

    python -m bench.line [--events 30000] [--mails 300] [--rate 20]

Throughput: history is loaded through Kafka, identity, segments, journeys and sink; the clock stops when the last row is
in ClickHouse. The bound beside it is the sum of the processor time of all processes: on as many cores as are busy the
line can't be faster. Latency: single events at a low rate, from just before the POST until the mail is on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import urllib.request
from base64 import b64encode
from email.parser import BytesHeaderParser
from pathlib import Path

from bench.whole_line import cpu, line_of
from connectors.inbound.files import open_source
from connectors.inbound.files.replay import load_into_line
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from sinks.clickhouse.engine import open_server

PROJECT = {
    "project.yaml": "name: bench\n",
    "channels.yaml": "email: {cost: 0, connector: smtp, consent: opt_in}\n",
    "segments/buyers.yaml": "name: buyers\nwhen: {did: Order Completed, count: {at_least: 3}, within: 30d}\n",
    "journeys/receipt.yaml": (
        "name: receipt\nenter: {event: Ping}\ncategory: transactional\n"
        "steps: [{send: {template: hello, channels: [email]}}]\n"
    ),
    "templates/hello.yaml": "subject: Hi\nbody: Hello {{ entry.properties.number }}\n",
}
USERS = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--mails", type=int, default=300)
    parser.add_argument("--rate", type=float, default=20.0, help="events a second while latency is measured")
    asked = parser.parse_args()
    with line_of(PROJECT) as stack:
        post(stack, 0)
        wait_quiet(lambda: stack.line)
        latency(stack, asked.mails, asked.rate)
        throughput(stack, asked.events)


def latency(stack: Stack, mails: int, rate: float) -> None:
    """One event a tick, each of another person."""
    posted = {}
    began = time.time()
    for number in range(1, mails + 1):
        time.sleep(max(0.0, began + number / rate - time.time()))
        posted[number] = time.time()
        post(stack, number)
    wait_quiet(lambda: stack.line)
    arrived = {}
    for path in (Path(stack.line.home) / "mailbox").glob("*.eml"):
        to = BytesHeaderParser().parsebytes(path.read_bytes())["To"]
        arrived[int(to.removeprefix("person-").partition("@")[0])] = path.stat().st_mtime
    took = sorted((arrived[number] - at) * 1000 for number, at in posted.items())
    show = {50: took[len(took) // 2], 90: took[int(len(took) * 0.9)], 99: took[int(len(took) * 0.99)]}
    told = ", ".join(f"p{share} {milliseconds:.0f} ms" for share, milliseconds in show.items())
    print(f"event to e-mail at {rate:.0f}/s, {mails} events: {told}, mean {statistics.mean(took):.0f} ms")


def throughput(stack: Stack, events: int) -> None:
    """History through the line; processor time by process."""
    recorded = stack.settings.home / "events.jsonl"
    with recorded.open("w", encoding="utf-8") as out:
        for number in range(events):
            out.write(
                json.dumps(
                    {
                        "type": "track",
                        "event": "Order Completed" if number % 5 == 0 else "Product Viewed",
                        "messageId": f"m{number}",
                        "userId": f"user-{number % USERS}",
                        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - events + number)),
                        "properties": {"total": number % 90, "product_id": str(number % 500)},
                        "context": {"channel": "web"},
                    }
                )
                + "\n"
            )
    before = {process.name: cpu(process.pid) for process in stack.line.processes}
    own, began = time.process_time(), time.monotonic()
    load_into_line(stack.settings, open_source(str(recorded)), lambda progress: None)
    loaded = time.monotonic() - began
    warehouse = open_server(stack.line.warehouse, prepare=False)
    count = "SELECT count() AS n FROM pathline.events_raw WHERE startsWith(message_id, 'm')"
    while warehouse.rows(count)[0]["n"] < events:
        time.sleep(0.2)
    took = time.monotonic() - began
    used = {process.name: cpu(process.pid) - before[process.name] for process in stack.line.processes}
    used["load"] = time.process_time() - own
    total = sum(used.values())
    print(f"{events:,} events: {events / took:,.0f}/s until the last row is in ClickHouse ({loaded:.1f} s to load)")
    print(f"bound by processor time: {events / total * os.cpu_count():,.0f}/s on {os.cpu_count()} cores")
    for name, seconds in sorted(used.items(), key=lambda item: -item[1]):
        print(f"  {name:<30} {seconds / events * 1e6:7.0f} us an event")


def post(stack: Stack, number: int) -> None:
    key = b64encode(f"{stack.line.write_key}:".encode()).decode()
    body = {
        "userId": f"person-{number}",
        "event": "Ping",
        "properties": {"number": number},
        "context": {"channel": "web", "traits": {"email": f"person-{number}@example.com"}},
    }
    request = urllib.request.Request(
        f"{stack.line.collector}/v1/track",
        json.dumps(body).encode(),
        {"Authorization": f"Basic {key}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()


if __name__ == "__main__":
    main()
