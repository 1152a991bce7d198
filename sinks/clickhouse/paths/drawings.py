"""Drawings of results for a page: cohorts as a heat map, channels as costs beside revenue, intervals, a timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sinks.clickhouse.paths.channels import Channel
from sinks.clickhouse.paths.experiment import Arm
from sinks.clickhouse.paths.page import USUAL_WIDTH as WIDTH
from sinks.clickhouse.paths.page import bar, colour, figure, heading, hinted, note, short, text

#: below this the numbers of people in the arms are no chance
_RATIO_ALARM = 0.001
_UNEVEN = "The arms have not the shares of people they should have: something loses some, and the rest is worth nothing"
#: most rows and columns of a heat map
_MOST = 40


def heat_map(cells: Sequence[tuple[str, int, int, float, str]], period: str) -> str:
    """Cohort, period, people, value and what is written, for each cell; the higher the value, the fuller the colour."""
    names = list(dict.fromkeys(cell[0] for cell in cells))[-_MOST:]
    columns = min(max((cell[1] for cell in cells), default=0) + 1, _MOST)
    left, top, high = 210, 26, 26
    wide = (WIDTH - left) / columns
    # all were there in period 0: the colours are for what differs
    most = max((cell[3] for cell in cells if cell[1]), default=0) or max((cell[3] for cell in cells), default=0) or 1
    shapes = [text(left + (n + 0.5) * wide, 12, f"{period} {n}" if n == 0 else str(n), anchor="middle", faint=True)
              for n in range(columns)]  # fmt: skip
    for cohort, number, people, value, told in cells:
        if cohort not in names or number >= columns:
            continue
        x, y = left + number * wide, top + names.index(cohort) * high
        if number == 0:
            shapes.append(text(left - 10, y + high / 2, f"{short(cohort, 18)} · {people:,}", anchor="end"))
        hint = f"{cohort}, {period} {number}: {told} of {people:,} people"
        shapes.append(
            bar(x + 1, y + 1, wide - 2, high - 2, colour(0), hint, opacity=0.06 + 0.64 * min(value / most, 1))
        )
        if wide > 34:
            shapes.append(text(x + wide / 2, y + high / 2, told, anchor="middle"))
    return figure(WIDTH, top + len(names) * high, "Heat map", *shapes)


def returns(rows: Sequence[Channel], currency: str) -> str:
    """Cost and revenue of each channel, one below the other on one scale, with what came back for each unit spent."""
    left, high, right = 220, 52, 170
    most = max((max(row.cost or 0, row.revenue) for row in rows), default=0) or 1
    shapes = []
    for number, row in enumerate(rows[:20]):
        y = number * high + 6
        name = f"{row.channel} / {row.campaign}" if row.campaign else row.channel
        shapes.append(text(left - 12, y + 20, short(name, 28), anchor="end"))
        for line, (what, amount, fill) in enumerate((("revenue", row.revenue, 2), ("cost", row.cost, 1))):
            if amount is None:
                continue
            wide = (WIDTH - left - right) * max(amount, 0) / most
            hint = f"{name}: {what} {amount:,.2f} {currency}"
            shapes.append(bar(left, y + line * 20, max(wide, 1), 17, colour(fill), hint))
            back = f" · {row.roas:,.2f} per 1 spent" if row.roas is not None and not line else ""
            shapes.append(text(left + wide + 8, y + line * 20 + 9, f"{amount:,.2f}{back}"))
    legend = f"Above what conversions brought by their last touch, below what was spent, in {currency}."
    return figure(WIDTH, len(rows[:20]) * high + 6, "Revenue and cost", *shapes) + note(legend)


def intervals(rows: Sequence[Arm]) -> str:
    """The rate of each arm with its 95 % interval, and what can be said of the differences."""
    left, high, right = 170, 44, 40
    shown = [row for row in rows if row.people]
    if not shown:
        return note("Nobody has been given an arm yet.")
    least = min((row.low for row in shown), default=0)
    most = max((row.high for row in shown), default=1)
    margin = (most - least) * 0.05 or 0.5
    least, most = max(0, least - margin), min(1, most + margin)

    def at(share: float) -> float:
        return left + (WIDTH - left - right) * (share - least) / (most - least)

    shapes = []
    for tick in range(6):
        share = least + (most - least) * tick / 5
        shapes.append(
            f'<line class="line" x1="{at(share):.1f}" x2="{at(share):.1f}" y1="22" y2="{28 + len(rows) * high}"/>'
        )
        shapes.append(text(at(share), 10, f"{share:.1%}", anchor="middle", faint=True))
    for number, row in enumerate(rows):
        y = 28 + (number + 0.5) * high
        shapes.append(text(left - 12, y, f"{short(row.arm, 14)} · {row.people:,}", anchor="end"))
        if row.rate is None:
            continue
        hint = f"{row.arm}: {row.rate:.2%} of {row.people:,}, 95 % between {row.low:.2%} and {row.high:.2%}"
        shapes.append(bar(at(row.low), y - 5, at(row.high) - at(row.low), 10, colour(number), hint, opacity=0.45))
        shapes.append(bar(at(row.rate) - 3, y - 10, 6, 20, colour(number), hint))
    base = next((row.arm for row in shown if row.difference is None), "")
    told = [_verdict(row, base) for row in rows if row.difference is not None]
    ratio = rows[0].ratio_p_value if rows else None
    if ratio is not None and ratio < _RATIO_ALARM:
        told.insert(0, f"{_UNEVEN} (p {ratio:.2g}).")
    return figure(WIDTH, 34 + len(rows) * high, "Rates", *shapes) + "\n".join(map(note, told))


def _verdict(row: Arm, base: str) -> str:
    assert row.difference is not None
    between = f"95 % between {row.difference_low:+.2%} and {row.difference_high:+.2%}"
    chance = "" if row.p_value is None else f", p {row.p_value:.2g}"
    return f"{row.arm} against {base}: {row.difference:+.2%} of people ({between}{chance})"


_KINDS = ("event", "send", "dispatch", "decision", "segment")


def timeline(entries: Sequence[Mapping[str, Any]]) -> str:
    """A line for each channel, a mark for each entry at its time; what has no channel is on a line of its kind."""
    if not entries:
        return ""
    lanes = list(dict.fromkeys(map(_lane, entries)))
    times = [datetime.fromisoformat(entry["at"]) for entry in entries]
    first, last = min(times), max(times)
    left, high, right = 170, 34, 20
    span = (last - first).total_seconds() or 1.0

    def at(when: datetime) -> float:
        return left + (WIDTH - left - right) * (when - first).total_seconds() / span

    shapes = []
    for number, lane in enumerate(lanes):
        y = 34 + (number + 0.5) * high
        shapes.append(f'<line class="line" x1="{left}" x2="{WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        shapes.append(text(left - 14, y, short(lane, 20), anchor="end"))
    # of one instant one mark is enough
    for tick in range(5 if last > first else 1):
        when = first + (last - first) * tick / 4
        form = "%Y-%m-%d" if span > 4 * 86_400 else "%m-%d %H:%M"
        anchor = "start" if tick == 0 else "end" if tick == 4 else "middle"
        shapes.append(text(at(when), 12, when.strftime(form), anchor=anchor, faint=True))
    for entry, when in zip(entries, times, strict=True):
        y = 34 + (lanes.index(_lane(entry)) + 0.5) * high
        fill = colour(_KINDS.index(entry["kind"])) if entry["kind"] in _KINDS else colour(len(_KINDS))
        hint = f"{entry['at']} {entry['kind']}: {entry['what']} {short(entry['detail'], 200)}"
        shapes.append(
            f'<circle cx="{at(when):.1f}" cy="{y:.1f}" r="6" fill="{fill}" fill-opacity="0.7">{hinted(hint)}</circle>'
        )
    kinds = [kind for kind in _KINDS if any(entry["kind"] == kind for entry in entries)]
    for number, kind in enumerate(kinds):
        y = 34 + len(lanes) * high + 16
        shapes.append(f'<circle cx="{left + number * 110}" cy="{y}" r="6" fill="{colour(_KINDS.index(kind))}"/>')
        shapes.append(text(left + number * 110 + 12, y, kind, faint=True))
    return figure(WIDTH, 34 + len(lanes) * high + 32, "Timeline", *shapes) + heading("One by one")


def _lane(entry: Mapping[str, Any]) -> str:
    return entry["channel"] or ("(no channel)" if entry["kind"] == "event" else f"({entry['kind']}s)")
