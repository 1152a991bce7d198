"""CSV: a row a message, by a mapping file or by columns that are named as the fields are."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from connectors.inbound.files.base import BadSource, Item
from connectors.inbound.files.mapping import Mapping, named_as_fields
from connectors.inbound.files.reading import Input
from connectors.inbound.files.rows import Rows
from connectors.inbound.files.values import BadValue
from schemas.topics import EDGE_BYTES

DELIMITERS = ",;\t|"
#: how UTF-16 begins, where UTF-8 was expected
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")


class CsvRows:
    """A CSV file of events; rows keep their bytes, and `head` has those of the line that names the columns."""

    def __init__(self, input: Input, mapping: Mapping | None = None) -> None:
        self._input = input
        self._given = mapping
        self._encoding = mapping.encoding if mapping else "utf-8"
        # lines of UTF-16 can't stand beside one another: their ends are not those of bytes
        self._kept_as = self._encoding if "\n".encode(self._encoding) == b"\n" else "utf-8"
        self.head = b""
        if input.path is not None:
            # what is wrong with its columns is said before anything is loaded
            with input.opened() as binary:
                self._begin(self._lines(binary))

    @property
    def id(self) -> str:
        return f"csv:{self._input.id}"

    def share(self) -> float | None:
        return self._input.share()

    def items(self) -> Iterator[Item]:
        with self._input.opened() as binary:
            lines = self._lines(binary)
            if (begun := self._begin(lines)) is None:
                return
            rows, names, delimiter = begun
            for raw, values in _records(lines, delimiter):
                yield self._item(raw, values, rows, len(names))

    def _lines(self, binary: BinaryIO) -> Iterator[str]:
        # Excel begins UTF-8 with a mark that is no part of the first name
        encoding = "utf-8-sig" if self._encoding == "utf-8" else self._encoding
        try:
            yield from io.TextIOWrapper(binary, encoding, "surrogateescape", newline="")
        except UnicodeError as error:
            # bytes by themselves are told with their row; what UTF-16 has no place for ends the text
            raise BadSource(f"{self._input.name} is not {self._encoding}: {error}") from None

    def _begin(self, lines: Iterator[str]) -> tuple[Rows, Sequence[str], str] | None:
        """What makes messages, the columns, the delimiter; None when the file is empty. Raises BadSource."""
        given, name = self._given, self._input.name
        first = ""
        if given is None or not given.header:
            first = next((line for line in lines if line.strip()), "")
            if not first:
                return None
            if first.startswith(_UTF_16):
                raise BadSource(f"{name} is UTF-16: say so in a mapping file, encoding: utf-16 (--mapping FILE)")
        delimiter = given.delimiter if given and given.delimiter else max(DELIMITERS, key=first.count)
        if given and given.header:
            if not given.delimiter:
                raise BadSource(f'{given.file}: say the delimiter of a file without a header: delimiter: ";"')
            names: Sequence[str] = given.header
        else:
            self.head = first.encode(self._kept_as, "surrogateescape").rstrip(b"\r\n")
            names = [one.strip() for one in next(csv.reader([first], delimiter=delimiter))]
        mapping = named_as_fields(name, names) if given is None else given.over(name, names)
        return Rows(mapping, [names.index(column.name) for column in mapping.columns]), names, delimiter

    def _item(self, text: str, values: list[str] | str, rows: Rows, count: int) -> Item:
        bare = text.rstrip("\r\n")
        try:
            raw = bare.encode(self._kept_as)
        except UnicodeEncodeError:
            raw = bare.encode(self._kept_as, "surrogateescape")
            return Item(raw, None, f"not {self._encoding}: a mapping file names another `encoding`")
        if isinstance(values, str):
            return Item(raw, None, f"not CSV: {values}")
        if len(values) != count:
            return Item(raw, None, f"{len(values)} values, there are {count} columns")
        try:
            return Item(raw, rows.message(values))
        except BadValue as error:
            return Item(raw, None, str(error))


def _records(lines: Iterator[str], delimiter: str) -> Iterator[tuple[str, list[str] | str]]:
    """(text, values or what is wrong) of each record. Of one whose quotes don't end only the first line is lost."""
    csv.field_size_limit(EDGE_BYTES)
    again: deque[str] = deque()
    taken: list[str] = []

    def fed() -> Iterator[str]:
        while True:
            line = again.popleft() if again else next(lines, None)
            if line is None:
                return
            taken.append(line)
            yield line

    reader = csv.reader(fed(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield taken[0], str(error)
            again.extendleft(reversed(taken[1:]))
            reader = csv.reader(fed(), delimiter=delimiter, strict=True)
            continue
        if values:
            yield taken[0] if len(taken) == 1 else "".join(taken), values
