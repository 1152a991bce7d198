"""What loads of history keep in the home: links that were found, and lines that were rejected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from pathline.erasing.letters import mention
from pathline.history.links import links_of
from schemas.identifiers import split


def of(home: Path, identifiers: Collection[str]) -> int:
    """How many links and lines have one of these identifiers."""
    found = sum(link.a in identifiers or link.b in identifiers for link in links_of(home).read())
    return found + sum(len(_theirs(path, identifiers)) for path in _rejected(home))


def erase(home: Path, identifiers: Collection[str]) -> None:
    """Take the links and lines of these identifiers away; doing it again is harmless."""
    links_of(home).forget(identifiers)
    for path in _rejected(home):
        if theirs := set(_theirs(path, identifiers)):
            # a load that was interrupted goes on at this size
            unfinished = path.suffix == ".rejected"
            lines = path.read_bytes().split(b"\n")
            kept = [
                line if number not in theirs else b" " * len(line)
                for number, line in enumerate(lines)
                if unfinished or number not in theirs
            ]
            part = path.with_suffix(".part")
            part.write_bytes(b"\n".join(kept))
            part.replace(path)


def _rejected(home: Path) -> list[Path]:
    return sorted([*home.glob("history/rejected.*"), *home.glob("history/loads/*.rejected")])


def _theirs(path: Path, identifiers: Iterable[str]) -> list[int]:
    """Numbers of the lines in which one of these identifiers stands: as in a message, or as a cell of a table."""
    values = b"|".join(re.escape(split(identifier)[1].encode()) for identifier in identifiers)
    cell = re.compile(rb'(?:^|[,;\t|"])\s*(?:' + values + rb')\s*(?:$|[,;\t|"])', re.IGNORECASE)
    message = mention(identifiers)
    return [
        number
        for number, line in enumerate(path.read_bytes().split(b"\n"))
        if (message if line.startswith(b"{") else cell).search(line)
    ]
