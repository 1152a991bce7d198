"""Questions about history inside journeys become hidden segments.

A journey sees the present profile only. What a branch asks about the past is answered by the segments processor, under
a name that begins with `~` and is never shown to people.
"""

from __future__ import annotations

from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    Holds,
    InList,
    InOrder,
    InSegment,
    Measured,
    Not,
    Percent,
    Predicts,
    Prefers,
    Segment,
    TraitIs,
)

HIDDEN = "~"
#: Who is in this one is in no other segment and in no journey: `exclude` of project.yaml.
EXCLUDED = f"{HIDDEN}excluded"
#: What the profile does not say.
_OF_HISTORY = (Did, InList, InOrder, Measured, Percent, Predicts, Prefers)


class Hoist:
    """Collects the hidden segments of one journey."""

    def __init__(self, journey: str, file: str) -> None:
        self._journey = journey
        self._file = file
        self.segments: list[Segment] = []

    def without_history(self, condition: Condition, step: str, arm: str) -> Condition:
        """The condition with every question about history replaced by membership in `~journey/step/arm`."""
        return self._replaced(condition, f"{HIDDEN}{self._journey}/{step}/{arm}")

    def _replaced(self, condition: Condition, name: str) -> Condition:
        if not _asks_history(condition):
            return condition
        if not _asks_entry(condition):
            taken = sum(1 for segment in self.segments if segment.name.split("#")[0] == name)
            unique = f"{name}#{taken + 1}" if taken else name
            self.segments.append(Segment(unique, condition, self._file))
            return InSegment(unique)
        match condition:
            case All(of):
                return All(tuple(self._replaced(inner, name) for inner in of))
            case AnyOf(of):
                return AnyOf(tuple(self._replaced(inner, name) for inner in of))
            case Not(inner):
                return Not(self._replaced(inner, name))
            case _:
                return condition


def references(condition: Condition) -> set[str]:
    """Segments that a condition refers to."""
    return {part.segment for part in parts(condition) if isinstance(part, InSegment)}


def _asks_history(condition: Condition) -> bool:
    return any(
        # held_for needs to know since when a trait has had its value
        isinstance(part, _OF_HISTORY) or (isinstance(part, TraitIs) and part.op == "held_for")
        for part in parts(condition)
    )


def _asks_entry(condition: Condition) -> bool:
    return any(isinstance(part, Holds) for part in parts(condition))


def parts(condition: Condition) -> list[Condition]:
    """The condition and all that it consists of."""
    match condition:
        case All(of) | AnyOf(of):
            return [condition, *(part for inner in of for part in parts(inner))]
        case Not(inner):
            return [condition, *parts(inner)]
        case _:
            return [condition]
