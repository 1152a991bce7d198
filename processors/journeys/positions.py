"""Where an instance is: a path into the nested step lists of its journey.

`(2, 0, 1)` is step 2, its arm 0, step 1 in it. Arms are numbered as in `schemas.definitions.steps`; those of a `repeat`
are its rounds.
"""

from __future__ import annotations

from schemas.definitions.model import Journey, Repeat, Step, WaitFor
from schemas.definitions.steps import ON_TIMEOUT, THEN, arms

__all__ = ["ON_TIMEOUT", "Position", "after", "arm_of", "find", "into", "rounds", "settled", "step_at", "visit"]

Position = tuple[int, ...]


def step_at(journey: Journey, position: Position) -> Step | None:
    """The step at a position, None past the end of its list."""
    steps = journey.steps
    for index, arm in zip(position[:-1:2], position[1:-1:2], strict=True):
        steps = _arm(steps[index], arm)
    return steps[position[-1]] if position[-1] < len(steps) else None


def into(position: Position, arm: int) -> Position:
    """The first position in an arm of the step at `position`; the arm may be empty."""
    return (*position, arm, 0)


def arm_of(step: WaitFor, trigger: int) -> int:
    """The arm a `wait_for` goes on with when this one of its triggers happens."""
    own = step.own[trigger] if step.own else None
    return THEN if own is None else ON_TIMEOUT + 1 + trigger


def rounds(journey: Journey, position: Position) -> tuple[int, ...]:
    """The round that each `repeat` around a position is in, the outermost first."""
    around = ((position[end], step_at(journey, position[:end])) for end in range(1, len(position), 2))
    return tuple(number for number, step in around if isinstance(step, Repeat))


def find(journey: Journey, step_id: str, rounds: tuple[int, ...] = ()) -> Position | None:
    """Where a step stands, in these rounds of the repeats around it as far as they have so many; None if nowhere."""
    return _find(journey.steps, (), step_id, rounds)


def _find(steps: tuple[Step, ...], within: Position, step_id: str, rounds: tuple[int, ...]) -> Position | None:
    for index, step in enumerate(steps):
        position = (*within, index)
        if step.id == step_id:
            return position
        if isinstance(step, Repeat):
            first, inner = min(rounds[0] if rounds else 0, step.times - 1), rounds[1:]
        else:
            first, inner = 0, rounds
        for arm, nested in enumerate(arms(step), first):
            found = _find(nested, (*position, arm), step_id, inner)
            if found is not None:
                return found
    return None


def settled(journey: Journey, position: Position) -> Position | None:
    """The position itself if a step is there; past the end of a list the next round of what it belongs to, or the place
    behind it; None when that is the end of the journey."""
    while step_at(journey, position) is None:
        if len(position) == 1:
            return None
        outer, arm = position[:-2], position[-2]
        match step_at(journey, outer):
            case Repeat(times=times, steps=steps) if steps and arm + 1 < times:
                position = into(outer, arm + 1)
            case _:
                position = after(outer)
    return position


def after(position: Position) -> Position:
    """The place behind a step in its list."""
    return (*position[:-1], position[-1] + 1)


def visit(journey: Journey, position: Position) -> int:
    """The how manieth time a step is come to, from 1: each round of each `repeat` around it comes to it anew."""
    rounds = 0
    for end in range(1, len(position), 2):
        step = step_at(journey, position[:end])
        if isinstance(step, Repeat):
            rounds = rounds * step.times + position[end]
    return rounds + 1


def _arm(step: Step, arm: int) -> tuple[Step, ...]:
    return arms(step)[0 if isinstance(step, Repeat) else arm]
