"""Profiles over HTTP, on this machine: how long a read takes, and how long after its acceptance an event shows in one.

    python -m bench.profiles [--rates 50 500] [--seconds 15] [--reads 100] [--records 200000]

A whole stack runs. Events of people known to it come at a steady rate; a process of its own reads random ones of them
at a steady rate over four connections. The bound beside it is a call that answers nothing (`/health`), of the same
process at the same time. Freshness: an identify through the collector, from its answer until a read shows the new
trait, looked for every 5 ms. Then a new store reads all of so many events from the beginning: how fast, how large.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench.latency import PEOPLE_COUNT, PROJECT, Line
from bench.whole_line import cpu, line_of
from pathline.local.quiet import samples, wait_quiet
from pathline.local.stack import Stack
from schemas.condition import RUNNING, Condition
from schemas.kafka import producer_config
from schemas.registry import codec_for
from schemas.settings import Settings
from sinks.profiles.following import Follower
from sinks.profiles.outbox import Outbox
from sinks.profiles.store import Store

CONNECTIONS = 4
LOOK_SECONDS = 0.005
PROBE_SECONDS = 0.2


class Client:
    """One connection. A client that takes more processor time would be what is measured."""

    def __init__(self, url: str, authorization: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> dict[str, Any]:
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        told: dict[str, Any] = json.loads(answer.read())
        assert answer.status == HTTPStatus.OK, told
        return told


def read(url: str, key: str, rate: float, seconds: float, told: Any) -> None:
    """Read at a steady rate, in a process of its own; puts the answer times in milliseconds."""
    took: dict[str, list[float]] = {"person": [], "nothing": []}
    ticks, began = iter(range(int(rate * seconds))), time.monotonic()

    def reader() -> None:
        client = Client(url, f"Bearer {key}")
        for tick in ticks:
            time.sleep(max(0.0, began + tick / rate - time.monotonic()))
            kind = "nothing" if tick % 4 == 0 else "person"
            path = "/health" if kind == "nothing" else f"/v1/people/user_id:user-{random.randrange(PEOPLE_COUNT)}"
            asked = time.monotonic()
            client.get(path)
            took[kind].append((time.monotonic() - asked) * 1000)

    threads = [threading.Thread(target=reader) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(took)


def fresh(stack: Stack, seconds: float) -> list[float]:
    """Milliseconds from the collector's answer until a read shows what was sent."""
    line, took, ends = stack.line, list[float](), time.monotonic() + seconds
    write_key = b64encode(f"{line.write_key}:".encode()).decode()
    collector, profiles = (
        Client(line.collector, f"Basic {write_key}"),
        Client(line.profiles, f"Bearer {line.profiles_key}"),
    )
    while time.monotonic() < ends:
        user, number = f"user-{random.randrange(PEOPLE_COUNT)}", len(took)
        collector.post("/v1/identify", {"userId": user, "traits": {"probe": number}})
        accepted = time.monotonic()
        path = f"/v1/people/user_id:{user}?fields=traits.probe"
        while profiles.get(path)["traits"].get("probe") != number:
            time.sleep(LOOK_SECONDS)
        took.append((time.monotonic() - accepted) * 1000)
        time.sleep(PROBE_SECONDS)
    return took


def inside(stack: Stack) -> dict[str, float]:
    """Answers so far by the time they took inside the process: how many within so many seconds."""
    process = next(process for process in stack.line.processes if process.name == "profiles")
    name = "pathline_profiles_answer_seconds_bucket"
    return {s.labels["le"]: s.value for s in samples(process) if s.name == name and s.labels["call"] == "person"}


def marks(took: list[float]) -> str:
    ordered = sorted(took)
    return ", ".join(f"p{share} {ordered[int(len(ordered) * share / 100)]:.1f}" for share in (50, 90, 99))


