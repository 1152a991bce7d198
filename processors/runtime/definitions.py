"""Where stages find the published project: fixed for simulation and tests, or the topic `definitions`."""

from __future__ import annotations

from typing import Protocol

from schemas.definitions.model import Project


class DefinitionsSource(Protocol):
    """Published projects by version."""

    def project(self, version: str) -> Project:
        """The project published under this version. Raises LookupError when there is none."""

    def latest(self) -> Project | None:
        """The project published last, None when there is none yet."""


class FixedDefinitions:
    """One project or several, the last being the latest."""

    def __init__(self, *projects: Project) -> None:
        self._projects = {project.version: project for project in projects}
        self._latest = projects[-1] if projects else None

    def project(self, version: str) -> Project:
        return self._projects[version]

    def latest(self) -> Project | None:
        return self._latest

    def publish(self, project: Project) -> None:
        """Add a project, which is the latest from now on."""
        self._projects[project.version] = self._latest = project
