"""The published projects, looked for beside the answers: none of these waits for Kafka."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import structlog
from confluent_kafka import KafkaException

from processors.runtime.published import PublishedDefinitions
from schemas.definitions.model import Project

log = structlog.get_logger("profiles")

_LOOK_SECONDS = 0.5
_FIRST_SECONDS = 10.0


def inboxes_of(project: Project) -> dict[str, int]:
    """Channels that people read themselves, with how long a message stays there (milliseconds)."""
    return {channel.name: channel.stays for channel in project.channels.values() if channel.pull}


class CurrentProjects:
    """Follows the topic `definitions` in a thread. Safe for threads."""

    def __init__(self, published: PublishedDefinitions) -> None:
        self._published = published
        self._latest: Project | None = None
        self._by_version: dict[str, Project] = {}
        self._stopping = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="definitions", daemon=True)
        self._thread.start()

    def latest(self) -> Project | None:
        """The project published last, None as long as none is known."""
        return self._latest

    def project(self, version: str) -> Project:
        """The project of a version. Raises LookupError when it is not known here."""
        if version not in self._by_version:
            if self._latest is None:
                raise LookupError(version)
            try:
                self._by_version[version] = self._published.project(version)
            except (KafkaException, TimeoutError) as error:
                raise LookupError(version) from error
        return self._by_version[version]

    def inboxes(self) -> Mapping[str, int]:
        """The inboxes of the project published last; waits for the first look at it, so that what is followed from the
        start is all there is."""
        self._looked.wait(_FIRST_SECONDS)
        return inboxes_of(self._latest) if self._latest is not None else {}

    def close(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._thread.join(5)

    def _follow(self) -> None:
        while not self._stopping.wait(0 if self._latest is None else _LOOK_SECONDS):
            try:
                self._latest = self._published.latest()
                self._looked.set()
            except (KafkaException, TimeoutError) as error:
                log.warning("definitions can't be read", error=str(error))
                self._stopping.wait(_LOOK_SECONDS)
            if self._latest is None:
                self._stopping.wait(_LOOK_SECONDS)
