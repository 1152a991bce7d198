"""Journeys are paused, drained and resumed, on the whole line."""

from __future__ import annotations

from confluent_kafka import Message

from pathline.announcing import TIMEOUT, Announcer
from schemas.codec import BadRecord, Codec
from schemas.journey_states import RUNNING, is_state, key
from schemas.kafka import read_whole
from schemas.records import Definitions, JourneyState, PersonEnvelope
from schemas.settings import Settings
from schemas.topics import DEFINITIONS


def standings(settings: Settings, codec: Codec) -> dict[str, str]:
    """The states that were told, by journey; one of which nothing was told runs. Raises KafkaException,
    TimeoutError."""
    found: dict[str, str] = {}

    def take(message: Message) -> None:
        value = message.value()
        if value is None or not is_state(message.key()):
            return
        try:
            told = codec.decode(Definitions, value).journey
        except BadRecord:
            return
        if told is not None:
            found[told.journey] = told.state

    read_whole(settings.brokers, DEFINITIONS, take, TIMEOUT)
    return found


def steer(settings: Settings, codec: Codec, journey: str, state: str, author: str) -> bool:
    """Let a journey be in a state from its record in every partition on. False when it is in it already. Raises
    KafkaException, TimeoutError, UserError."""
    announcer = Announcer(settings, codec)
    if standings(settings, codec).get(journey, RUNNING) == state:
        return False
    told = JourneyState(journey=journey, state=state, at=settings.make_clock().now())
    published = Definitions(version="", published_at=told.at, author=author, files={}, journey=told)
    announcer.announce(key(journey), published, PersonEnvelope(kind="journey", person_id="", journey=told))
    return True
