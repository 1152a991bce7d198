"""The page answers are drawn on: one file that opens without a network, readable in light and dark."""

from __future__ import annotations

import html

#: stand out on white and on black alike
_COLOURS = (
    "#4e79a7",
    "#f28e2b",
    "#59a14f",
    "#e15759",
    "#76b7b2",
    "#b07aa1",
    "#d4a72c",
    "#9c755f",
    "#ff9da7",
    "#8a8f98",
)

#: units a drawing is wide
USUAL_WIDTH = 960
#: longer texts in a table take several lines, and are cut
_LONG, _MOST = 40, 240

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --faint: #5b6470; --line: #8884;
  font: 15px/1.5 system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #14171b; --ink: #e8eaed; --faint: #a3abb6; }} }}
body {{ margin: 2rem auto; max-width: 75rem; padding: 0 1rem; background: var(--paper); color: var(--ink); }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }} h3 {{ font-size: 1rem; }}
p {{ color: var(--faint); }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }}
th {{ white-space: normal; vertical-align: bottom; line-height: 1.25; }}
td.long {{ white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }}
th.number, td.number {{ text-align: right; }}
p.asked {{ font-size: .85rem; margin: .4rem 0; }} code {{ font-size: .85em; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; }}
.tile {{ border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }}
.tile b {{ display: block; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; }}
.tile small {{ color: var(--faint); }}
figure {{ margin: 1.5rem 0; overflow-x: auto; }}
svg {{ display: block; width: 100%; min-width: 40rem; height: auto; font-size: 13px; }}
svg text {{ fill: var(--ink); stroke-linejoin: round; }}
svg .over {{ paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }}
svg text.faint {{ fill: var(--faint); }} svg .line {{ stroke: var(--line); }}
</style></head><body>
<h1>{title}</h1>
{parts}
</body></html>
"""


def page(title: str, *parts: str) -> str:
    """A page of parts that are HTML already: figures, tables, `heading`, `note`."""
    return _PAGE.format(title=html.escape(title), parts="\n".join(part for part in parts if part))


def heading(text: str, level: int = 2) -> str:
    return f"<h{level}>{html.escape(text)}</h{level}>"


def note(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def asked(definition: str, *questions: str) -> str:
    """What figures mean, and what gives them."""
    codes = " ".join(f"<br><code>{html.escape(question)}</code>" for question in questions)
    return f'<p class="asked">{html.escape(definition)}{codes}</p>'


def tiles(figures: list[tuple[str, str, str, str]]) -> str:
    """Large figures side by side: name, figure, what stands below, and the hint under the pointer."""
    boxes = (
        f'<div class="tile" title="{html.escape(hint)}">{html.escape(name)}<b>{html.escape(value)}</b>'
        f"<small>{html.escape(below)}</small></div>"
        for name, value, below, hint in figures
    )
    return f'<div class="tiles">{"".join(boxes)}</div>'


def table(columns: list[str], rows: list[list[str]], numeric: frozenset[int] = frozenset()) -> str:
    """Texts in rows; the columns with these numbers are set to the right."""

    def line(tag: str, texts: list[str]) -> str:
        marks = (_mark(index in numeric, text) for index, text in enumerate(texts))
        cells = (
            f"<{tag}{mark}>{html.escape(short(text, _MOST))}</{tag}>" for mark, text in zip(marks, texts, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{line("th", columns)}</thead><tbody>\n{body}\n</tbody></table></div>'


def _mark(numeric: bool, text: str) -> str:
    return ' class="number"' if numeric else ' class="long"' if len(text) > _LONG else ""


def figure(width: float, height: float, label: str, *shapes: str) -> str:
    """A drawing of SVG shapes, `width` by `height` units; the label is for those who can't see it."""
    # a wide one is scrolled rather than made small
    wide = f' style="min-width: {width:g}px"' if width > USUAL_WIDTH else ""
    return (
        f'<figure><svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(label)}"{wide}>\n'
        + "\n".join(shapes)
        + "\n</svg></figure>"
    )


def text(x: float, y: float, content: str, *, anchor: str = "start", faint: bool = False) -> str:
    """Text on its middle line; `anchor` is start, middle or end."""
    mark = ' class="faint"' if faint else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="central"{mark}>'
        f"{html.escape(content)}</text>"
    )


def bar(x: float, y: float, width: float, height: float, fill: str, hint: str = "", opacity: float = 1) -> str:
    """A rectangle; the hint shows under the pointer."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="2"'
        f' fill="{fill}" fill-opacity="{opacity:g}">{hinted(hint)}</rect>'
    )


def hinted(hint: str) -> str:
    """What a shape says under the pointer."""
    return f"<title>{html.escape(hint)}</title>" if hint else ""


def colour(number: int) -> str:
    """The colour of the number-th kind of thing."""
    return _COLOURS[number % len(_COLOURS)]


def short(content: str, most: int) -> str:
    """Text cut to `most` letters."""
    return content if len(content) <= most else content[: most - 1] + "…"
