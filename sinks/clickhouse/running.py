"""One query of a reader, on a connection of its own: its answer in parts, and a way to stop it.

Opening a connection takes a fraction of a millisecond, and nothing a reader sets outlives the request.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chdb
import orjson

from sinks.clickhouse.asked import Query
from sinks.clickhouse.statements import check, format_of, in_parts, of_no_rows

#: how many lines of an answer in parts are repeated by each part; formats that can't be told in parts are not here
_HEADING = {
    **dict.fromkeys(("CSV", "TSV", "TabSeparated", "TSVRaw", "TabSeparatedRaw", "Native", "RowBinary", "Null"), 0),
    **dict.fromkeys(("JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow", "JSONStringsEachRow"), 0),
    **dict.fromkeys(("CSVWithNames", "TSVWithNames", "TabSeparatedWithNames", "JSONCompactEachRowWithNames"), 1),
    **dict.fromkeys(("CSVWithNamesAndTypes", "TSVWithNamesAndTypes", "TabSeparatedWithNamesAndTypes"), 2),
    "JSONCompactEachRowWithNamesAndTypes": 2,
    **dict.fromkeys(("RowBinaryWithNames", "RowBinaryWithNamesAndTypes"), 0),
}
_BINARY_LISTS = {"RowBinaryWithNames": 1, "RowBinaryWithNamesAndTypes": 2}


class Running:
    """For one thread at a time, except for `stop`."""

    def __init__(self, path: Path, query: Query) -> None:
        self._path = path
        self._query = query
        self._mark = str(uuid.uuid4())
        self._lock = threading.Lock()
        self._parts: Iterator[bytes] = iter(())
        self._connection = chdb.connect(str(path))
        self.format = query.format
        self.timezone = "UTC"
        self.read_rows = self.result_rows = self.result_bytes = 0
        self._began = time.monotonic_ns()

    def start(self) -> None:
        """Check the statement and send it. Raises NotAllowed, ChdbError."""
        ask = self._connection.query
        ask("SET max_query_size = 1000000000")
        [[sql, self.timezone, tables]] = self._told(
            "SELECT formatQuerySingleLine({sql:String}), timezone(),"
            " (SELECT groupArray(name) FROM system.table_functions)",
            {"sql": _escaped(self._query.sql)},
        )
        check(sql, tables)
        self.format = format_of(sql) or self._query.format
        in_some = self.format in _HEADING and in_parts(sql) and not self._query.whole
        settings = self._query.settings | {"log_comment": self._mark}
        if in_some:
            # what is told in parts is never held as a whole
            settings["max_result_bytes"] = "0"
        ask("SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items()))
        ask(f"USE {_identifier(self._query.database)}")
        # this comes last, it forbids all further settings
        ask("SET readonly = 1")
        self._parts = self._some(sql) if in_some else self._all()

    @property
    def elapsed_ns(self) -> int:
        return time.monotonic_ns() - self._began

    def part(self) -> bytes:
        """The next part of the answer, empty at its end. Raises ChdbError."""
        with self._lock:
            return next(self._parts, b"")

    def stop(self) -> None:
        """Make the query end soon; `part` raises then."""
        another = chdb.connect(str(self._path))
        try:
            another.query(f"KILL QUERY WHERE Settings['log_comment'] = '{self._mark}' ASYNC")
        finally:
            another.close()

    def close(self) -> None:
        """Give up what is left, and the connection."""
        with self._lock:
            self._parts = iter(())
            self._connection.close()

    def _all(self) -> Iterator[bytes]:
        result: Any = self._connection.query(self._query.sql, self._query.format, params=self._query.parameters)
        yield self._counted(result)

    def _some(self, sql: str) -> Iterator[bytes]:
        heading = None
        stream = self._connection.send_query(self._query.sql, self._query.format, params=self._query.parameters)
        try:
            for result in stream:
                data = self._counted(result)
                if heading is None:
                    heading = _heading(self.format, data)
                    yield data
                else:
                    yield data[heading:]
        finally:
            stream.close()
        if heading is None:
            yield self._names(sql)

    def _names(self, sql: str) -> bytes:
        """What an answer without rows consists of."""
        if not _HEADING[self.format] and self.format not in _BINARY_LISTS:
            return b""
        return bytes(self._connection.query(of_no_rows(sql), self.format, params=self._query.parameters).bytes())

    def _counted(self, result: Any) -> bytes:
        data = bytes(result.bytes())
        self.read_rows += result.storage_rows_read()
        self.result_rows += result.rows_read()
        self.result_bytes += len(data)
        return data

    def _told(self, sql: str, parameters: dict[str, str]) -> list[list[Any]]:
        rows: list[list[Any]] = orjson.loads(
            bytes(self._connection.query(sql, "JSONCompact", params=parameters).bytes())
        )["data"]
        return rows


def _heading(kind: str, data: bytes) -> int:
    """How many bytes at the beginning of a part each part has."""
    place = 0
    if kind in _BINARY_LISTS:
        count, place = _number(data, 0)
        for _ in range(_BINARY_LISTS[kind] * count):
            size, start = _number(data, place)
            place = start + size
    for _ in range(_HEADING[kind]):
        end = data.index(b"\n", place)
        # a name in CSV may have line breaks, in quotes
        while kind.startswith("CSV") and data.count(b'"', place, end) % 2:
            end = data.index(b"\n", end + 1)
        place = end + 1
    return place


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length (LEB128), and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _escaped(text: str) -> str:
    """Text as parameters are written."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\0", "\\0")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
