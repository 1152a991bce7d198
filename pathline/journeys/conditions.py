"""Conditions in words, short enough for an arm of a drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, assert_never

from schemas.definitions.durations import UNITS, spoken
from schemas.definitions.grammar.base import DAYS
from schemas.definitions.hoisting import HIDDEN
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    HasConsent,
    Holds,
    InList,
    InOrder,
    InSegment,
    LocalTime,
    Measure,
    Measured,
    Not,
    Percent,
    Predicts,
    Prefers,
    Reachable,
    Segment,
    TraitIs,
    Window,
)
from schemas.traits import DATED


def condition(when: Condition, hidden: Mapping[str, Segment]) -> str:
    """A condition in short. What asks about history stands in a hidden segment, which is told in its place."""
    match when:
        case All(of=parts):
            return " and ".join(_inside(part, hidden, AnyOf) for part in parts)
        case AnyOf(of=parts):
            return " or ".join(condition(part, hidden) for part in parts)
        case Not(of=part):
            return f"not ({condition(part, hidden)})"
        case Holds(cel=cel):
            return cel.source
        case InSegment(segment=name):
            known = hidden.get(name) if name.startswith(HIDDEN) else None
            return condition(known.when, hidden) if known is not None else f"in {name}"
        case InList(list=name):
            return f"in list {name}"
        case Did():
            return f"did {_did(when)}{_count(when)}{window(when.window)}"
        case InOrder(steps=steps, same=same):
            alike = f" with the same {same}" if same is not None else ""
            return f"did {', then '.join(map(_did, steps))}{alike}{window(when.window)}"
        case Measured(measure=measure, tests=tests):
            return f"{_measure(measure)}{window(when.when)}{_compared(tests)}"
        case TraitIs(trait=trait, op=op, value=value):
            return f"{trait}{_compared(((op, value),))}"
        case Predicts(prediction=asked, tests=tests):
            ahead = "ever" if asked.ahead is None else f"within {spoken(asked.ahead)}"
            return f"predicted {asked.what} {ahead}{_compared(tests)}"
        case HasConsent(channel=channel, purpose=purpose):
            return f"consent to {' for '.join(part for part in (channel, purpose) if part)}"
        case Reachable(channel=channel):
            return f"reachable by {channel}"
        case Prefers(channel=channel):
            return f"prefers {channel}"
        case LocalTime(first=first, end=end, days=days):
            on = ", ".join(name for number, name in enumerate(DAYS) if number in days)
            return f"from {_clock(first)} to {_clock(end)}" + (f" on {on}" if on else "")
        case Percent(low=low, high=high, of=of):
            return f"from {low:g} to {high:g} % of {of}"
        case _:
            assert_never(when)


def window(asked: Window) -> str:
    """What a window holds, with a space before it; nothing when it holds everything there ever was."""
    if asked.far is not None:
        far = spoken(asked.far)
        return f" within {far}" if not asked.near else f" between {far} and {spoken(asked.near)} ago"
    since = f" since {_instant(asked.since)}" if asked.since is not None else ""
    until = f" before {_instant(asked.until)}" if asked.until is not None else ""
    ago = f" at least {spoken(asked.near)} ago" if asked.near else ""
    return since + until + ago


def _inside(part: Condition, hidden: Mapping[str, Segment], other: type) -> str:
    """A part of several, in brackets where its own parts would be taken for theirs."""
    while isinstance(part, InSegment) and part.segment.startswith(HIDDEN) and part.segment in hidden:
        part = hidden[part.segment].when
    text = condition(part, hidden)
    return f"({text})" if isinstance(part, other) else text


def _did(asked: Did) -> str:
    each = f" with lines of {asked.each}" if asked.each is not None else ""
    where = f" where {asked.where.source}" if asked.where is not None else ""
    return " or ".join(asked.events) + each + where


def _count(asked: Did) -> str:
    least, most = asked.at_least, asked.at_most
    if most == 0:
        return " never"
    if most is None:
        return f" at least {least} times" if least > 1 else ""
    if least == most:
        return f" exactly {_times(most)}"
    return f" at most {_times(most)}" if not least else f" {least} to {most} times"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _measure(asked: Measure) -> str:
    where = f" where {asked.where.source}" if asked.where is not None else ""
    events = " or ".join(asked.events)
    of = f" {asked.of} of" if asked.of is not None else ""
    return f"{asked.function.replace('_', ' ')}{of} {events}{where}{window(asked.window)}"


def _compared(tests: tuple[tuple[str, Any], ...]) -> str:
    """The operators, each with a space before it."""
    return " and".join(f" {_test(op, value)}" for op, value in tests)


def _test(op: str, value: Any) -> str:
    if op in _SPOKEN:
        return _SPOKEN[op](value)
    if op in DATED and isinstance(value, int):
        return _ago(op, value)
    return f"{_OPERATORS.get(op, op.replace('_', ' '))} {_value(value)}"


def _ago(op: str, duration: int) -> str:
    """A date compared with a duration ago."""
    if op == "within":
        return f"within {spoken(duration)}"
    if not duration:
        return "past" if op == "before" else "to come"
    if op == "before":
        return f"at least {spoken(duration)} ago"
    # "at most 7d ago" is read as less than a millisecond more
    inclusive = duration % UNITS["s"] == 1
    return f"at most {spoken(duration - 1)} ago" if inclusive else f"less than {spoken(duration)} ago"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_value, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _anniversary(days: tuple[int, int]) -> str:
    ahead, past = days
    around = [f"{ahead}d before" if ahead else "", f"{past}d after" if past else ""]
    return f"anniversary{' to '.join(['', *filter(None, around)]).removeprefix(' to') if any(around) else ''}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _instant(milliseconds: int) -> str:
    """A day in UTC, with the time of day where it is not midnight."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at:%Y-%m-%d}" if milliseconds % UNITS["d"] == 0 else f"{at:%Y-%m-%d %H:%M:%S}"


_OPERATORS = {"equals": "=", "not_equals": "is not", "one_of": "one of"}
_SPOKEN: dict[str, Callable[[Any], str]] = {
    "exists": lambda known: "is known" if known else "is not known",
    "held_for": lambda duration: f"unchanged for {spoken(duration)}",
    "anniversary": _anniversary,
}
