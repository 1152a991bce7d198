"""Files as they are read: packed ones unpacked, how much of them is read, and what a file of another format is."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from connectors.inbound.files.base import BadSource

STDIN = "-"
PACKED = (".gz", ".zst")
_GZIP, _ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
#: what files that can't be read begin with
_OTHERS = {
    b"PK\x03\x04": "a zip or Excel file: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"Obj\x01": "an Avro file: JSON lines, CSV and Parquet can be read",
    b"ORC": "an ORC file: JSON lines, CSV and Parquet can be read",
    b"SQLite format 3": "an SQLite database: JSON lines, CSV and Parquet can be read",
}


class Input:
    """One file, plain, gzip or zstd whatever its name says, or standard input (`-`), which can be read once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = None if name == STDIN else Path(name)
        if self.path is not None and not self.path.is_file():
            raise BadSource(f"no such file: {name}")
        head = b"" if self.path is None else _head(self.path)
        for magic, what in _OTHERS.items():
            if head.startswith(magic):
                raise BadSource(f"{name} is {what}")
        self._magic = head
        self._under: BinaryIO | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # an open file can't go to another process
        return Input, (self.name,)

    @property
    def id(self) -> str:
        """The same for the same file."""
        return "stdin" if self.path is None else str(self.path.resolve())

    @property
    def kind(self) -> str:
        """`parquet`, `csv` or `jsonl`, by content, then by name."""
        if self._magic.startswith(PARQUET):
            return "parquet"
        bare = Path(self.name)
        suffix = (bare.with_suffix("") if bare.suffix.lower() in PACKED else bare).suffix.lower()
        return {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}.get(suffix, "jsonl")

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Its bytes, unpacked. Raises BadSource when they can't be."""
        if self.path is None:
            yield sys.stdin.buffer
            return
        with self.path.open("rb") as under:
            self._under = under
            try:
                yield self._unpacked(under)
            except (EOFError, gzip.BadGzipFile, pa.ArrowInvalid) as error:
                raise BadSource(f"{self.name} can't be unpacked: {error}") from None

    def share(self) -> float | None:
        """How much of it is read, 0 to 1; None when that is not known."""
        if self.path is None or self._under is None:
            return None
        size = self.path.stat().st_size
        position = size if self._under.closed else self._under.tell()
        return min(1.0, position / size) if size else 1.0

    def _unpacked(self, under: BinaryIO) -> BinaryIO:
        if self._magic.startswith(_GZIP):
            return cast(BinaryIO, gzip.open(under, "rb"))
        if self._magic.startswith(_ZSTD):
            import io

            stream = pa.CompressedInputStream(pa.PythonFile(under, "r"), "zstd")
            return cast(BinaryIO, io.BufferedReader(stream, 1 << 20))
        return under


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
