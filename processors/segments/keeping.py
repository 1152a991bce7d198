"""What of a slot's state definitions ask for, and what they lack after others were in force.

What only some definitions ask for is kept by name. A name that another version did not keep, or kept in another form,
lacks the history before this version: it is filled in by the backfill, and what goes by it does not answer until then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from processors.segments.model import KEPT, NEVER, State
from processors.segments.plan import (
    ADDRESS,
    AFFINITY,
    CONSENT,
    FIRST,
    ZONE,
    Name,
    Plan,
    conditions_of,
    named,
    stored,
)
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import ComputedTrait
from schemas.identifiers import split


@dataclass(frozen=True, slots=True)
class Lack:
    """Names of state that lack history, and what can't be worked out without it, as in `Plan.positions`."""

    names: frozenset[Name]
    waiting: frozenset[str]


def lack(plan: Plan, earlier: Sequence[Plan]) -> Lack:
    """What a version lacks when these were in force since everything was there: what any of them did not keep so."""
    names = {
        name
        for name, form in plan.kept.items()
        if any(name not in one.kept or not one.kept[name].covers(form) for one in earlier)
    }
    if not names:
        return Lack(frozenset(), frozenset())
    before = [[leaf for part in one.order for leaf in conditions_of(part)] for one in earlier]
    waiting: set[int] = set()
    for position, one in enumerate(plan.order):  # each stands after those it refers to
        asked = [leaf for leaf in conditions_of(one) if names.intersection(stored(leaf, plan))]
        # a condition that all versions have keeps its state, also where another one asks for more of the same
        if any(
            leaf not in known or _based(stored(leaf, plan), plan, version)
            for leaf in asked
            for version, known in zip(earlier, before, strict=True)
        ):
            waiting.add(position)
        if position in waiting and named(one) != EXCLUDED:  # who is excluded is out of all others, but they can answer
            waiting.update(plan.readers.get(named(one) if isinstance(one, ComputedTrait) else f"in:{one.name}", ()))
    return Lack(frozenset(names), frozenset(named(plan.order[position]) for position in waiting))


def _based(names: Collection[Name], plan: Plan, earlier: Plan) -> bool:
    """Whether some of these names were kept on another basis."""
    return any(name not in earlier.kept or earlier.kept[name].basis != plan.kept[name].basis for name in names)


def needed(state: State, plan: Plan) -> State:
    """The state without what the definitions do not ask for."""
    return _without(state, lambda name: name not in plan.kept)


def usable(state: State, plan: Plan, before: Plan) -> State:
    """The state without what was kept on another basis."""
    based = {name for name, form in plan.kept.items() if before.kept.get(name, form).basis != form.basis}
    return _without(state, based.__contains__) if based else state


def part_of(state: State, names: Collection[Name]) -> State | None:
    """These names of a state and nothing else, None when it has none of them."""
    found = _without(state, lambda name: name not in names)
    parts = {part: getattr(found, part) for part in KEPT if getattr(found, part)}
    return State(first_seen=NEVER, **parts) if parts else None


def read_from(state: State, plan: Plan) -> set[str]:
    """What conditions read of a state, by the keys of `Plan.readers`: all that it can change where it comes or goes."""
    keys = {FIRST, *(f"trait:{name}" for name in (*state.traits, *state.history))}
    keys |= {f"list:{name}" for name, _ in state.lists}
    keys |= {f"did:{key}" for key in state.counted} | {f"order:{key}" for key in state.sequences}
    keys |= {f"measure:{key}" for key in state.measured} | {f"collect:{key}" for key in state.collected}
    for name in state.occurrences:
        keys |= reported_to(name, plan)
    keys |= {CONSENT} if state.choices else set()
    keys |= {ADDRESS} if state.used else set()
    keys |= {AFFINITY} if state.engagements else set()
    where = state.zone is not None or state.place is not None or "timezone" in state.traits
    numbers = (split(identifier)[0] in plan.phones for identifier in state.used)
    return keys | ({ZONE} if where or any(numbers) else set())


def reported_to(name: str, plan: Plan) -> set[str]:
    """Keys of what goes by the occurrences of an event."""
    counted = (f"did:{counter.key}" for counter in plan.counters.get(name, ()))
    ordered = (f"order:{ordering.key}" for ordering in plan.orderings.get(name, ()))
    return {*counted, *ordered, *(f"measure:{meter.key}" for meter in plan.meters.get(name, ()))}


def _without(state: State, dropped: Callable[[Name], bool]) -> State:
    changed: dict[str, Any] = {}
    for part in KEPT:
        held = getattr(state, part)
        if isinstance(held, tuple):
            left: Any = () if dropped((part, "")) else held
        else:
            left = {name: value for name, value in held.items() if not dropped((part, name))}
        if len(left) < len(held):
            changed[part] = left
    return msgspec.structs.replace(state, **changed) if changed else state
