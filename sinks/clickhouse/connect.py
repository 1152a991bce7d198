"""The warehouse of a line, for those who read it: through the running line, else by opening its files."""

from __future__ import annotations

import json
from pathlib import Path

from schemas.settings import Settings
from sinks.clickhouse.engine import Warehouse, WarehouseError, open_embedded, open_server


def connect(settings: Settings, prepare: bool = True) -> Warehouse:
    """A warehouse to read from: the configured server, else that of the line that runs in this home (only its sink can
    have the files open), else the files themselves, which `prepare` brings to this version's schema.

    Raises WarehouseError when there is none.
    """
    if settings.warehouse:
        return open_server(settings.warehouse, prepare=False)
    published = _published(settings.home)
    if published:
        try:
            return open_server(published, prepare=False)
        except WarehouseError as unreachable:
            # left behind by a line that was killed, or its sink is just starting
            return _files(settings.home, str(unreachable), prepare)
    return _files(settings.home, "no line runs there", prepare)


def folder(home: Path) -> Path:
    """Where the embedded warehouse of a line keeps its files."""
    return home / "warehouse"


def _published(home: Path) -> str:
    try:
        return str(json.loads((home / "run" / "line.json").read_text("utf-8")).get("warehouse", ""))
    except FileNotFoundError:
        return ""


def _files(home: Path, why: str, prepare: bool) -> Warehouse:
    if not folder(home).is_dir():
        raise WarehouseError(
            f"there is no warehouse in {home}: start a line with pathline up, or load history with"
            f" pathline load FILE --into warehouse ({why})"
        )
    try:
        return open_embedded(folder(home), prepare)
    except WarehouseError as error:
        raise WarehouseError(f"{error} ({why})") from error
