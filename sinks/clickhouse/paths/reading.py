"""Reads what analyses go through: events and touches of whole people, their texts as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Flags, Halves, Numbers, Rows, ordered
from sinks.clickhouse.paths.touches import Source

#: rows that are held at once; more are read in several goes, each with people of its own
MOST_ROWS = 8_000_000


class Names:
    """Texts and their numbers, the same in all goes. `clean` gives what stands for texts, null for one that is left
    out."""

    def __init__(self, clean: Callable[[pa.Array], pa.Array] | None = None) -> None:
        self.known: dict[str, int] = {}
        self._clean = clean

    def number(self, text: str) -> int:
        return self.known.setdefault(text, len(self.known))

    def numbers(self, column: pa.Array, apart: Flags | None = None) -> Numbers:
        """The numbers of texts, -1 where one is left out; of what is `apart` each is taken as it is."""
        texts, place = _coded(column)
        clean = texts if self._clean is None else self._clean(texts)
        if apart is None:
            return self._of(clean, place)
        found = np.empty(len(place), dtype=np.int64)
        found[~apart] = self._of(clean, place[~apart])
        found[apart] = self._of(texts, place[apart])
        return found

    def _of(self, texts: pa.Array, place: Numbers) -> Numbers:
        there = np.flatnonzero(np.bincount(place, minlength=len(texts)))
        number = np.empty(len(texts), dtype=np.int64)
        number[there] = [-1 if text is None else self.number(text) for text in texts.take(pa.array(there)).to_pylist()]
        return number[place]


def read(
    warehouse: Warehouse, source: Source, columns: tuple[str, ...], names: Names, wanted: str = ""
) -> Iterator[Rows]:
    """The rows of a source with these columns; what is read at once has whole people only.

    A visit has its first row only, and no row has a node that is left out. People without a row for which `wanted`, an
    expression in SQL, holds are left out. Rows that are `apart` are no nodes: they come before the node of their event.
    """
    read = [*columns]
    if source.gap is not None:
        read.append("visit")
    if wanted:
        read.append(f"toUInt8({wanted}) AS wanted")
    for some in parts(warehouse):
        found = warehouse.arrow(
            f"SELECT toUInt128(person_id) AS person, at, id, {', '.join(read)} FROM {source.sql} WHERE {some}",
            source.parameters,
        )
        if found.num_rows:
            yield from _rows(found.combine_chunks(), columns, names, source.gap)


def parts(warehouse: Warehouse) -> list[str]:
    """Conditions on person_id that part all people so that the rows of each part can be held at once."""
    [total] = warehouse.rows(
        "SELECT (SELECT count() FROM pathline.events_raw) + (SELECT count() FROM pathline.sends_raw) AS rows"
    )
    number = 1 + total["rows"] // MOST_ROWS
    return ["1"] if number == 1 else [f"cityHash64(person_id) % {number} = {part}" for part in range(number)]


def _rows(found: pa.Table, columns: tuple[str, ...], names: Names, gap: int | None) -> Iterator[Rows]:
    people, person = _people(found)
    if "wanted" in found.column_names:
        some = np.zeros(len(people), dtype=bool)
        some[person[_values(found, "wanted") > 0]] = True
        if not some.all():
            there = some[person]
            found, person = found.filter(pa.array(there)).combine_chunks(), person[there]
        if not len(person):
            return
    apart = _values(found, "apart") > 0 if "apart" in columns else None
    values = {
        name: names.numbers(column, apart if name == "node" else None) if _is_text(column) else _values(found, name)
        for name in columns
        for column in [found.column(name).chunk(0)]
    }
    visit = None if gap is None else _numbered(found.column("visit").chunk(0))
    late = None if apart is None else ~apart
    id = _halves(found.column("id").chunk(0))
    for bare, order in ordered(people, person, _values(found, "at"), id, late):
        rows = replace(bare, columns={name: column[order] for name, column in values.items()})
        if visit is not None and gap is not None:
            rows = rows.only(_begins(rows, visit[order], gap))
        if "node" in columns:
            rows = rows.only(rows.columns["node"] >= 0)
        if len(rows.key):
            yield rows


def _begins(rows: Rows, visit: Numbers, gap: int) -> Flags:
    """Which rows are of no visit or begin one: those that come `gap` or later after the last in their channel."""
    begins = np.ones(len(visit), dtype=bool)
    for channel in np.unique(visit[visit >= 0]).tolist():
        there = np.flatnonzero(visit == channel)
        key = rows.key[there]
        goes_on = (np.diff(key) < gap) & (np.diff(key // rows.span) == 0)
        begins[there[1:][goes_on]] = False
    return begins


def _people(found: pa.Table) -> tuple[Halves, Numbers]:
    """Ids of persons, ascending, and their numbers by row: the same whatever order rows come in, and so are sums."""
    encoded = pc.dictionary_encode(found.column("person").chunk(0))
    people = _halves(encoded.dictionary)
    order = np.lexsort(people.T)
    number = np.empty(len(people), dtype=np.int64)
    number[order] = np.arange(len(people))
    return people[order], number[encoded.indices.to_numpy()]


def _numbered(column: pa.Array) -> Numbers:
    """Numbers that tell texts apart, -1 for an empty one."""
    names = Names()
    names.known[""] = -1
    return names.numbers(column)


def _coded(column: pa.Array) -> tuple[pa.Array, Numbers]:
    """Texts, and for each row the place of its own among them."""
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _is_text(column: pa.Array) -> bool:
    kind = column.type
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _values(found: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = found.column(name).chunk(0).to_numpy(zero_copy_only=False)
    return values


def _halves(ids: pa.Array) -> Halves:
    # little-endian, as the engine has them
    return np.frombuffer(ids.buffers()[1], dtype="<u8").reshape(-1, 2)[ids.offset : ids.offset + len(ids)]
