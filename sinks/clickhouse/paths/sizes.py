"""Sizes over time, drawn for a page: a small chart for each, side by side, each on its own scale from 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sinks.clickhouse.paths.page import USUAL_WIDTH as WIDTH
from sinks.clickhouse.paths.page import colour, figure, hinted, short, text

_HIGH, _GAP = 96, 28
#: of one alone
_ALONE = 220
_ABOVE, _BELOW = 26, 22


def lines(sizes: Mapping[str, Sequence[tuple[int, int]]], columns: int = 3) -> str:
    """For each name its sizes, as (end of a period in milliseconds since 1970 UTC, people)."""
    columns = min(columns, len(sizes)) or 1
    wide = (WIDTH - (columns - 1) * _GAP) / columns
    high = _HIGH if len(sizes) > 1 else _ALONE
    pitch = _ABOVE + high + _BELOW + 14
    shapes = []
    for number, (name, points) in enumerate(sizes.items()):
        left, top = number % columns * (wide + _GAP), number // columns * pitch
        shapes += _chart(name, points, colour(number), left, top, wide, high)
    return figure(WIDTH, -(-len(sizes) // columns) * pitch, "Sizes over time", *shapes)


def _chart(
    name: str, points: Sequence[tuple[int, int]], fill: str, left: float, top: float, wide: float, high: float
) -> list[str]:
    most = max((people for _, people in points), default=0) or 1
    base = top + _ABOVE + high
    step = wide / max(len(points) - 1, 1)

    def at(number: int, people: int) -> str:
        return f"{left + number * step:.1f},{base - high * people / most:.1f}"

    path = " ".join(at(number, people) for number, (_, people) in enumerate(points))
    last = points[-1][1]
    shapes = [
        text(left, top + 10, short(name, int(wide / 9) - 8)),
        text(left + wide, top + 10, f"{last:,}", anchor="end"),
        f'<line class="line" x1="{left:.1f}" x2="{left + wide:.1f}" y1="{base}" y2="{base}"/>',
        f'<line class="line" x1="{left:.1f}" x2="{left + wide:.1f}" y1="{base - high}" y2="{base - high}"/>',
        f'<polygon points="{left:.1f},{base} {path} {left + wide:.1f},{base}" fill="{fill}" fill-opacity="0.18"/>',
        f'<polyline points="{path}" fill="none" stroke="{fill}" stroke-width="2" stroke-linejoin="round"/>',
        text(left + 3, base - high + 9, f"{most:,}", faint=True),
        text(left, base + 13, _day(points[0][0]), faint=True),
        text(left + wide, base + 13, _day(points[-1][0]), anchor="end", faint=True),
    ]
    # what lies under the pointer: a stripe for each period
    for number, (until, people) in enumerate(points):
        x = max(left, left + (number - 0.5) * step)
        shapes.append(
            f'<rect x="{x:.1f}" y="{base - high}" width="{min(step, left + wide - x):.1f}" height="{high}"'
            f' fill-opacity="0">{hinted(f"{name}, {_instant(until)}: {people:,} people")}</rect>'
        )
    return shapes


def _day(until: int) -> str:
    """The day that a period ends with."""
    return f"{datetime.fromtimestamp((until - 1) / 1000, UTC):%Y-%m-%d}"


def _instant(until: int) -> str:
    return f"{datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d %H:%M}"
