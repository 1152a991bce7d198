"""Conditions in words, for the comments of a query."""

from __future__ import annotations

from processors.segments.conditions import window_text
from schemas.definitions.grammar.base import DAYS
from schemas.definitions.model import Condition, Did, InOrder, LocalTime


def spoken(one: Condition) -> str:
    """What a condition asks, on one line."""
    match one:
        case Did(events, where, at_least, at_most, window, each):
            matching = f" where {_flat(where.source)}" if where is not None else ""
            lines = f" (each of {each})" if each is not None else ""
            times = f"{_bounds(at_least, at_most)} {window_text(window)}".rstrip()
            return f"did {' or '.join(events)}{lines}{matching}: {times}"
        case InOrder(steps, window, same):
            named = ", then ".join(
                " or ".join(step.events) + (f" where {_flat(step.where.source)}" if step.where is not None else "")
                for step in steps
            )
            of_one = f", all with the same {same}" if same is not None else ""
            return f"did in order: {named}{of_one} {window_text(window)}".rstrip()
        case LocalTime(first, end, days):
            on = f" on {', '.join(DAYS[day] for day in sorted(days))}" if days else ""
            return f"from {first // 60:02d}:{first % 60:02d} to {end // 60:02d}:{end % 60:02d}{on}"
    return type(one).__name__


def _bounds(at_least: int, at_most: int | None) -> str:
    if at_most is None:
        return f"at least {at_least}"
    if at_least == at_most:
        return f"exactly {at_least}"
    return f"at most {at_most}" if at_least == 0 else f"{at_least} to {at_most}"


def _flat(source: str) -> str:
    return " ".join(source.split())
