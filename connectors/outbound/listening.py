"""What comes in over a channel's own connection, kept in Kafka before the provider hears that it was taken."""

from __future__ import annotations

import asyncio

from confluent_kafka import Producer

from connectors.inbound.collector.publisher import Outgoing, Publisher
from connectors.inbound.segment import Rejected
from connectors.outbound.channel import Listening
from connectors.receipts import Incoming, as_event
from processors.runtime.definitions import DefinitionsSource
from processors.runtime.published import PublishedDefinitions
from schemas import topics
from schemas.clock import Clock, ScaledClock
from schemas.codec import Codec
from schemas.dead_letters import refused_at_edge
from schemas.kafka import producer_config
from schemas.records import Event, Receipt
from schemas.registry import codec_for
from schemas.settings import Settings

LINGER_MS = 2


async def listen(channel: Listening, settings: Settings) -> None:
    """Take what a channel's provider tells, as long as the process runs."""
    codec = codec_for(settings)
    publisher = Publisher(Producer(producer_config(settings.brokers) | {"linger.ms": LINGER_MS}))
    definitions = PublishedDefinitions(settings.brokers, codec)
    try:
        await channel.listen(Listener(publisher, codec, settings.make_clock(), definitions, channel.name).take)
    finally:
        publisher.close()


class NotYet(Exception):
    """No project is published, so addresses can't be judged."""


class Listener:
    """Takes what a channel's provider tells; `take` is what `Listening.listen` wants."""

    def __init__(
        self, publisher: Publisher, codec: Codec, clock: Clock, definitions: DefinitionsSource, channel: str
    ) -> None:
        self._publisher = publisher
        self._codec = codec
        self._clock = clock
        self._definitions = definitions
        self._channel = channel
        self._source = f"dispatch:{channel}"

    async def take(self, incoming: Incoming) -> None:
        """Returns when Kafka has acknowledged it, as an event or as a dead letter. Raises NotYet, Busy and
        NotAcknowledged."""
        # it reads the topic, and waits for that
        project = await asyncio.to_thread(self._definitions.latest)
        if project is None:
            raise NotYet("no project is published yet (pathline apply)")
        now, scaled = self._clock.now(), isinstance(self._clock, ScaledClock)
        try:
            event = as_event(incoming, project, self._channel, self._source, now, scaled)
        except Rejected as error:
            headers = refused_at_edge(f"dispatch-{self._channel}", self._source, error, now)
            record = Outgoing(topics.DEAD_LETTERS, None, repr(incoming).encode(), headers)
        else:
            record = self._record(incoming, event)
        await self._publisher.publish([record])

    def _record(self, incoming: Incoming, event: Event) -> Outgoing:
        value = self._codec.encode(event)
        if incoming.send_id or not incoming.provider_id:
            return Outgoing(topics.EVENTS, event.identifiers[0].encode(), value)
        told = Receipt(kind="receipt", provider_id=incoming.provider_id, at=event.received_at, event=value)
        return Outgoing(topics.receipts(self._channel), incoming.provider_id.encode(), self._codec.encode(told))
