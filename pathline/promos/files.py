"""Pools of promo codes as people keep them: a text file with a code a line, or a table with a column of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pathline.errors import UserError
from schemas.definitions.model import Project, Promo
from schemas.definitions.problems import nearest
from schemas.records import PromoCode

#: longest code, in characters
LONGEST = 200


def read(path: Path, column: str = "") -> list[str]:
    """The codes in a file, each once, in order; of a table those of the column named, else of the first.

    A table ends in .csv and has its columns named in the first line. Raises UserError, OSError.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error}") from None
    codes: dict[str, None] = {}
    for number, code in _codes(path, text, column):
        if len(code) > LONGEST or not code.isprintable():
            raise UserError(f"{path}:{number}: no code that people could type")
        codes[code] = None
    return list(codes)


def of_project(folder: Path, project: Project) -> tuple[list[PromoCode], list[str]]:
    """The codes in the files of a project's pools, for `pathline simulate`, and what is wrong with them. Raises
    OSError."""
    codes, problems = list[PromoCode](), list[str]()
    for promo in pools(project):
        try:
            codes += (PromoCode(promo=promo.name, code=code, at=0) for code in of_promo(folder, promo))
        except UserError as error:
            problems.append(str(error))
    return codes, problems


def pools(project: Project) -> list[Promo]:
    """Promos whose codes come from files."""
    return [promo for promo in project.promos.values() if promo.file]


def of_promo(folder: Path, promo: Promo) -> list[str]:
    """The codes in the file of a promo. Raises UserError, OSError."""
    path = folder / promo.file
    if not path.is_file():
        raise UserError(f"promos.yaml: {promo.name} has no file {promo.file}")
    return read(path, promo.column)


def _codes(path: Path, text: str, column: str) -> Iterator[tuple[int, str]]:
    """(line, code) of each line that has one."""
    lines = text.splitlines()
    if path.suffix != ".csv":
        if column:
            raise UserError(f"{path} has no columns: a table ends in .csv")
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                yield number, line.strip()
        return
    table = csv.reader(lines)
    header = [name.strip() for name in next(table, [])]
    if column and column not in header:
        raise UserError(f"{path} has no column {column!r} ({nearest(column, header)})")
    place = header.index(column) if column else 0
    for row in table:
        if place < len(row) and row[place].strip():
            yield table.line_num, row[place].strip()