def measure(line: Line, rate: float, seconds: float, reads: float) -> None:
    """One rate of events for some seconds."""
    stack = line.stack
    told: Any = multiprocessing.get_context("spawn").Queue()
    arguments = (stack.line.profiles, stack.line.profiles_key, reads, seconds, told)
    reader = multiprocessing.get_context("spawn").Process(target=read, args=arguments)
    answered = inside(stack)
    before, began = {process.name: cpu(process.pid) for process in stack.line.processes}, time.monotonic()
    reader.start()
    events = threading.Thread(target=line.run, args=(rate, seconds, 10)) if rate else None
    if events is not None:
        events.start()
    probed = fresh(stack, seconds)
    took = told.get(timeout=seconds + 60)
    reader.join()
    if events is not None:
        events.join()
    span = time.monotonic() - began
    used = {process.name: (cpu(process.pid) - before[process.name]) / span for process in stack.line.processes}
    print(f"{rate:6.0f} events/s  read ms: {marks(took['person'])};  nothing ms: {marks(took['nothing'])}")
    print(f"{'':17} accepted -> visible ms: {marks(probed)} ({len(probed)} probes)")
    within = {le: count - answered.get(le, 0) for le, count in inside(stack).items()}
    shares = (f"{within[le] / within['+Inf']:.1%} within {float(le) * 1000:.0f}" for le in ("0.002", "0.01", "0.05"))
    print(f"{'':17} inside the process, ms: {', '.join(shares)}")
    print(f"{'':17} of a core: {sum(used.values()):.0%} in all, profiles {used['profiles']:.0%}", flush=True)


class NoInboxes:
    """The project has none."""

    def inboxes(self) -> dict[str, int]:
        return {}


@contextmanager
def following(settings: Settings, folder: Path) -> Iterator[tuple[Store, Condition]]:
    """A new store that follows the line in this process."""
    store, stopping, codec = Store(folder / "people"), threading.Event(), codec_for(settings)
    outbox = Outbox(folder / "outbox", Producer(producer_config(settings.brokers)))
    condition = Condition("profiles", "", RUNNING.__eq__)
    thread = threading.Thread(target=Follower(settings, store, outbox, codec, condition, NoInboxes(), stopping).run)
    thread.start()
    try:
        yield store, condition
    finally:
        stopping.set()
        thread.join()
        outbox.close()
        store.close()


def rebuild(line: Line, records: int) -> None:
    """Read everything from the beginning."""
    for number in range(records):
        line.publish(number % (records // 5), "Product Viewed")
        if number % 10_000 == 0:
            line.flush()
    line.flush()
    wait_quiet(lambda: line.stack.line)
    folder = line.stack.settings.home / "another"
    began, used = time.monotonic(), time.process_time()
    with following(line.stack.settings, folder) as (store, condition):
        while not condition.ready:
            time.sleep(0.05)
        took, used = time.monotonic() - began, time.process_time() - used
        read_in_all = sum(position.offset for position in store.positions().values())
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    people = records // 5 + PEOPLE_COUNT
    print(
        f"a new store: {read_in_all:,} offsets in {took:.1f} s, {read_in_all / took:,.0f}/s ({used:.1f} s of processor)"
    )
    print(f"  {size / people:,.0f} bytes of disk a person, with {records / people:.0f} events each", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[0, 50, 500], help="events a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each measurement")
    parser.add_argument("--reads", type=float, default=100, help="reads a second, a quarter of them of nothing")
    parser.add_argument("--records", type=int, default=200_000, help="events that a new store reads")
    asked = parser.parse_args()
    with line_of(PROJECT, 1) as stack:
        line = Line(stack)
        for person in range(PEOPLE_COUNT):
            line.publish(person, "Product Viewed")
        line.flush()
        wait_quiet(lambda: stack.line)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
        for rate in asked.rates:
            measure(line, rate, asked.seconds, asked.reads)
            wait_quiet(lambda: stack.line)
        rebuild(line, asked.records)


if __name__ == "__main__":
    main()
