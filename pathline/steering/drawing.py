"""The graph of one person as a page: a picture and the same in words. Needs no network and no script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pathline.steering.explaining import Explanation, Link
from schemas.definitions.expressions import iso
from schemas.identifiers import split

WIDTH, COLUMN, ROW, TOP, BOX = 200, 290, 46, 58, 30
_SHOWN = 26
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem; color: #1d2733; }
h1 { font-size: 1.25rem; } h2 { font-size: 1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
td:first-child { white-space: nowrap; }
th { color: #5b6875; font-weight: 500; border-bottom: 1px solid #d5dbe1; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #1d2733; }
.member rect { fill: #e4f0fb; stroke: #2f6fab; } .outside rect { fill: #f4f4f4; stroke: #a9b2bb; }
.outside text { fill: #6b7580; } text.type { fill: #5b6875; font-weight: 600; }
path { fill: none; stroke-width: 1.2; } .joins { stroke: #2f6fab; stroke-width: 2.4; } .confirms { stroke: #8fb4d6; }
.refused { stroke: #c2402c; stroke-dasharray: 5 4; } .always { stroke: #2b8a4b; stroke-width: 2.4; }
.never { stroke: #c2402c; stroke-width: 2.4; stroke-dasharray: 2 4; } .key { margin-right: 1.5rem; }
.key svg { vertical-align: middle; margin-right: .4rem; }
"""
_KEY = {
    "joins": "a link that joins",
    "confirms": "a link that confirms",
    "refused": "a link that is refused",
    "always": "asserted: always",
    "never": "asserted: never",
}


@dataclass(frozen=True, slots=True)
class _Line:
    kind: str
    a: str
    b: str
    title: str


def page(found: Explanation, who: str) -> str:
    """The page, as HTML."""
    lines = list(_lines(found))
    identifiers = list(dict.fromkeys([*found.identifiers, *(end for line in lines for end in (line.a, line.b))]))
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(who)}</title><style>{_STYLE}</style></head><body>',
        f"<h1>Why {escape(who)} is person {escape(found.person_id)}</h1>",
        f"<p>{''.join(_key(kind) for kind in _KEY if any(line.kind == kind for line in lines))}</p>",
        _picture(identifiers, set(found.identifiers), lines),
        _table("Links", ("seen first", "stronger", "weaker", "source", "event", ""), map(_link, found.links)),
        _table(
            "Refused links", ("seen first", "stronger", "weaker", "source", "event", "why"), map(_link, found.refused)
        ),
        _table("Assertions", ("at", "what", "author", "reason", ""), _assertions(found)),
        _table("Earlier person ids", ("id", "from"), found.earlier_ids.items()),
        _table("Periods", ("identifier", "since", "person"), _periods(found)),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _lines(found: Explanation) -> Iterable[_Line]:
    for link in [*found.links, *found.refused]:
        kind = "refused" if link.reason else "joins" if link.joins else "confirms"
        told = f"{link.a} - {link.b}: seen {iso(link.first_seen)} by {link.source} {link.event_id} {link.reason}"
        yield _Line(kind, link.a, link.b, told.strip())
    for said in found.assertions:
        if said.b and said.holds:
            yield _Line(said.verb, said.a, said.b, f"{said.verb}, {iso(said.at)} by {said.author}: {said.reason}")


def _picture(identifiers: Sequence[str], members: set[str], lines: Sequence[_Line]) -> str:
    """A column for each type, the strongest first; lines between."""
    columns: dict[str, list[str]] = {}
    for identifier in identifiers:
        columns.setdefault(split(identifier)[0], []).append(identifier)
    places = {
        # every second column lower by half a row, so that lines across it pass between its boxes
        identifier: (10 + column * COLUMN, TOP + row * ROW + column % 2 * ROW // 2)
        for column, here in enumerate(columns.values())
        for row, identifier in enumerate(here)
    }
    width = 20 + (len(columns) - 1) * COLUMN + WIDTH + 60
    height = TOP + max(map(len, columns.values())) * ROW + ROW // 2
    types = "".join(
        f'<text class="type" x="{10 + n * COLUMN}" y="30">{escape(t)}</text>' for n, t in enumerate(columns)
    )
    drawn = "".join(_curve(line, places) for line in lines)
    boxes = "".join(_box(identifier, *places[identifier], identifier in members) for identifier in identifiers)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{types}{drawn}{boxes}</svg>'


def _curve(line: _Line, places: Mapping[str, tuple[int, int]]) -> str:
    (left, high), (right, low) = sorted((places[line.a], places[line.b]))
    high, low = high + BOX // 2, low + BOX // 2
    if left == right:
        # of one type: around the column on its right
        edge = left + WIDTH
        shape = f"M{edge},{high} C{edge + 45},{high} {edge + 45},{low} {edge},{low}"
    else:
        middle = (left + WIDTH + right) // 2
        shape = f"M{left + WIDTH},{high} C{middle},{high} {middle},{low} {right},{low}"
    return f'<path class="{line.kind}" d="{shape}"><title>{escape(line.title)}</title></path>'


def _box(identifier: str, x: int, y: int, member: bool) -> str:
    value = split(identifier)[1]
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    kind = "member" if member else "outside"
    return (
        f'<g class="{kind}"><title>{escape(identifier)}</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{BOX}" '
        f'rx="6"/><text x="{x + 10}" y="{y + 20}">{escape(shown)}</text></g>'
    )


def _key(kind: str) -> str:
    drawn = f'<svg width="34" height="8"><path class="{kind}" d="M0,4 L34,4"/></svg>'
    return f'<span class="key">{drawn}{_KEY[kind]}</span>'


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    filled = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    if not filled:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{''.join(filled)}</table>"


def _link(link: Link) -> tuple[str, ...]:
    why = link.reason or ("joins" if link.joins else "confirms")
    return iso(link.first_seen), link.a, link.b, link.source, link.event_id, why


def _assertions(found: Explanation) -> Iterable[tuple[str, ...]]:
    for said in found.assertions:
        what = f"{said.verb} {said.a} {said.b}".strip()
        yield iso(said.at), what, said.author, said.reason, "" if said.holds else "does not hold"


def _periods(found: Explanation) -> Iterable[tuple[str, ...]]:
    for period in found.periods:
        yield period.identifier, iso(period.since) if period.since else "ever", period.person_id
