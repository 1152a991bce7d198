"""Rows of many people as arrays, in order of person, time and event id, for what SQL can't say in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.touches import Source

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
#: rows that are held at once; more are read in several goes, each with people of its own
MOST_ROWS = 8_000_000
_LARGEST_KEY = 2**62


@dataclass(frozen=True, slots=True)
class Rows:
    """`key` = person * span + milliseconds since the first row of the person: it ascends, and a difference of keys of
    one person is a time. `columns` are the other values of the rows."""

    key: Numbers
    span: int
    columns: Mapping[str, NDArray[Any]]

    @property
    def person(self) -> Numbers:
        """Numbers of the persons from 0 on."""
        found: Numbers = self.key // self.span
        return found

    def ends(self, keys: Numbers, after: int) -> Numbers:
        """The last key less than `after` milliseconds later, of the same person."""
        last = keys - keys % self.span + (self.span - 1)
        found: Numbers = np.minimum(keys + (min(after, self.span) - 1), last)
        return found


class Names:
    """Texts and their numbers, the same in all goes."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.known.setdefault(text, len(self.known))

    def numbers(self, texts: pa.Array) -> Numbers:
        encoded = pc.dictionary_encode(texts)
        numbers = [self.number(text) for text in encoded.dictionary.to_pylist()]
        found: Numbers = np.array(numbers, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
        return found


def read(
    warehouse: Warehouse, source: Source, columns: tuple[str, ...], names: Names, wanted: str = "1"
) -> Iterator[Rows]:
    """The rows of a subquery with person_id, at, id and these columns; texts become numbers of `names`.

    People without a row for which `wanted` holds are left out. What is read at once has whole people only.
    """
    for some in parts(warehouse):
        found = warehouse.arrow(
            f"SELECT toUInt128(person_id) AS person, at, {', '.join(columns)}, toUInt8({wanted}) AS wanted"
            f" FROM {source.sql} WHERE {some}"
            " ORDER BY person_id, at, id",
            source.parameters,
        ).combine_chunks()
        if found.num_rows:
            yield from _rows(found, columns, names)


def parts(warehouse: Warehouse) -> list[str]:
    """Conditions on person_id that part all people so that the rows of each part can be held at once."""
    [total] = warehouse.rows(
        "SELECT (SELECT count() FROM pathline.events_raw) + (SELECT count() FROM pathline.sends_raw) AS rows"
    )
    number = 1 + total["rows"] // MOST_ROWS
    return [f"cityHash64(person_id) % {number} = {part}" for part in range(number)]


def changes(column: pa.Array) -> Flags:
    """Where a value differs from the one before, which it does at the beginning."""
    differs = np.ones(len(column), dtype=bool)
    if len(column) > 1:
        differs[1:] = pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return differs


def _rows(found: pa.Table, columns: tuple[str, ...], names: Names) -> Iterator[Rows]:
    first = np.flatnonzero(changes(found.column("person").chunk(0)))
    wanted = np.maximum.reduceat(found.column("wanted").to_numpy(), first) > 0
    if not wanted.any():
        return
    lengths = np.diff(first, append=found.num_rows)
    if not wanted.all():
        found = found.filter(pa.array(np.repeat(wanted, lengths))).combine_chunks()
        lengths = lengths[wanted]
        first = np.cumsum(lengths) - lengths
    at = found.column("at").to_numpy()
    since = at - np.repeat(at[first], lengths)
    values = {}
    for name in columns:
        column = found.column(name).chunk(0)
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        values[name] = names.numbers(column) if text else column.to_numpy(zero_copy_only=False)
    span = int(since.max()) + 1
    # a stray event decades away makes keys that no number holds: then fewer people at a time
    people = max(1, min(len(lengths), _LARGEST_KEY // span))
    for start in range(0, len(lengths), people):
        size = lengths[start : start + people]
        rows = slice(int(first[start]), int(first[start] + size.sum()))
        person = np.repeat(np.arange(len(size), dtype=np.int64), size)
        yield Rows(person * span + since[rows], span, {name: column[rows] for name, column in values.items()})
