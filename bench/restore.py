"""How long a worker without its disk takes to come back: the state of a million keys from the changelog.

    python -m bench.restore [--keys 1000000] [--quick]

Measured from outside: from the start of the process until it says that it is ready, once with its state on disk and
once without; the difference is the restore. Beside it the bound: a bare loop that reads the same changelog and does
nothing.
"""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request

import psutil
from confluent_kafka import Consumer, TopicPartition

from bench.counting import create, fill, rate
from bench.ground import Ground, ground, options
from bench.systems import PATHLINE, Job
from pathline.local import ports
from schemas.kafka import consumer_config, high_watermarks
from schemas.topics import changelog

_LONGEST_SECONDS = 300.0


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    asked = parser.parse_args()
    keys = 100_000 if asked.quick else asked.keys
    with ground(asked) as at:
        job = at.job("restored", "events")
        create(at.brokers, at.partitions, job.into)
        fill(at.brokers, job.into, keys, each_once=True)
        PATHLINE.topics(job)
        with PATHLINE.worker(job) as pid:
            rate(at.brokers, job.out, at.partitions, keys, _LONGEST_SECONDS, pid)
        with at.quiet():
            warm, _ = _until_ready(job)
            shutil.rmtree(job.home / "state")
            cold, memory = _until_ready(job)
            bound = _read(at, changelog(job.app))
        took = cold - warm
        print(f"ready with its state on disk after {warm:.1f} s, without it after {cold:.1f} s")
        print(f"restore of {keys:,} keys: {took:.1f} s, {keys / took:,.0f} records/s, {memory / 2**20:.0f} MB")
        print(f"bare read of the same changelog: {bound:.1f} s, {keys / bound:,.0f} records/s")


def _until_ready(job: Job) -> tuple[float, int]:
    """Seconds from start to readiness, and the memory of the process then."""
    port, started = ports.free(), time.perf_counter()
    with PATHLINE.worker(job, PATHLINE_WEB_PORT=str(port)) as pid:
        while not _ready(port):
            if time.perf_counter() - started > _LONGEST_SECONDS:
                raise TimeoutError("the worker does not get ready")
            time.sleep(0.02)
        return time.perf_counter() - started, psutil.Process(pid).memory_info().rss


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _read(at: Ground, topic: str) -> float:
    """Seconds to read a topic to its end."""
    ends = high_watermarks(at.brokers, [(topic, number) for number in range(at.partitions)])
    consumer = Consumer(
        consumer_config(at.brokers, "bare-read") | {"queued.min.messages": 100_000, "enable.partition.eof": True}
    )
    started, open_ends = time.perf_counter(), len(ends)
    consumer.assign([TopicPartition(topic, number, 0) for _, number in ends])
    while open_ends:
        open_ends -= sum(message.error() is not None for message in consumer.consume(10_000, 0.05))
    took = time.perf_counter() - started
    consumer.close()
    return took


if __name__ == "__main__":
    main()
