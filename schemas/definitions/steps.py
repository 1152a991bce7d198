"""Steps of a project's journeys, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.definitions.model import Branch, Project, Send, Split, Step, WaitFor


def sends(project: Project) -> Iterator[Send]:
    """All sends, arms and all."""
    for journey in project.journeys.values():
        yield from _sends(journey.steps)


def _sends(steps: tuple[Step, ...]) -> Iterator[Send]:
    for step in steps:
        match step:
            case Send():
                yield step
            case WaitFor():
                yield from _sends(step.then)
                yield from _sends(step.on_timeout)
            case Branch():
                for arm in step.arms:
                    yield from _sends(arm.steps)
            case Split():
                for _, _, inner in step.arms:
                    yield from _sends(inner)
