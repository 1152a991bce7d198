"""The identity rules that events are judged by at the edge: those of the project that was published last."""

from __future__ import annotations

import structlog
from confluent_kafka import Message

from schemas.codec import BadRecord, Codec
from schemas.definitions import Invalid, parse
from schemas.definitions.model import IdentityRules
from schemas.kafka import read_whole
from schemas.records import Definitions
from schemas.topics import DEFINITIONS

log = structlog.get_logger()


def rules_in(message: Message, codec: Codec) -> IdentityRules | None:
    """The rules in a record of `definitions`, None when it holds nothing usable."""
    value = message.value()
    if value is None:
        return None
    try:
        published = codec.decode(Definitions, value)
        project = parse(published.files)
    except (BadRecord, Invalid) as error:
        # an older edge meets a newer project: what was in force stays
        log.error("a published project can't be used here", offset=message.offset(), error=str(error))
        return None
    return project.identity


def latest_rules(brokers: str, codec: Codec, timeout: float = 30.0) -> IdentityRules | None:
    """The rules in force now, None before a project is published. Raises KafkaException, TimeoutError."""
    newest: list[Message] = []

    def keep(message: Message) -> None:
        newest[:] = [message]

    read_whole(brokers, DEFINITIONS, keep, timeout)
    return rules_in(newest[0], codec) if newest else None
