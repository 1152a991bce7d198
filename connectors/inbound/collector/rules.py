"""The project in force at the edge, followed as it changes."""

from __future__ import annotations

import threading

import structlog
from confluent_kafka import KafkaException

from connectors.inbound.published import project_in
from schemas.codec import Codec
from schemas.definitions.model import IdentityRules, Project
from schemas.kafka import Whole
from schemas.topics import DEFINITIONS

log = structlog.get_logger()


class PublishedProject:
    """Follows the topic `definitions` in a thread; `current()` and `project()` are None until one was read."""

    def __init__(self, brokers: str, codec: Codec) -> None:
        self._codec = codec
        self._project: Project | None = None
        self._stopping = threading.Event()
        self._topic = Whole(brokers, DEFINITIONS)
        self._thread = threading.Thread(target=self._follow, name="definitions", daemon=True)
        self._thread.start()

    def current(self) -> IdentityRules | None:
        return self._project.identity if self._project is not None else None

    def project(self) -> Project | None:
        return self._project

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._topic.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                for message in self._topic.new(0.5):
                    project = project_in(message, self._codec)
                    if project is not None:
                        self._project = project
                        log.info("project in force", version=project.version, offset=message.offset())
            except KafkaException as error:
                # the broker is away, or the topic is not created yet: the consumer goes on by itself
                log.warning("definitions can't be read", error=str(error))
                self._stopping.wait(1)
