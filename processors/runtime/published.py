"""The published projects as the topic `definitions` holds them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog
from confluent_kafka import Message

from schemas import definitions
from schemas.codec import BadRecord, Codec
from schemas.definitions.model import Project
from schemas.journey_states import is_state
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
        #: by version, the one published last being the last
        self._published: dict[str, Definitions] = {}
        #: those that were asked for; None for what can't be used here
        self._projects: dict[str, Project | None] = {}

    def project(self, version: str) -> Project:
        """The project published under this version. Raises LookupError when there is none, or none that can be used
        here; KafkaException, TimeoutError."""
        with self._lock:
            topic = self._read()
            if version not in self._published:
                # its marker may be faster, but was written after it: what is not there up to the end does not exist
                self._take(topic.to_end(_READ_SECONDS))
            found = self._parsed(version) if version in self._published else None
            if found is None:
                raise LookupError(f"no definitions are published under version {version}")
            return found

    def latest(self) -> Project | None:
        """The project published last that can be used here, None when there is none yet. Raises KafkaException,
        TimeoutError."""
        with self._lock:
            self._read()
            return next(filter(None, map(self._parsed, reversed(self._published))), None)

    def _parsed(self, version: str) -> Project | None:
        if version not in self._projects:
            try:
                self._projects[version] = definitions.parse(self._published[version].files)
            except definitions.Invalid as error:
                log.error("a published project can't be used here", version=version, error=str(error))
                self._projects[version] = None
        return self._projects[version]

    def _read(self) -> Whole:
        if self._topic is None:
            topic = Whole(self._brokers, self._name)
            self._take(topic.to_end(_READ_SECONDS))
            self._topic = topic
        self._take(self._topic.new(0.0))
        return self._topic

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.value() is None or is_state(message.key()):
                continue
            try:
                published = self._codec.decode(Definitions, message.value())
            except BadRecord as error:
                log.warning("unusable definitions", offset=message.offset(), error=str(error))
                continue
            self._published.pop(published.version, None)
            self._published[published.version] = published
