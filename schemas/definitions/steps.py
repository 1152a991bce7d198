"""What stands in a project's journeys, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.definitions.model import Branch, Journey, Project, Repeat, Send, Split, Step, Trigger, WaitFor

#: arms of a `wait_for`; those of the triggers that have steps of their own come behind them
THEN, ON_TIMEOUT = 0, 1


def starting(journey: Journey) -> Iterator[str]:
    """Events that start a journey."""
    for entry in journey.entries:
        if isinstance(entry.trigger, Trigger):
            yield from entry.trigger.events


def sends(project: Project) -> Iterator[Send]:
    """All sends, arms and all."""
    for journey in project.journeys.values():
        for step in all_steps(journey.steps):
            if isinstance(step, Send):
                yield step


def all_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    """These steps and all within them."""
    for step in steps:
        yield step
        for arm in arms(step):
            yield from all_steps(arm)


def arms(step: Step) -> tuple[tuple[Step, ...], ...]:
    """The lists of steps within a step, by their numbers."""
    match step:
        case WaitFor(then=then, on_timeout=on_timeout, own=own):
            return (then, on_timeout, *(steps or () for steps in own))
        case Branch(arms=choices):
            return tuple(arm.steps for arm in choices)
        case Split(arms=shares):
            return tuple(inner for _, _, inner in shares)
        case Repeat(steps=inner):
            return (inner,)
        case _:
            return ()
