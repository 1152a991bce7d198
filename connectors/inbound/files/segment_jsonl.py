"""JSON lines: one message of the Segment spec a line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import orjson

from connectors.inbound.files.base import BadSource, Item
from connectors.inbound.files.reading import Input

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SegmentJsonl:
    """A file of messages, in the order of its lines; plain, gzip or zstd."""

    def __init__(self, source: str) -> None:
        self._input = Input(source)
        if self._input.kind == "parquet":
            raise BadSource(f"{source} is a Parquet file, not JSON lines")

    @property
    def id(self) -> str:
        return f"segment:{self._input.id}"

    def share(self) -> float | None:
        return self._input.share()

    def items(self) -> Iterator[Item]:
        with self._input.opened() as lines:
            for number, line in enumerate(lines):
                if not number and (line.startswith(_UTF_16) or b"\0" in line[:4]):
                    name = self._input.name
                    raise BadSource(f"{name} is UTF-16, JSON lines are UTF-8: iconv -f UTF-16 -t UTF-8 {name}")
                # Windows programs begin a file with a mark that is no part of the JSON
                raw = (line if number else line.removeprefix(codecs.BOM_UTF8)).strip()
                if raw:
                    if not number and raw.startswith(b"[") and not raw.endswith(b"]"):
                        raise BadSource(f"{self._input.name} is one JSON array: one message a line is expected")
                    yield _item(raw)


def _item(raw: bytes) -> Item:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Item(raw, None, f"not JSON: {error}")
    if not isinstance(message, dict):
        return Item(raw, None, "not a JSON object")
    return Item(raw, message)
