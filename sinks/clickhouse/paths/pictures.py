"""Drawings of answers for a page: bars of a funnel, flows as bands, models of attribution side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

from sinks.clickhouse.paths.funnel import Funnel, FunnelStep
from sinks.clickhouse.paths.page import USUAL_WIDTH as WIDTH
from sinks.clickhouse.paths.page import bar, colour, figure, heading, hinted, note, short, text

#: how wide a letter is, at most in the average
_LETTER = 7.4


def funnel_bars(found: Funnel) -> str:
    """A bar for each step, for each of the first values of a breakdown; the times of those who got through; drops."""
    parts = []
    for number, (value, rows) in enumerate(groupby(found.steps, key=lambda row: row.value)):
        if number == 8:
            break
        parts += [heading(value, 3) if value else "", _steps(list(rows), colour(number))]
    if found.took:
        lengths = [(_span(took.from_seconds, took.to_seconds), took.people, f"{took.share:.1%}") for took in found.took]
        parts += [heading("Time from the first step to the last", 3), bars(lengths, colour(0))]
    for (step, name), drops in groupby(found.drops, key=lambda drop: (drop.step, drop.name)):
        lengths = [(drop.instead, drop.people, f"{drop.share:.1%}") for drop in list(drops)[:8]]
        parts += [heading(f"After step {step}, {name}, without the next one", 3), bars(lengths, colour(3))]
    return "\n".join(parts)


def _steps(rows: Sequence[FunnelStep], fill: str) -> str:
    left, most, height = 220, rows[0].people or 1, 46
    shapes = []
    for number, row in enumerate(rows):
        top, full = number * height + 6, WIDTH - left - 190
        wide = full * row.people / most
        shares = f"{row.from_first:.1%} of all" if row.from_first is not None else ""
        after = f"{row.people:,} · {shares}" if number else f"{row.people:,} people"
        shapes += [
            text(left - 12, top + 15, short(f"{row.step}. {row.name}", 28), anchor="end"),
            bar(left, top, full, 30, fill, opacity=0.13),
            bar(left, top, wide, 30, fill, f"{row.name}: {row.people:,} people"),
            text(left + full + 12, top + 15, after),
        ]
    return figure(WIDTH, len(rows) * height + 6, "Funnel", *shapes)


def bars(rows: Sequence[tuple[str, int, str]], fill: str) -> str:
    """Name, length and what is written behind, for each."""
    left, height, most = 220, 28, max((length for _, length, _ in rows), default=1) or 1
    shapes = []
    for number, (name, length, told) in enumerate(rows):
        top, wide = number * height + 4, (WIDTH - left - 190) * length / most
        shapes += [
            text(left - 12, top + 10, short(name, 28), anchor="end"),
            bar(left, top, max(wide, 1), 20, fill, f"{name}: {length:,}"),
            text(left + wide + 8, top + 10, f"{length:,} · {told}"),
        ]
    return figure(WIDTH, len(rows) * height + 4, "Bars", *shapes)


def _span(low: int, high: int | None) -> str:
    return f"{_time(low)} and more" if high is None else f"{_time(low)} to {_time(high)}"


def _time(seconds: int) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def sankey(edges: Sequence[tuple[int, str, str, int]]) -> str:
    """Flows of (step, from, to, count) as bands from column to column; the first step is on the left."""
    if not edges:
        return ""
    first, last = min(edge[0] for edge in edges), max(edge[0] for edge in edges)
    columns = [_column(edges, step) for step in range(first, last + 2)]
    rows = max(len(column) for column in columns)
    height, gap = max(260, 44 * rows), 12
    most = max(sum(column.values()) for column in columns)
    scale = (height - gap * rows) / most
    wide = 14
    longest = max(len(f"{name} {count:,}") for name, count in columns[-1].items())
    beside = min(max(190, longest * _LETTER + wide + 12), 270)
    width = max(WIDTH, 110 * (len(columns) - 1) + beside)
    band = (width - beside) / max(1, len(columns) - 1)
    kinds = {name: number for number, name in enumerate(dict.fromkeys(n for column in columns for n in column))}
    tops: dict[tuple[int, str], float] = {}
    boxes, labels = [], []
    for number, column in enumerate(columns):
        y = 8.0
        room = (beside if number == len(columns) - 1 else band) - wide - 12
        named = _fitting(column, room)
        for name, count in column.items():
            tops[number, name] = y
            x = number * band
            boxes.append(bar(x, y, wide, max(count * scale, 1), colour(kinds[name]), f"{name}: {count:,}"))
            labels.append(text(x + wide + 6, y + count * scale / 2, f"{named[name]} {count:,}"))
            y += max(count * scale, 4) + gap
    leaving, coming = dict(tops), dict(tops)
    bands = []
    for step, origin, target, count in sorted(edges, key=lambda edge: (edge[0], -edge[3], edge[1], edge[2])):
        number = step - first
        start, end = leaving[number, origin], coming[number + 1, target]
        leaving[number, origin] += count * scale
        coming[number + 1, target] += count * scale
        hint = f"{origin} to {target}: {count:,}"
        bands.append(
            _band(number * band + wide, start, (number + 1) * band, end, count * scale, colour(kinds[origin]), hint)
        )
    tall = max(max(tops.values()) + 40, height + 8)
    return figure(width, tall, "Flows", *bands, *boxes, f'<g class="over">{"".join(labels)}</g>')


def _fitting(column: Mapping[str, int], room: float) -> dict[str, str]:
    """Names cut so that they have room with their counts: at the end; in the middle where two would look the same."""
    most = {name: max(3, int(room / _LETTER) - len(f"{count:,}") - 1) for name, count in column.items()}
    cut = {name: short(name, letters) for name, letters in most.items()}
    often = Counter(cut.values())
    return {
        name: seen if often[seen] == 1 else f"{name[: most[name] // 2 - 1]}…{name[-(most[name] // 2) :]}"
        for name, seen in cut.items()
    }


def _column(edges: Sequence[tuple[int, str, str, int]], step: int) -> Mapping[str, int]:
    """The nodes between a step and the one before, the largest first: as many as come in or go out."""
    coming: dict[str, int] = {}
    going: dict[str, int] = {}
    for number, origin, target, count in edges:
        if number == step:
            going[origin] = going.get(origin, 0) + count
        if number == step - 1:
            coming[target] = coming.get(target, 0) + count
    counted = {name: max(coming.get(name, 0), going.get(name, 0)) for name in {*coming, *going}}
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _band(x: float, y: float, to_x: float, to_y: float, thick: float, fill: str, hint: str) -> str:
    middle = (x + to_x) / 2
    return (
        f'<path d="M{x:.1f},{y:.1f} C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}'
        f" V{to_y + thick:.1f} C{middle:.1f},{to_y + thick:.1f} {middle:.1f},{y + thick:.1f} {x:.1f},{y + thick:.1f} Z"
        f'" fill="{fill}" fill-opacity="0.35">{hinted(hint)}</path>'
    )


def models_side_by_side(shares: Mapping[str, Mapping[str, float]]) -> str:
    """For each node a group of bars, one for each model: conversions by model and node."""
    total: dict[str, float] = defaultdict(float)
    for of in shares.values():
        for name, value in of.items():
            total[name] += value
    names = sorted((name for name in total if total[name] > 0), key=lambda name: (-total[name], name))
    if not names:
        return note("Nothing converted in this time.")
    most = max((value for of in shares.values() for value in of.values()), default=1) or 1
    left, thin, top = 220, 11, 34
    shapes = []
    x = 0.0
    for number, model in enumerate(shares):
        shapes += [bar(x, 6, 12, 12, colour(number)), text(x + 17, 12, model.replace("_", " "))]
        x += 40 + 8 * len(model)
    for name in names[:20]:
        shapes.append(text(left - 12, top + thin * len(shares) / 2, short(name, 28), anchor="end"))
        for number, (model, of) in enumerate(shares.items()):
            value = of.get(name, 0.0)
            wide = (WIDTH - left - 110) * value / most
            hint = f"{name}, {model}: {value:,.1f}"
            shapes.append(bar(left, top + number * thin, max(wide, 1), thin - 2, colour(number), hint))
            told = text(left + wide + 6, top + number * thin + 5, f"{value:,.1f}", faint=True)
            shapes.append(f'<g font-size="9">{told}</g>')
        top += thin * len(shares) + 14
    return note("Conversions that each is owed, by model.") + figure(WIDTH, top, "Attribution by model", *shapes)
