"""JSON lines: one message of the Segment spec a line, plain or gzip."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from connectors.inbound.files.base import BadSource, Item


class SegmentJsonl:
    """A file of messages, in the order of its lines."""

    def __init__(self, source: str) -> None:
        self._path = Path(source)
        if not self._path.is_file():
            raise BadSource(f"no such file: {source}")

    @property
    def id(self) -> str:
        return f"segment:{self._path.resolve()}"

    def items(self) -> Iterator[Item]:
        with self._open() as lines:
            for number, line in enumerate(lines):
                # Windows programs begin a file with a mark that is no part of the JSON
                raw = (line if number else line.removeprefix(codecs.BOM_UTF8)).strip()
                if raw:
                    yield _item(raw)

    def _open(self) -> BinaryIO:
        if self._path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(self._path, "rb"))
        return self._path.open("rb")


def _item(raw: bytes) -> Item:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Item(raw, None, f"not JSON: {error}")
    if not isinstance(message, dict):
        return Item(raw, None, "not a JSON object")
    return Item(raw, message)
