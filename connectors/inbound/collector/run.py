"""The process `pathline collect`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
import uvicorn
from confluent_kafka import KafkaException
from fastapi import FastAPI

from connectors.inbound.collector.app import Parts, make_app
from connectors.inbound.collector.intake import Intake
from connectors.inbound.collector.publisher import Publisher, edge_producer
from connectors.inbound.collector.rules import PublishedProject
from connectors.vapid import WebPushSettings, key_of, public_key
from schemas.definitions.model import IdentityRules, Project
from schemas.kafka import cause_of
from schemas.registry import codec_for
from schemas.secret import secret_of
from schemas.settings import Settings
from schemas.topics import EVENTS

log = structlog.get_logger()

#: who asks whether it is ready waits no longer than a second for the answer
ANSWER_SECONDS = 0.7


def run(
    settings: Settings,
    port: int,
    write_keys: Sequence[str],
    rules: IdentityRules | None = None,
    host: str = "127.0.0.1",
) -> None:
    """Serve until SIGTERM or SIGINT; port 0 takes a free one.

    `rules` fixes the identity rules; without, they are those of the project in the topic `definitions` and follow it.
    """
    codec = codec_for(settings)
    producer = edge_producer(settings.brokers)
    publisher = Publisher(producer)
    published = None if rules is not None else PublishedProject(settings.brokers, codec)
    current: Callable[[], IdentityRules | None] = (lambda: rules) if published is None else published.current

    async def ready() -> str | None:
        try:
            topic = (await asyncio.to_thread(producer.list_topics, EVENTS, ANSWER_SECONDS)).topics[EVENTS]
        except KafkaException as error:
            return f"Kafka at {settings.brokers} does not answer: {cause_of(error).str()}"
        return None if topic.error is None else f"topic {EVENTS}: {topic.error}"

    def webpush_key() -> str:
        return public_key(key_of(WebPushSettings(), settings.home))

    intake = Intake(publisher, codec, settings.make_clock())
    project: Callable[[], Project | None] = (lambda: None) if published is None else published.project
    secret = secret_of(settings)
    parts = Parts(intake, write_keys, current, ready, secret, webpush_key, project, settings.public_url)
    app = make_app(parts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(publisher.close)
        if published is not None:
            await asyncio.to_thread(published.close)

    app.router.lifespan_context = lifespan
    server = uvicorn.Server(uvicorn.Config(app, host, port, log_level="warning", access_log=False))
    log.info("collector", host=host, port=port, brokers=settings.brokers)
    server.run()
