"""A journey as a picture (SVG), with how many people went each way when that is known. Needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from pathline.journeys.layout import BOX_HEIGHT, BOX_WIDTH, DOWN, Arrow, Box, lay_out
from pathline.journeys.words import entries, exits, goal, told
from schemas.definitions.model import Journey, Project, Send
from sinks.clickhouse.journeys import START, JourneyFigures, StepFigures
from sinks.clickhouse.paths.page import short

_MARGIN = 24
_HEAD = 46
#: letters that fit into a box, a start or end, and on an arrow
_FIT, _FIT_END, _FIT_ARM = 30, 24, 26
_STYLE = """
.paper { fill: #ffffff; } text { font: 12.5px system-ui, sans-serif; fill: #1b1f24; } .faint { fill: #5b6470; }
.kind { font-weight: 600; } .count { font-variant-numeric: tabular-nums; font-weight: 600; }
.box { fill: #f4f6f9; stroke: #9aa5b1; } .send { fill: #e4f0fb; stroke: #2f6fab; } 
.exit { fill: #fbeaea; stroke: #b4504f; }
.terminal { fill: #e9f5ea; stroke: #4c8f52; } .way { fill: none; stroke: #7a8693; stroke-width: 1.4; }
.head { fill: #7a8693; }
@media (prefers-color-scheme: dark) {
.paper { fill: #14171b; } text { fill: #e8eaed; } .faint { fill: #a3abb6; }
.box { fill: #20262d; stroke: #66727f; } .send { fill: #16304a; stroke: #5b9bd5; } 
.exit { fill: #3d1f1f; stroke: #d07a79; }
.terminal { fill: #1c3320; stroke: #6fb277; } .way { stroke: #8b97a4; } .head { fill: #8b97a4; } }
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What is known of a journey that runs: as a whole, by step, by way (from, to), and by arm (step, arm)."""

    whole: JourneyFigures
    steps: Mapping[str, StepFigures] = field(default_factory=dict)
    ways: Mapping[tuple[str, str], int] = field(default_factory=dict)
    arms: Mapping[tuple[str, str], int] = field(default_factory=dict)


def draw(project: Project, journey: Journey, counts: Counts | None = None) -> str:
    """The picture as a whole SVG document."""
    top = _MARGIN + _HEAD + DOWN
    picture = lay_out(journey.steps, project.segments, top)
    width, middle = picture.width + 2 * _MARGIN, picture.width / 2 + _MARGIN
    notes = _notes(journey)
    whole = counts.whole if counts is not None else None
    started = f"{whole.entered:,} entered" if whole is not None else ""
    ended = f"{whole.finished:,} came here" if whole is not None else ""
    entered = Arrow(((picture.width / 2, _MARGIN + _HEAD), (picture.width / 2, top)), START, journey.steps[0].id)
    comes_to_the_end = any(not arrow.target and arrow.headed for arrow in picture.arrows)
    bottom = picture.height + (DOWN + _HEAD if comes_to_the_end else 0)
    shapes = [
        _terminal(middle, _MARGIN, " or ".join(entries(journey)), started),
        _arrow(entered, counts),
        *(_arrow(arrow, counts) for arrow in picture.arrows),
        *(_box(box, counts) for box in picture.boxes),
    ]
    if comes_to_the_end:
        shapes.append(_terminal(middle, picture.height + DOWN, "end", ended))
    for number, note in enumerate(notes):
        shapes.append(_text(_MARGIN, bottom + 34 + number * 20, note, "faint"))
    height = bottom + _MARGIN + (20 * len(notes) + 14 if notes else 0)
    width = max(width, *(len(note) * 6.8 + 2 * _MARGIN for note in notes)) if notes else width
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" style="width: {width:g}px; min-width: 0; margin: auto" role="img"'
        f' aria-label="Journey {escape(journey.name)}"><style>{_STYLE}</style>'
        f'<rect class="paper" width="{width:g}" height="{height:g}"/>' + "\n".join(shapes) + "</svg>\n"
    )


def _notes(journey: Journey) -> list[str]:
    entered = " or ".join(entries(journey))
    # what the first shape has no room for
    notes = [f"Enters: {entered}"] if len(entered) > _FIT_END else []
    notes += [f"Ends at once: {' or '.join(exits(journey))}"] if journey.exit else []
    return notes + ([f"Goal: {goal(journey)}"] if journey.goal is not None else [])


def _terminal(x: float, y: float, what: str, figures: str) -> str:
    line = y + (18 if figures else _HEAD / 2)
    return (
        f'<g><title>{escape(what)}</title><rect class="terminal" x="{x - BOX_WIDTH / 2:g}" y="{y:g}"'
        f' width="{BOX_WIDTH}" height="{_HEAD}" rx="{_HEAD / 2:g}"/>'
        + _text(x, line, short(what, _FIT_END), "kind", "middle")
        + (_text(x, y + 34, figures, "faint", "middle") if figures else "")
        + "</g>"
    )


def _box(box: Box, counts: Counts | None) -> str:
    kind, what = told(box.step)
    name = box.step.id
    style = "send" if isinstance(box.step, Send) else kind if kind == "exit" else "box"
    x, y = box.x + _MARGIN, box.y
    figures = _figures(box, counts) or ("" if name[0].isdigit() else name)
    words = f"{kind} {what}".strip()
    label = f'<tspan class="kind">{escape(kind)}</tspan> {escape(short(what, max(_FIT - len(kind), 8)))}'
    return (
        f'<g><title>{escape(f"{name}: {words}")}</title><rect class="{style}" x="{x - BOX_WIDTH / 2:g}" y="{y:g}"'
        f' width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7"/>'
        f'<text x="{x - BOX_WIDTH / 2 + 12:g}" y="{y + (22 if figures else 27):g}" dominant-baseline="central">'
        f"{label}</text>" + (_text(x - BOX_WIDTH / 2 + 12, y + 40, figures, "faint") if figures else "") + "</g>"
    )


def _figures(box: Box, counts: Counts | None) -> str:
    found = counts.steps.get(box.step.id) if counts is not None else None
    if found is None:
        return "nobody came here yet" if counts is not None else ""
    told = [f"{found.here:,} here"] if found.here else []
    told += [f"{found.sent:,} sent"] if found.sent or isinstance(box.step, Send) else []
    told += [f"{found.opened:,} opened"] if found.opened else []
    told += [f"{found.converted:,} converted"] if found.converted else []
    told += [f"{found.ended:,} ended"] if found.ended else []
    return " · ".join(told[:3])


def _arrow(arrow: Arrow, counts: Counts | None) -> str:
    points = [(x + _MARGIN, y) for x, y in arrow.points]
    path = "M" + " L".join(f"{x:g},{y:g}" for x, y in points)
    (x, y), drawn = points[-1], [f'<path class="way" d="{path}"/>']
    if arrow.headed:
        drawn.append(f'<path class="head" d="M{x:g},{y:g} l-4.5,-8 l9,0 z"/>')
    number = _count(arrow, counts)
    told = f"{number:,}" if number is not None else ""
    if arrow.label:
        place = points[-1][0] + 8
        name = short(arrow.label, _FIT_ARM)
        drawn.append(
            f'<text x="{place:g}" y="{points[-2][1] + 15:g}" dominant-baseline="central">'
            f'<title>{escape(arrow.label)}</title>{escape(name)} <tspan class="count">{told}</tspan></text>'
        )
    elif told and arrow.headed:
        drawn.append(_text(x + 8, (points[0][1] + y) / 2, told, "count"))
    return "".join(drawn)


def _count(arrow: Arrow, counts: Counts | None) -> int | None:
    if counts is None:
        return None
    if arrow.arm:
        return counts.arms.get((arrow.origin, arrow.arm), 0)
    if arrow.label:
        return counts.ways.get((arrow.origin, arrow.target), 0) if arrow.target else None
    if not arrow.target:
        return counts.whole.finished
    # several arms may meet before it
    return sum(count for (_, target), count in counts.ways.items() if target == arrow.target)


def _text(x: float, y: float, content: str, style: str, anchor: str = "start") -> str:
    return (
        f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" dominant-baseline="central">'
        f"{escape(content)}</text>"
    )
