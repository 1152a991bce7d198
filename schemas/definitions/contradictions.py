"""Conditions that nobody can meet, as far as that shows from the definition alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from schemas.definitions.model import All, AnyOf, Condition, Did, Not, TraitIs, Window

#: operators that a person without the trait can't meet
_OF_A_VALUE = frozenset(
    ("equals", "one_of", "at_least", "at_most", "contains", "within", "before", "after", "anniversary")
)


def contradiction(conditions: Sequence[Condition]) -> str:
    """Why these conditions never hold together; empty when they may. Nothing is found that can hold, but not
    everything that can't."""
    parts = [part for condition in conditions for part in _together(condition)]
    if any(Not(part) in parts for part in parts):
        return "nobody: the same condition is asked for and ruled out"
    traits = dict.fromkeys(part.trait for part in parts if isinstance(part, TraitIs))
    for trait in traits:
        tests = [(part.op, part.value) for part in parts if isinstance(part, TraitIs) and part.trait == trait]
        if why := _trait(tests):
            return f"nobody: trait {trait} {why}"
    asked = [part for part in parts if isinstance(part, Did)]
    for least, most in product(asked, [*asked, *filter(None, map(_at_most, parts))]):
        if most.at_most is not None and least.at_least > most.at_most and _covers(most, least):
            return f"nobody: {' or '.join(least.events)} is asked for {least.at_least} and allowed {most.at_most} times"
    return ""


def _together(condition: Condition) -> Iterator[Condition]:
    """The conditions that all have to hold when this one does."""
    match condition:
        case All(of=parts):
            for part in parts:
                yield from _together(part)
        case Not(of=Not(of=inner)):
            yield from _together(inner)
        case Not(of=AnyOf(of=parts)):
            for part in parts:
                yield from _together(Not(part))
        case _:
            yield condition


def _trait(tests: list[tuple[str, object]]) -> str:
    """Why no value of a trait passes these tests (operator, value)."""
    if ("exists", False) in tests and any(op in _OF_A_VALUE or (op, value) == ("exists", True) for op, value in tests):
        return "is compared and must not exist"
    least = [value for op, value in tests if op == "at_least" and _number(value)]
    most = [value for op, value in tests if op == "at_most" and _number(value)]
    for low, high in product(least, most):
        if low > high:  # type: ignore[operator]  # both are numbers
            return f"can't be at least {low} and at most {high}"
    sets = [[value] if op == "equals" else value for op, value in tests if op in ("equals", "one_of")]
    without = [_exact(value) for op, value in tests if op == "not_equals"]
    allowed = [[_exact(value) for value in values] for values in sets if isinstance(values, Sequence)]
    if allowed and not any(all(value in other for other in allowed) and value not in without for value in allowed[0]):
        return "can have none of the values that are asked for"
    return ""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exact(value: object) -> tuple[bool, object]:
    """A value that is equal only to what a trait counts as equal: true is no 1."""
    return isinstance(value, bool), value


def _at_most(condition: Condition) -> Did | None:
    """`not: {did ...}` as a count with an upper bound."""
    match condition:
        case Not(of=Did(events, where, at_least, None, window, each)) if at_least > 0:
            return Did(events, where, 0, at_least - 1, window, each)
        case _:
            return None


def _covers(wide: Did, narrow: Did) -> bool:
    """Whether all that `narrow` counts is counted by `wide`."""
    same = wide.each == narrow.each and (wide.where is None or wide.where == narrow.where)
    return same and set(narrow.events) <= set(wide.events) and _contains(wide.window, narrow.window)


def _contains(wide: Window, narrow: Window) -> bool:
    near = wide.near <= narrow.near
    far = wide.far is None or (narrow.far is not None and narrow.far <= wide.far)
    since = wide.since is None or (narrow.since is not None and narrow.since >= wide.since)
    until = wide.until is None or (narrow.until is not None and narrow.until <= wide.until)
    return near and far and since and until
