"""What stands in a project's journeys, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.definitions.model import (
    Branch,
    Call,
    Exit,
    Journey,
    Project,
    Repeat,
    Send,
    Split,
    Step,
    Task,
    Trigger,
    Wait,
    WaitFor,
)
from schemas.services import CALLS, SERVICES, TASKS

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


def senders(project: Project, template: str) -> list[Journey]:
    """The journeys that send a template."""
    return [
        journey
        for journey in project.journeys.values()
        if any(isinstance(step, Send) and step.template == template for step in all_steps(journey.steps))
    ]


def catches(project: Project, template: str) -> dict[str, list[Trigger]]:
    """What journeys that send a template catch, by the names from `as:`."""
    found: dict[str, list[Trigger]] = {}
    for journey in senders(project, template):
        for step in all_steps(journey.steps):
            for trigger in step.triggers if isinstance(step, WaitFor) else ():
                if trigger.name:
                    found.setdefault(trigger.name, []).append(trigger)
    return found


def services(project: Project) -> list[str]:
    """The services that journeys ask something of; see `schemas.services`."""
    steps = [step for journey in project.journeys.values() for step in all_steps(journey.steps)]
    asked = {CALLS: Call, TASKS: Task}
    return [service for service in SERVICES if any(isinstance(step, asked[service]) for step in steps)]


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


def last_of(steps: tuple[Step, ...]) -> int | None:
    """The number of the step behind which nobody comes, as it ends the journey whatever happens; None without one."""
    for number, step in enumerate(steps):
        before = steps[number - 1] if number else None
        left_out = isinstance(before, Wait) and before.late == "skip"
        if _ends(step) and not left_out:
            return number
    return None


def _ends(step: Step) -> bool:
    """Whether everybody who takes a step ends the journey there."""
    match step:
        case Exit():
            return True
        case WaitFor(timeout=timeout, then=then, on_timeout=on_timeout, own=own):
            ways = [then if steps is None else steps for steps in own] or [then]
            return all(last_of(way) is not None for way in (ways if timeout is None else [*ways, on_timeout]))
        case Branch(arms=choices):
            return choices[-1].when is None and all(last_of(arm.steps) is not None for arm in choices)
        case Split(arms=shares):
            return all(last_of(inner) is not None for _, _, inner in shares)
        case Repeat(steps=inner):
            return last_of(inner) is not None
        case _:
            return False
