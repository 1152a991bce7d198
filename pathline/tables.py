"""Rows for people and for programs: a table in the terminal, JSON, CSV, or a page that opens without a network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import typer

from sinks.clickhouse.paths.page import note, page, short, table

FORMATS = ("table", "json", "csv", "html")
#: columns whose values are parts of one
_SHARES = frozenset({"rate", "share", "expected", "low", "high", "difference", "difference_low", "difference_high"})
#: amounts that programs add up: 0 for them where nobody told one, empty for people
_SUMMED = frozenset({"cost"})
NOTHING = "Nothing found."
#: letters of a value in a table for people; programs get all
LONGEST = 200
Row = dict[str, Any]


def show(
    rows: Sequence[Row],
    columns: Sequence[str],
    format: str,
    title: str,
    picture: Callable[[], str] = str,
    notes: Sequence[str] = (),
) -> None:
    """Print rows with these columns; `picture` is drawn above them on the HTML page. Notes stand there too, else on
    standard error, so that programs read the rows alone.

    Raises typer.BadParameter for another format.
    """
    if format != "html":
        for told in notes:
            typer.echo(told, err=True)
    match format:
        case "json":
            typer.echo(json.dumps(_for_programs(rows, columns), indent=2, ensure_ascii=False))
        case "csv":
            typer.echo(as_csv(_for_programs(rows, columns), columns), nl=False)
        case "html":
            parts = (picture(), as_html(rows, columns)) if rows else (note(NOTHING),)
            typer.echo(page(title, *parts, *map(note, notes)))
        case "table":
            _table(rows, columns)
        case _:
            raise typer.BadParameter(f"{format!r} is none of {', '.join(FORMATS)}", param_hint="--format")


def _for_programs(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    return [{name: 0.0 if row[name] is None and name in _SUMMED else row[name] for name in columns} for row in rows]


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """CSV with a header line; what is not known is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_html(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A table for a page."""
    numeric = {index for index, name in enumerate(columns) if any(isinstance(row[name], int | float) for row in rows)}
    told = [[spoken(name, row[name]) for name in columns] for row in rows]
    return table([_headed(name) for name in columns], told, frozenset(numeric))


def _headed(name: str) -> str:
    return name.removesuffix("_seconds").replace("_", " ")


def spoken(name: str, value: Any) -> str:
    """A value for people: seconds as durations, shares as percentages, properties in words, nothing where nothing is
    known."""
    if value is None:
        return ""
    if name == "detail":
        return _in_words(str(value))
    if name.endswith("_seconds"):
        return _duration(float(value))
    if isinstance(value, float) and (name in _SHARES or name.startswith("from_")):
        return f"{value:.1%}"
    if name.endswith("p_value"):
        return f"{value:.3g}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _in_words(detail: str) -> str:
    """Properties without JSON's signs; of what lies deeper it says how much there is. Other text as it is."""
    try:
        document = json.loads(detail) if detail.startswith("{") else None
    except ValueError:
        return detail
    if not isinstance(document, dict):
        return detail
    return ", ".join(
        f"{name} ({len(value)})" if isinstance(value, list | dict) else f"{name} {_plain(value)}"
        for name, value in document.items()
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _duration(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        typer.echo(NOTHING)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in columns:
        numeric = any(isinstance(row[name], int | float) for row in rows)
        table.add_column(_headed(name), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(short(spoken(name, row[name]), LONGEST) for name in columns))
    # into a file or a pipe nothing is cut off
    console = Console()
    Console(width=console.width if console.is_terminal else 500, markup=False, highlight=False).print(table)
