"""Counting within windows: which marks decide an answer, what it is at an instant, and when it changes by itself.

A mark at `t` counts at `now` while `t + near <= now < t + far`: a window of length w holds what happened less than w
ago, so an event leaves it at exactly `t + w`, and one from the future enters it when its time comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from processors.segments.model import Mark, joined_marks
from processors.segments.plan import Counter
from schemas.definitions.expressions import lookup
from schemas.definitions.model import Did, Measure, Window
from schemas.localtime import Span


def within(window: Window, at: int) -> bool:
    """Whether something at this time can count at any instant."""
    return (window.since is None or window.since <= at) and (window.until is None or at < window.until)


def span(window: Window, at: int, gone: int | None = None) -> Span:
    """When something that happened at `at` counts; `gone` is when it was taken back."""
    ends = [end for end in (None if window.far is None else at + window.far, gone) if end is not None]
    return at + window.near, min(ends) if ends else None


def matches(asked: Did | Measure, event_id: str, document: dict[str, Any]) -> list[tuple[int, Any]]:
    """(name, line) of what matches in an event or occurrence: itself with None for a line, or with `each` its lines."""
    lines = [None] if asked.each is None else lookup(document, asked.each)
    if not isinstance(lines, list):
        return []
    return [
        (name_of(event_id if asked.each is None else f"{event_id} {number}"), line)
        for number, line in enumerate(lines)
        if asked.where is None or asked.where.holds({"event": document, "item": line})
    ]


def trimmed(marks: Sequence[Mark], new: Sequence[Mark], counter: Counter, now: int) -> tuple[Mark, ...]:
    """Marks that can still decide the answer at `now` or later.

    Older than the newest `need` that are old enough for the window, a mark is never decisive: whenever it counts, they
    do. Those too new for the window (or from the future) are kept beside them.
    """
    window, room, kept = counter.did.window, counter.need, list[Mark]()
    together = joined_marks(tuple(marks), tuple(new))
    if window.near == 0 and together and together[-1][0] <= now:  # as nearly all are: all are old enough
        newest = together[max(len(together) - room, 0) :]
        gone = 0 if window.far is None else sum(now - at >= window.far for at, _ in newest)
        return newest[gone:]
    for at, name in reversed(together):
        if window.far is not None and now - at >= window.far:
            break
        if now - at >= window.near:
            if room == 0:
                break
            room -= 1
        kept.append((at, name))
    return tuple(reversed(kept))


def tally(spans: Iterable[Span], did: Did, now: int) -> tuple[int, bool, int | None]:
    """(count at `now`, whether it is within the bounds, the first later instant at which that is different)."""
    count, steps = 0, dict[int, int]()
    for start, end in spans:
        if end is not None and (end <= start or end <= now):
            continue
        if start <= now:
            count += 1
        else:
            steps[start] = steps.get(start, 0) + 1
        if end is not None:
            steps[end] = steps.get(end, 0) - 1
    holds = _bounded(count, did)
    later = count
    for instant in sorted(steps):
        later += steps[instant]
        if _bounded(later, did) != holds:
            return count, holds, instant
    return count, holds, None


def lasting(marks: Sequence[Mark], did: Did, now: int) -> tuple[bool, int | None] | None:
    """What `tally` says of marks in order of time, where one of them alone decides; None where it takes all.

    What happened `at_least` times lasts until the newest so many of them are not all in the window any more.
    """
    need, window = did.at_least, did.window
    if need < 1 or did.at_most is not None or window.near or (marks and marks[-1][0] > now):
        return None
    if len(marks) < need:
        return False, None
    until = None if window.far is None else marks[-need][0] + window.far
    return (True, until) if until is None or now < until else (False, None)


def _bounded(count: int, did: Did) -> bool:
    return count >= did.at_least and (did.at_most is None or count <= did.at_most)


def value_name(value: Any) -> str | None:
    """A value as a name; None when it can't be one. 7 and "7" are one name."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def name_of(text: str) -> int:
    """The short name under which an event or a line of it is kept."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1
