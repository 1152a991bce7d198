"""Parquet: a row a message, by a mapping file or by columns that are named as the fields are.

Columns inside others are named `outer.inner`. A row has no bytes of its own: what is rejected is kept as its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.inbound.files.base import BadSource, Item
from connectors.inbound.files.mapping import Mapping, named_as_fields
from connectors.inbound.files.reading import Input
from connectors.inbound.files.rows import Rows
from connectors.inbound.files.values import BadValue, plain

_ROWS = 8_192
_UTC = ZoneInfo("UTC")


class ParquetRows:
    """A Parquet file of events, in the order of its rows."""

    def __init__(self, input: Input, mapping: Mapping | None = None) -> None:
        if input.path is None:
            raise BadSource("Parquet can't be read from standard input: it begins at its end")
        self._input, self._given = input, mapping
        try:
            self._file = pq.ParquetFile(input.path)
        except pa.ArrowInvalid as error:
            raise BadSource(f"{input.name} is not a whole Parquet file: {error}") from None
        schema = self._file.schema_arrow
        if mapping is None:
            self._mapping = named_as_fields(input.name, schema.names)
        else:
            self._mapping = mapping.over(input.name, _names(schema))
        self._top = list(dict.fromkeys(_top(schema, column.name) for column in self._mapping.columns))
        self._getters = [self._getter(column.name) for column in self._mapping.columns]
        self._rows = Rows(self._mapping, range(len(self._getters)))
        self._done = 0

    def __reduce__(self) -> tuple[Any, ...]:
        # an open file can't go to another process
        return ParquetRows, (self._input, self._given)

    @property
    def id(self) -> str:
        return f"parquet:{self._input.id}"

    def share(self) -> float | None:
        total = self._file.metadata.num_rows
        return self._done / total if total else 1.0

    def items(self) -> Iterator[Item]:
        self._done = 0
        for batch in self._file.iter_batches(_ROWS, columns=self._top):
            columns = [batch.column(name).to_pylist() for name in self._top]
            for row in zip(*columns, strict=True):
                yield self._item(row)
            self._done += batch.num_rows

    def _item(self, row: tuple[Any, ...]) -> Item:
        try:
            return Item.of(self._rows.message([get(row) for get in self._getters]))
        except (BadValue, TypeError) as error:
            named = dict(zip(self._top, row, strict=True))
            return Item(orjson.dumps(_shown(named)), None, str(error))

    def _getter(self, name: str) -> Callable[[tuple[Any, ...]], Any]:
        top = _top(self._file.schema_arrow, name)
        place, path = self._top.index(top), name.removeprefix(top).split(".")[1:]
        if not path:
            return itemgetter(place)

        def get(row: tuple[Any, ...]) -> Any:
            value = row[place]
            for part in path:
                value = None if value is None else value.get(part)
            return value

        return get


def _names(schema: pa.Schema) -> list[str]:
    """All columns, those inside others after them."""
    found: list[str] = []

    def add(prefix: str, field: pa.Field) -> None:
        found.append(prefix + field.name)
        if pa.types.is_struct(field.type):
            for inner in field.type:
                add(f"{prefix}{field.name}.", inner)

    for field in schema:
        add("", field)
    return found


def _top(schema: pa.Schema, name: str) -> str:
    """The column of the file that holds this one; names of columns may have dots themselves."""
    tops: list[str] = [top for top in schema.names if name == top or name.startswith(f"{top}.")]
    return max(tops, key=len)


def _shown(value: Any) -> Any:
    """A value as JSON, whatever it is."""
    if isinstance(value, dict):
        return {str(name): _shown(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    try:
        return plain(value, _UTC)
    except BadValue:
        return repr(value)
