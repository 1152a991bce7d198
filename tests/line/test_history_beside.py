"""A long source is read in a process of its own as it is read here."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.inbound.files import open_source, open_sources
from connectors.inbound.files.base import BadSource, Source
from connectors.inbound.files.position import Position
from pathline.history import beside
from pathline.history.reading import Piece, Task, read
from tests.connectors.doubles import RULES


@pytest.fixture(autouse=True)
def _short_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LONG", 20)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def lines(number: int) -> bytes:
    made = [
        b"{broken"
        if n % 9 == 8
        else orjson.dumps({"type": "page", "userId": f"u{n}", "timestamp": f"2026-01-0{n % 9}"})
        for n in range(number)
    ]
    return b"\n".join(made)


def every_format(folder: Path) -> Source:
    """JSON lines, CSV and Parquet as one source."""
    rows = [{"userId": f"u{n}", "timestamp": "2026-01-01", "event": "E"} for n in range(30)]
    (folder / "a.jsonl").write_bytes(lines(35))
    (folder / "b.csv").write_text("\n".join(["userId,timestamp,event", *(",".join(row.values()) for row in rows)]))
    pq.write_table(pa.Table.from_pylist(rows), folder / "c.parquet")
    return open_sources([str(folder / name) for name in ("a.jsonl", "b.csv", "c.parquet")])


def task(source: Source) -> Task:
    return Task(source, RULES, "load:x", 10, began=5, anew=6, position=Position())


def test_pieces_are_those_read_here_also_behind_a_position(tmp_path: Path) -> None:
    whole = task(every_format(tmp_path))
    here = list(read(whole))
    assert (len(here), sum(len(piece.events) for piece in here)) == (10, 88)
    assert list(beside.pieces(whole)) == here
    behind = Position(here[3].count, here[3].digest)
    assert list(beside.pieces(replace(whole, position=behind))) == here[4:]


def test_another_source_under_the_same_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    whole = task(every_format(tmp_path))
    found = list(beside.pieces(replace(whole, position=Position(40, "of another one"))))
    anew = list(read(replace(whole, began=whole.anew)))
    assert found == anew
    assert anew[0].events[0].received_at == whole.anew


def test_a_source_that_no_other_process_can_have_is_read_here(tmp_path: Path) -> None:
    whole = task(every_format(tmp_path))
    # a format of another package
    whole.source.opened = lambda: None  # type: ignore[attr-defined]
    assert list(beside.pieces(whole)) == list(read(whole))


def test_what_is_wrong_far_into_a_source_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(lines(40_000), 1)[:-2_000])
    found = list[Piece]()
    with pytest.raises(BadSource, match="can't be unpacked"):
        found.extend(beside.pieces(task(open_source(str(path)))))
    assert len(found) > 100
