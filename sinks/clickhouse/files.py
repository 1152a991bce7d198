"""Files of money into the warehouse: what channels cost by day, and what currencies are worth.

A file is CSV with a header. Loading it again, whole or corrected, replaces what it says of the same days.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.tables import Row, arrow

#: columns of each kind; those of the second part may be left out
KINDS = {
    "costs": (("day", "channel", "amount"), ("campaign", "currency")),
    "rates": (("day", "currency", "rate"), ()),
}


class BadFile(ValueError):
    """A file that has not the columns it needs; the text says which are expected."""


@dataclass(slots=True)
class Loaded:
    """How many lines were taken, and those that were not: (line number, reason)."""

    accepted: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def kind_of(header: str) -> str | None:
    """Which kind of file begins with this line; None when it is another."""
    names = set(_fields(header))
    return next((kind for kind, (needed, _) in KINDS.items() if names >= set(needed)), None)


def load_text(warehouse: Warehouse, text: str, file: str) -> Loaded:
    """Insert the lines of a file that can be used. Raises BadFile."""
    lines = text.removeprefix("\ufeff").splitlines()
    kind = kind_of(lines[0]) if lines else None
    if kind is None:
        raise BadFile(f"{file}: the first line names the columns: {expected()}")
    read = _READ[kind]
    found, loaded = list[Row](), Loaded()
    load = time.time_ns() // 1_000
    rows = csv.reader(lines[1:], delimiter=_delimiter(lines[0]))
    for values in rows:
        number = rows.line_num + 1
        if not any(value.strip() for value in values):
            continue
        named = dict(zip(_fields(lines[0]), (value.strip() for value in values), strict=False))
        try:
            found.append((file, load, number, *read(named)))
            loaded.accepted += 1
        except ValueError as error:
            loaded.rejected.append((number, str(error)))
    if kind == "costs":
        found += ((file, load, 0, *gone, 0.0, "") for gone in _no_more(warehouse, file, found))
    if found:
        warehouse.insert(f"{kind}_raw", arrow(f"{kind}_raw", found), f"file-{load}-{file}")
    return loaded


def _no_more(warehouse: Warehouse, file: str, rows: Sequence[Row]) -> list[tuple[date, str, str]]:
    """(day, channel, campaign) of costs that this file told before, and does not of a channel's day that it has now."""
    told = {(day, channel, campaign) for *_, day, channel, campaign, _, _ in rows}
    days = {(day, channel) for day, channel, _ in told}
    before = warehouse.rows(
        "SELECT DISTINCT day, toString(channel) AS channel, toString(campaign) AS campaign FROM pathline.costs"
        " WHERE file = {file:String} AND amount != 0",
        {"file": file},
    )
    were = ((row["day"], row["channel"], row["campaign"]) for row in before)
    return [one for one in were if one[:2] in days and one not in told]


def expected() -> str:
    """The columns of each kind of file."""
    told = (f"{kind}: {', '.join(needed + optional)}" for kind, (needed, optional) in KINDS.items())
    return "; ".join(told)


def header_of(path: Path) -> str:
    """The first line of a file, "" when it is no text. Raises OSError."""
    try:
        with path.open(encoding="utf-8-sig") as opened:
            return opened.readline(10_000)
    except UnicodeDecodeError:
        return ""


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _fields(header: str) -> list[str]:
    names = next(csv.reader([header.strip()], delimiter=_delimiter(header)), [])
    return [name.strip().lower() for name in names]


def _cost(line: Mapping[str, str]) -> Row:
    if not line["channel"]:
        raise ValueError("no channel")
    amount = _number(line, "amount")
    return _day(line), line["channel"], line.get("campaign", ""), amount, _currency(line.get("currency", ""))


def _rate(line: Mapping[str, str]) -> Row:
    rate = _number(line, "rate")
    if rate <= 0:
        raise ValueError(f"rate is more than 0, not {line['rate']}")
    if not line["currency"]:
        raise ValueError("no currency")
    return _day(line), _currency(line["currency"]), rate


_READ: dict[str, Callable[[Mapping[str, str]], Row]] = {"costs": _cost, "rates": _rate}


def _day(line: Mapping[str, str]) -> date:
    try:
        day = date.fromisoformat(line["day"])
    except ValueError as error:
        raise ValueError(f"day is a date as 2026-03-01, not {line['day']!r}") from error
    if not 1900 <= day.year <= 2299:
        raise ValueError(f"day is outside the years 1900 to 2299: {day}")
    return day


def _number(line: Mapping[str, str], name: str) -> float:
    text = line.get(name, "")
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{name} is a number as 1234.5, not {text!r}") from error
    if not math.isfinite(value):
        raise ValueError(f"{name} is a number as 1234.5, not {text!r}")
    return value


def _currency(text: str) -> str:
    if text and not (len(text) == 3 and text.isascii() and text.isalpha()):
        raise ValueError(f"currency is three letters as EUR, not {text!r}")
    return text.upper()
