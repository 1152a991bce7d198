"""Durations (`30s 5m 6h 1d 2w`), rates (`30/s`), times of day (`21:00`) and spans of the day (`21:00-08:00`)."""

from __future__ import annotations

import re

SECOND_MS = 1_000
UNITS = {"s": SECOND_MS, "m": 60 * SECOND_MS, "h": 3_600 * SECOND_MS, "d": 86_400 * SECOND_MS, "w": 604_800 * SECOND_MS}
#: Longer ones are mistakes: 100 years.
MAX_MS = 36_525 * UNITS["d"]

_DURATION = re.compile(r"(?:[0-9]+[smhdw])+")
_PART = re.compile(r"([0-9]+)([smhdw])")
_RATE = re.compile(r"([1-9][0-9]{0,8})\s*/\s*([0-9]*)([smhdw])")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def duration(text: str) -> int:
    """Milliseconds of `30s`, `5m`, `6h`, `1d`, `2w`, or several together such as `1h30m`. Raises ValueError."""
    written = text.strip() if isinstance(text, str) else ""
    if not _DURATION.fullmatch(written):
        given = f"{text!r} is not a duration" if isinstance(text, str) else "a duration is expected"
        raise ValueError(f"{given}; write for example 30s, 5m, 6h, 1d or 2w")
    total = sum(int(count) * UNITS[unit] for count, unit in _PART.findall(written[:40]))
    if total > MAX_MS or len(written) > 40:
        raise ValueError(f"{text!r} is too long; at most 5218w (100 years) are allowed")
    return total


def rate(text: str) -> tuple[int, int]:
    """(how many, per how many milliseconds) of `30/s`, `50000/h` or `1/10s`. Raises ValueError."""
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] == "0":
        given = f"{text!r} is not a rate" if isinstance(text, str) else "a rate is expected"
        raise ValueError(f"{given}; write for example 30/s, 100/m or 50000/h")
    return int(match[1]), duration(f"{match[2] or 1}{match[3]}")


def is_duration(text: object) -> bool:
    """Whether a text is written as a duration."""
    return isinstance(text, str) and _DURATION.fullmatch(text.strip()) is not None


def spoken(milliseconds: int) -> str:
    """The shortest exact writing of a duration, for example `90d` or `1h30m`; below a second as `15ms`."""
    parts, rest = [], milliseconds
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest}ms")
    return "".join(parts) or "0s"


def time_of_day(text: str) -> int:
    """Minutes after local midnight of `09:00`. Raises ValueError."""
    match = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is not a time of day; write for example "09:00"')
    return int(match[1]) * 60 + int(match[2])


def day_span(text: str) -> tuple[int, int]:
    """(first, end) in minutes after local midnight of `21:00-08:00`; it may span midnight. Raises ValueError."""
    first, dash, end = text.partition("-") if isinstance(text, str) else ("", "", "")
    if not dash:
        raise ValueError(f'{text!r} is not a span of the day; write for example "21:00-08:00"')
    span = time_of_day(first), time_of_day(end)
    if span[0] == span[1]:
        raise ValueError(f"{text!r} is empty: it begins and ends at the same time")
    return span
