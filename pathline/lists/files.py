"""Lists as people keep them: a text file with an identifier a line, or a table with a column of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathline.errors import UserError
from schemas import lists
from schemas.definitions.model import IdentityRules
from schemas.definitions.problems import nearest
from schemas.identifiers import Refused, normalise, split
from schemas.records import Event

FOLDER = "lists"
ENDINGS = (".txt", ".csv")
#: a column of this name holds `type:value`
IDENTIFIER = "identifier"


@dataclass(slots=True)
class Listed:
    """Identifiers in order, each once, and (line, reason) of what is none."""

    identifiers: dict[str, None] = field(default_factory=dict)
    rejected: list[tuple[int, str]] = field(default_factory=list)


def read(path: Path, rules: IdentityRules, column: str = "", type: str = "") -> Listed:
    """The identifiers in a file; `column` names the one that holds them, `type` says of which type its values are.

    Lines of a text file are `type:value`, or values of `type`. A table has its columns named in the first line: without
    `column` the one named `identifier`, else those named as identifier types, of which the strongest that a line has
    counts. Raises UserError, OSError.
    """
    if type and type not in rules.types:
        raise UserError(f"there is no identifier type {type!r} ({nearest(type, rules.types)})")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error}") from None
    found = Listed()
    for number, identifier in _cells(path, text.splitlines(), rules, column, type):
        kind, value = split(identifier)
        try:
            if not value:
                raise Refused(f"{identifier!r} is no identifier: write type:value, such as email:ann@example.com")
            found.identifiers[f"{kind}:{normalise(rules, kind, value)}"] = None
        except Refused as reason:
            known = f"; known are {', '.join(rules.types)}" if kind not in rules.types and value else ""
            found.rejected.append((number, f"{reason}{known}"))
    return found


def of_project(folder: Path, rules: IdentityRules) -> tuple[list[Event], list[str]]:
    """What the files in a project's lists/ make of people before anything else happens, for `pathline simulate`, and
    what is wrong in them. Raises UserError, OSError."""
    events, problems = list[Event](), list[str]()
    for path in sorted((folder / FOLDER).glob("*")):
        if path.suffix not in ENDINGS:
            continue
        listed = read(path, rules)
        events += (lists.change(path.stem, identifier, True, 0) for identifier in listed.identifiers)
        problems += (f"{path}:{number}: {reason}" for number, reason in listed.rejected)
    return events, problems


def _cells(path: Path, lines: Sequence[str], rules: IdentityRules, column: str, type: str) -> Iterator[tuple[int, str]]:
    """(line, `type:value`) of each line that has something."""
    if path.suffix != ".csv":
        if column:
            raise UserError(f"{path} has no columns: a table ends in .csv")
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                yield number, f"{type}:{line.strip()}" if type else line.strip()
        return
    table = csv.reader(lines, _dialect(lines))
    header = [name.strip() for name in next(table, [])]
    columns = _columns(path, header, rules, column, type)
    for row in table:
        cells = ((row[place].strip(), kind) for place, kind in columns if place < len(row))
        value, kind = next((cell for cell in cells if cell[0]), ("", ""))
        if value:
            yield table.line_num, f"{kind}:{value}" if kind else value


def _columns(path: Path, header: Sequence[str], rules: IdentityRules, column: str, type: str) -> list[tuple[int, str]]:
    """(place, type of its values, "" for `type:value`) of the columns that hold identifiers, the strongest first."""
    if column:
        if column not in header:
            raise UserError(f"{path} has no column {column!r} ({nearest(column, header)})")
        kind = type or (column if column in rules.types else "")
        return [(header.index(column), kind)]
    if IDENTIFIER in header:
        return [(header.index(IDENTIFIER), type)]
    known = [(header.index(kind), kind) for kind in rules.types if kind in header]
    if not known:
        allowed = ", ".join((IDENTIFIER, *rules.types))
        raise UserError(f"{path}: no column is named as an identifier ({allowed}): say which by --column and --type")
    return known


def _dialect(lines: Sequence[str]) -> type[csv.Dialect]:
    """Comma, unless the first line has more semicolons or tabs."""
    first = lines[0] if lines else ""

    class Dialect(csv.excel):
        delimiter = max(",;\t", key=first.count)

    return Dialect
