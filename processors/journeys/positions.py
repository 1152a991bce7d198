"""Where an instance is: a path into the nested step lists of its journey.

`(2, 0, 1)` is step 2, its arm 0, step 1 in it. Arms are: of a `wait_for` 0 = then and 1 = on_timeout, of a `branch` and
a `split` its arms in order.
"""

from __future__ import annotations

from schemas.definitions.model import Branch, Journey, Split, Step, WaitFor

Position = tuple[int, ...]

THEN, ON_TIMEOUT = 0, 1


def step_at(journey: Journey, position: Position) -> Step | None:
    """The step at a position, None past the end of its list."""
    steps = _list_at(journey, position[:-1])
    return steps[position[-1]] if position[-1] < len(steps) else None


def into(position: Position, arm: int) -> Position:
    """The first position in an arm of the step at `position`; the arm may be empty."""
    return (*position, arm, 0)


def settled(journey: Journey, position: Position) -> Position | None:
    """The position itself if a step is there; past the end of a list the place behind what the list belongs to; None
    when that is the end of the journey."""
    while step_at(journey, position) is None:
        if len(position) == 1:
            return None
        position = after(position[:-2])
    return position


def after(position: Position) -> Position:
    """The place behind a step in its list."""
    return (*position[:-1], position[-1] + 1)


def _list_at(journey: Journey, path: Position) -> tuple[Step, ...]:
    steps = journey.steps
    for index, arm in zip(path[::2], path[1::2], strict=True):
        steps = _arm(steps[index], arm)
    return steps


def _arm(step: Step, arm: int) -> tuple[Step, ...]:
    match step:
        case WaitFor(then=then, on_timeout=on_timeout):
            return on_timeout if arm == ON_TIMEOUT else then
        case Branch(arms=arms):
            return arms[arm].steps
        case Split(arms=shares):
            return shares[arm][2]
        case _:
            raise TypeError(f"step {step.id} has no arms")
