"""The identity rules in force at the edge: those of the project that was published last."""

from __future__ import annotations

import threading

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from schemas.codec import BadRecord, Codec
from schemas.definitions import Invalid, parse
from schemas.definitions.model import IdentityRules
from schemas.records import Definitions
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

log = structlog.get_logger()


class PublishedRules:
    """Follows the topic `definitions` in a thread; `current()` is None until a project was read."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._codec = codec
        self._rules: IdentityRules | None = None
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.brokers,
                "group.id": "collector-definitions",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "topic.metadata.refresh.interval.ms": 5_000,
            }
        )
        self._consumer.assign([TopicPartition(DEFINITIONS, 0, OFFSET_BEGINNING)])
        self._thread = threading.Thread(target=self._follow, name="definitions", daemon=True)
        self._thread.start()

    def current(self) -> IdentityRules | None:
        return self._rules

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._consumer.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._ALL_BROKERS_DOWN:
                    log.warning("definitions can't be read", error=str(error))
                continue
            value = message.value()
            if value is not None:
                self._take(value)

    def _take(self, value: bytes) -> None:
        try:
            published = self._codec.decode(Definitions, value)
            project = parse(published.files)
        except (BadRecord, Invalid) as error:
            # an older collector meets a newer project: what was in force stays
            log.error("a published project can't be used here", error=str(error))
            return
        self._rules = project.identity
        log.info("definitions in force", version=published.version)
