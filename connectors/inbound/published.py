"""The project that the edge goes by: the one that was published last."""

from __future__ import annotations

import structlog
from confluent_kafka import Message

from schemas.codec import BadRecord, Codec
from schemas.definitions import Invalid, parse
from schemas.definitions.model import IdentityRules, Project
from schemas.journey_states import is_state
from schemas.kafka import read_whole
from schemas.records import Definitions
from schemas.topics import DEFINITIONS

log = structlog.get_logger()


def project_in(message: Message, codec: Codec) -> Project | None:
    """The project in a record of `definitions`, None when it holds nothing usable."""
    value = message.value()
    if value is None or is_state(message.key()):
        return None
    try:
        published = codec.decode(Definitions, value)
        return parse(published.files)
    except (BadRecord, Invalid) as error:
        # an older edge meets a newer project: what was in force stays
        log.error("a published project can't be used here", offset=message.offset(), error=str(error))
        return None


def latest_rules(brokers: str, codec: Codec, timeout: float = 30.0) -> IdentityRules | None:
    """The rules in force now, None before a project is published. Raises KafkaException, TimeoutError."""
    newest: list[Message] = []

    def keep(message: Message) -> None:
        if not is_state(message.key()):
            newest[:] = [message]

    read_whole(brokers, DEFINITIONS, keep, timeout)
    project = project_in(newest[0], codec) if newest else None
    return project.identity if project is not None else None
