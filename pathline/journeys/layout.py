"""Where the boxes and arrows of a journey's picture stand: from top to bottom, arms side by side.

Lengths are units of the drawing. A block is a list of steps laid out as one thing, its way in and its way out on its
middle line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pathline.journeys.words import arms
from schemas.definitions.model import Exit, Segment, Step

BOX_WIDTH, BOX_HEIGHT = 244, 54
#: between boxes one above the other, and between arms side by side
DOWN, ASIDE = 40, 26
#: what the fan of a step's arms takes above and below them, with the name of each arm
FAN = 44

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A step; x is its middle, y its top."""

    step: Step
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line through points with a head at its end (`headed`). `origin` and `target` are step ids, "" for the journey's
    start and end; `arm` is the arm it goes into, with its name for people."""

    points: tuple[Point, ...]
    origin: str
    target: str = ""
    arm: str = ""
    label: str = ""
    headed: bool = True


@dataclass(slots=True)
class Picture:
    """All that is drawn; `width` and `height` are those of the whole."""

    width: float = BOX_WIDTH
    height: float = 0
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


def lay_out(steps: tuple[Step, ...], hidden: Mapping[str, Segment], top: float = 0) -> Picture:
    """The steps of a journey from `top` down; the middle line is at width / 2."""
    picture = Picture(width=_width(steps, hidden))
    end, last = _place(picture, steps, hidden, picture.width / 2, top, "")
    picture.height = end
    if last:
        picture.arrows.append(Arrow(((picture.width / 2, end), (picture.width / 2, end + DOWN)), last))
    return picture


def _width(steps: tuple[Step, ...], hidden: Mapping[str, Segment]) -> float:
    return max((_step_width(step, hidden) for step in steps), default=BOX_WIDTH)


def _step_width(step: Step, hidden: Mapping[str, Segment]) -> float:
    inner = [_width(each, hidden) for _, _, each in arms(step, hidden)]
    return max(BOX_WIDTH, sum(inner) + ASIDE * (len(inner) - 1))


def _place(
    picture: Picture, steps: tuple[Step, ...], hidden: Mapping[str, Segment], x: float, y: float, before: str
) -> tuple[float, str]:
    """Place a list whose way in is at (x, y), coming from the step `before` ("" at a list's beginning). Gives where its
    way out is, and the step it comes from, "" when nobody comes out."""
    last = before
    for number, step in enumerate(steps):
        if number:
            picture.arrows.append(Arrow(((x, y), (x, y + DOWN)), last, step.id))
            y += DOWN
        picture.boxes.append(Box(step, x, y))
        y += BOX_HEIGHT
        last = step.id
        if isinstance(step, Exit):
            return y, ""
        inner = arms(step, hidden)
        if inner:
            y, open_ = _fan(picture, step, inner, hidden, x, y)
            if not open_:
                return y, ""
    return y, last


def _fan(
    picture: Picture,
    step: Step,
    inner: list[tuple[str, str, tuple[Step, ...]]],
    hidden: Mapping[str, Segment],
    x: float,
    y: float,
) -> tuple[float, bool]:
    """The arms of a step whose box ends at (x, y). Gives where they meet again, and whether anybody comes there."""
    widths = [_width(steps, hidden) for _, _, steps in inner]
    left = x - (sum(widths) + ASIDE * (len(widths) - 1)) / 2
    ends: list[tuple[float, float, str]] = []
    for (label, called, steps), width in zip(inner, widths, strict=True):
        middle = left + width / 2
        left += width + ASIDE
        target = steps[0].id if steps else ""
        down = ((x, y), (x, y + 12), (middle, y + 12), (middle, y + FAN))
        picture.arrows.append(Arrow(down, step.id, target, called, label, headed=bool(steps)))
        end, last = _place(picture, steps, hidden, middle, y + FAN, step.id)
        ends.append((middle, end, last))
    bottom = max(end for _, end, _ in ends) + 24
    for middle, end, last in ends:
        if last:
            picture.arrows.append(Arrow(((middle, end), (middle, bottom), (x, bottom)), last, headed=False))
    return bottom, any(last for _, _, last in ends)
