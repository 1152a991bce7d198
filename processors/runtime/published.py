"""The published projects as the topic `definitions` holds them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import structlog
from confluent_kafka import Message

from schemas import definitions
from schemas.codec import BadRecord, Codec
from schemas.definitions.model import Project
from schemas.kafka import Whole
from schemas.records import Definitions
from schemas.topics import DEFINITIONS

log = structlog.get_logger()

_READ_SECONDS = 30.0


class PublishedDefinitions:
    """Reads the topic whole at the first question and follows it from then on; safe for threads.

    Nothing is connected before the first question, so that an app can be imported without a broker.
    """

    def __init__(self, brokers: str, codec: Codec, topic: str = DEFINITIONS) -> None:
        self._brokers = brokers
        self._name = topic
        self._codec = codec
        self._lock = threading.Lock()
        self._topic: Whole | None = None
        self._published: dict[str, Definitions] = {}
        self._projects: dict[str, Project] = {}
        self._latest: str | None = None

    def project(self, version: str) -> Project:
        """The project published under this version; waits a while for it, as its marker may be faster. Raises
        LookupError, KafkaException."""
        with self._lock:
            deadline = time.monotonic() + _READ_SECONDS
            self._read(0.0)
            while version not in self._published and time.monotonic() < deadline:
                self._read(0.1)
            return self._parsed(version)

    def latest(self) -> Project | None:
        """The project published last, None when there is none yet. Raises KafkaException, TimeoutError."""
        with self._lock:
            self._read(0.0)
            return None if self._latest is None else self._parsed(self._latest)

    def _parsed(self, version: str) -> Project:
        if version not in self._projects:
            if version not in self._published:
                raise LookupError(f"no definitions are published under version {version}")
            self._projects[version] = definitions.parse(self._published[version].files)
        return self._projects[version]

    def _read(self, timeout: float) -> None:
        if self._topic is None:
            topic = Whole(self._brokers, self._name)
            self._take(topic.to_end(_READ_SECONDS))
            self._topic = topic
        self._take(self._topic.new(timeout))

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.value() is None:
                continue
            try:
                published = self._codec.decode(Definitions, message.value())
            except BadRecord as error:
                log.warning("unusable definitions", offset=message.offset(), error=str(error))
                continue
            self._published[published.version] = published
            self._latest = published.version
