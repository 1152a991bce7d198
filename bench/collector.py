"""Events per second and answer times of the collector, from HTTP to Kafka's acknowledgement.

    python -m bench.collector [--seconds 10]

One collector process in front of a real Kafka; the client runs in this process and shares the machine with both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import orjson
from confluent_kafka import Producer

from pathline.local import ports
from pathline.local.kafka import KafkaBroker
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.kafka import apply_topics, producer_config
from schemas.records import Definitions
from schemas.settings import Settings

#: connections at a time, and messages in a batch
CLIENTS, BATCH = 8, 100


def message(number: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": "Product Viewed",
        "userId": f"user-{number % 10_000}",
        "anonymousId": f"device-{number % 20_000}",
        "messageId": f"bench-{number}",
        "timestamp": "2024-01-01T00:00:00.000Z",
        "properties": {"product_id": str(number % 1_000), "price": 12.5, "category": "shoes"},
        "context": {"channel": "web", "page": {"url": "https://shop.example/shoes"}},
    }


async def measure(url: str, call: str, size: int, seconds: float) -> tuple[float, list[float]]:
    """(events per second, answer times in milliseconds)."""
    took: list[float] = []
    ends = time.monotonic() + seconds
    numbers = iter(range(10**9))

    async def client(http: httpx.AsyncClient) -> None:
        while time.monotonic() < ends:
            messages = [message(next(numbers)) for _ in range(size)]
            body = orjson.dumps({"batch": messages} if call == "batch" else messages[0])
            began = time.monotonic()
            answer = await http.post(f"{url}/v1/{call}", content=body)
            took.append((time.monotonic() - began) * 1000)
            assert answer.json()["accepted"] == size, answer.text

    began = time.monotonic()
    async with httpx.AsyncClient(auth=("key", ""), timeout=30) as http:
        await asyncio.gather(*(client(http) for _ in range(CLIENTS)))
    return len(took) * size / (time.monotonic() - began), took


def publish(brokers: str) -> None:
    """The smallest project there is."""
    project = parse({"project.yaml": "name: bench\n"})
    record = Definitions(version=project.version, published_at=1, files=dict(project.files))
    producer = Producer(producer_config(brokers))
    producer.produce(topics.DEFINITIONS, key=project.version, value=Codec().encode(record))
    producer.flush(10)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=10)
    seconds = arguments.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        broker = KafkaBroker(Path(folder) / "kafka")
        settings = Settings(home=Path(folder), brokers=broker.start())
        apply_topics(settings, ["email"])
        publish(settings.brokers)
        port = ports.free()
        given = {"PATHLINE_HOME": folder, "PATHLINE_BROKERS": settings.brokers, "PATHLINE_WRITE_KEYS": "key"}
        collector = subprocess.Popen(
            [sys.executable, "-m", "pathline", "collect", "--port", str(port)], env=os.environ | given
        )
        url = f"http://127.0.0.1:{port}"
        try:
            while not ready(url):
                time.sleep(0.1)
            for call, size in (("track", 1), ("batch", BATCH)):
                rate, took = asyncio.run(measure(url, call, size, seconds))
                slowest = statistics.quantiles(took, n=100)
                print(
                    f"{call:<6} of {size:>3}: {rate:>8,.0f} events/s, answer p50 {slowest[49]:.1f} ms, "
                    f"p99 {slowest[98]:.1f} ms"
                )
        finally:
            collector.send_signal(signal.SIGTERM)
            collector.wait(20)
            broker.stop()


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
