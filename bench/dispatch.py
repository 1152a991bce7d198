"""Dispatch of each channel: messages a second to a server on loopback that takes everything at once.

    python -m bench.dispatch [--messages 3000] [--channels email,sms,telegram,web_push,webhook,call]

Through dispatch: one worker on a real Kafka, two partitions, from the first `accepted` in the ledger to the last; each
message takes two transactions. The bound beside it are the same calls without a line: the channel's own code, as many
at a time, in one process. What a provider allows (30/s of Telegram) is set aside for both.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import orjson
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.outbound.registry import make, usual
from pathline.commands.apply import publish
from pathline.local.kafka import KafkaBroker
from processors.runtime.calls import AT_ONCE
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.kafka import apply_topics, consumer_config, high_watermarks, producer_config
from schemas.records import LedgerEntry, SendCommand
from schemas.settings import Settings

CHANNELS = "email,sms,telegram,web_push,webhook,call"
_CODEC = Codec()
_SECRET = "whsec_" + base64.b64encode(b"a bench's secret of 24 b").decode()
_PATIENCE_SECONDS = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=3_000)
    parser.add_argument("--channels", default=CHANNELS)
    asked = parser.parse_args()
    channels = asked.channels.split(",")
    providers = subprocess.Popen([sys.executable, "-m", "bench.jobs.providers"], stdout=subprocess.PIPE, text=True)
    assert providers.stdout is not None
    ports = json.loads(providers.stdout.readline())
    os.environ.update(_settings(ports))
    try:
        with tempfile.TemporaryDirectory() as folder:
            broker = KafkaBroker(Path(folder) / "kafka")
            settings = Settings(home=Path(folder), brokers=broker.start())
            try:
                version = _prepare(settings, channels)
                print(f"{'channel':<10} {'dispatch/s':>10} {'bare/s':>8} {'share':>6}   busy")
                for channel in channels:
                    commands = [_command(channel, number, ports, version) for number in range(asked.messages)]
                    psutil.cpu_percent(None)
                    through = _through(settings, channel, commands)
                    busy = psutil.cpu_percent(None)
                    bare = asyncio.run(_bare(settings, channel, commands))
                    print(f"{channel:<10} {through:>10,.0f} {bare:>8,.0f} {through / bare:>6.0%}   {busy:.0f} %")
            finally:
                broker.stop()
    finally:
        providers.kill()
        providers.wait()


def _settings(ports: dict[str, int]) -> dict[str, str]:
    http = f"http://127.0.0.1:{ports['http']}"
    return {
        "PATHLINE_SMTP": f"smtp://127.0.0.1:{ports['smtp']}",
        "PATHLINE_SMPP_URL": f"smpp://bench@127.0.0.1:{ports['smpp']}",
        "PATHLINE_SMPP_WINDOW": str(AT_ONCE),
        "PATHLINE_TELEGRAM_TOKEN": "1:bench",
        "PATHLINE_TELEGRAM_API": http,
        "PATHLINE_WEBPUSH_SUBJECT": "mailto:bench@shop.example",
        "PATHLINE_WEBPUSH_SERVICES": "127.0.0.1",
        "PATHLINE_WEBHOOK_URL": http,
        "PATHLINE_WEBHOOK_SECRET": _SECRET,
        "PATHLINE_TASK_URL": http,
        "PATHLINE_TASK_SECRET": _SECRET,
    }


def _prepare(settings: Settings, channels: list[str]) -> str:
    """Topics and a project without limits of its own; its version."""
    written = "".join(f"{name}: {{connector: {usual(name)}, rate: 100000000/s, consent: none}}\n" for name in channels)
    apply_topics(settings, channels)
    project = parse({"project.yaml": "name: bench\n", "channels.yaml": written})
    publish(settings, project)
    return project.version


def _command(channel: str, number: int, ports: dict[str, int], version: str) -> SendCommand:
    to = {
        "email": f"person-{number}@example.com",
        # numbers that end in 0001 to 0003 are special to this message centre
        "sms": f"+3805{number:07d}5",
        "call": f"+3805{number:07d}5",
        "telegram": str(1_000_000 + number),
        "web_push": _subscription(ports["http"], number),
    }.get(channel, f"u{number}")
    return SendCommand(
        send_id=str(uuid5(NAMESPACE_URL, f"{channel}:{number}")),
        person_id=str(number),
        journey="bench",
        version=version,
        instance_id=str(number),
        step="1",
        channel=channel,
        category="marketing",
        template="hello",
        to=to,
        identifier=f"x:{number}",
        at=time.time_ns() // 1_000_000,
        content=orjson.dumps({"subject": "Hello", "text": "Your order is ready", "html": "<p>Your order is ready</p>"}),
    )


_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
_POINT = _KEY.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _subscription(port: int, number: int) -> str:
    keys = {"p256dh": base64.urlsafe_b64encode(_POINT).decode(), "auth": base64.urlsafe_b64encode(bytes(16)).decode()}
    return orjson.dumps({"endpoint": f"http://127.0.0.1:{port}/sub/{number}", "keys": keys}).decode()


def _through(settings: Settings, channel: str, commands: list[SendCommand]) -> float:
    """Messages a second through one worker."""
    producer = Producer(producer_config(settings.brokers))
    for command in commands:
        producer.produce(topics.outbound(channel), key=command.person_id, value=_CODEC.encode(command))
    producer.flush(30)
    environment = os.environ | {"PATHLINE_HOME": str(settings.home), "PATHLINE_BROKERS": settings.brokers}
    worker = subprocess.Popen(
        [sys.executable, "-m", "pathline", "dispatch", channel], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        at = _accepted(settings, channel, len(commands))
    finally:
        worker.terminate()
        worker.wait()
    return len(at) / ((max(at) - min(at)) / 1000)


def _accepted(settings: Settings, channel: str, count: int) -> list[int]:
    """When each message was accepted, by Kafka's clock in milliseconds."""
    ledger = topics.ledger(channel)
    consumer = Consumer(consumer_config(settings.brokers, "bench"))
    consumer.assign([TopicPartition(ledger, partition, 0) for partition in range(settings.partitions)])
    at: list[int] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(at) < count:
        if time.monotonic() > deadline:
            ends = high_watermarks(settings.brokers, [(ledger, n) for n in range(settings.partitions)])
            raise TimeoutError(f"{len(at)} of {count} accepted; the ledger is at {ends}")
        for message in consumer.consume(1_000, 0.5):
            value = message.value()
            if value is not None and _CODEC.decode(LedgerEntry, value).state == "accepted":
                at.append(message.timestamp()[1])
    consumer.close()
    return at


async def _bare(settings: Settings, channel: str, commands: list[SendCommand]) -> float:
    """Messages a second without a line: the same calls, as many at a time."""
    made = make(usual(channel), settings, channel)
    waiting = iter(commands)

    async def work() -> None:
        for command in waiting:
            outcome = await made.hand_over(command)
            assert outcome.kind == "accepted", outcome

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return len(commands) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
