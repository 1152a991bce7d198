"""What stands in a project's journeys, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.definitions.model import Branch, Journey, Project, Send, Split, Step, Trigger, WaitFor


def starting(journey: Journey) -> Iterator[str]:
    """Events that start a journey."""
    for entry in journey.entries:
        if isinstance(entry.trigger, Trigger):
            yield from entry.trigger.events


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
