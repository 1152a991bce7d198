"""What loads of history keep in the home of somebody who is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.inbound.files import open_source
from pathline.erasing import files
from pathline.history import load as history
from pathline.history.links import links_of
from schemas.definitions import parse
from schemas.erasure import mark
from schemas.identifiers import slot_of
from schemas.records import Link
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.tables import arrow
from tests.line.project import IDENTITY
from tests.sinks.made import T0

ANN = ["user_id:ann", "email:ann@example.com", "anonymous_id:a1"]
PROJECT = parse({"project.yaml": "name: shop", "identity.yaml": IDENTITY})


def link(a: str, b: str) -> Link:
    return Link(a=a, b=b, seen_at=T0, source="s", event_id=f"{a}/{b}")


def test_her_links_go_and_those_of_others_are_published_once(tmp_path: Path) -> None:
    kept = links_of(tmp_path)
    others = [link("user_id:ben", "anonymous_id:b1"), link("user_id:ben", "anonymous_id:b2")]
    kept.add([link(ANN[0], ANN[1]), others[0], link(ANN[0], ANN[2]), others[1]])
    # the line has three of them
    (tmp_path / "history" / "published.json").write_text("3")
    assert files.of(tmp_path, ANN) == 2
    files.erase(tmp_path, ANN)
    assert (files.of(tmp_path, ANN), kept.read()) == (0, others)
    assert json.loads((tmp_path / "history" / "published.json").read_text()) == 1
    files.erase(tmp_path, ANN)
    assert kept.read() == others
    files.erase(tmp_path / "nothing was loaded here", ANN)


@pytest.mark.parametrize(
    ("name", "theirs", "others"),
    [
        ("rejected.jsonl", [b'{"type":"track","userId":"ann"}', b'{"traits":{"email": "Ann@example.com"}}'],
         [b'{"userId":"anna"}', b'{"event":"ann","userId":"ben"}']),
        ("rejected.csv", [b"ann,12", b'"7";"ann@example.com";x', b"x, A1 "],
         [b"userId,total", b"anna,1", b"b@ann.de,1"]),
    ],
)  # fmt: skip
def test_rejected_lines_that_name_her_go(tmp_path: Path, name: str, theirs: list[bytes], others: list[bytes]) -> None:
    path = tmp_path / "history" / name
    path.parent.mkdir()
    path.write_bytes(b"".join(line + b"\n" for pair in (others, theirs, others) for line in pair))
    assert files.of(tmp_path, ANN) == len(theirs)
    files.erase(tmp_path, ANN)
    assert path.read_bytes() == b"".join(line + b"\n" for line in [*others, *others])
    # a load that was interrupted knows the size of its own
    unfinished = tmp_path / "history" / "loads" / "x.rejected"
    unfinished.parent.mkdir()
    unfinished.write_bytes(b"\n".join([*theirs, *others]))
    files.erase(tmp_path, ANN)
    assert unfinished.read_bytes() == b"\n".join([*(b" " * len(line) for line in theirs), *others])
    assert files.of(tmp_path, ANN) == 0


@pytest.fixture
def forgotten(warehouse: Warehouse) -> Warehouse:
    marks = [("slot", mark(slot_of(one))) for one in ANN] + [("identifier", mark(one)) for one in ANN]
    rows = [(kind, mark, T0, "updates", 0, number) for number, (kind, mark) in enumerate(marks)]
    warehouse.insert("erasures", arrow("erasures", rows), "erased")
    return warehouse


def test_a_file_that_is_loaded_again_brings_nothing_of_her_back(forgotten: Warehouse, tmp_path: Path) -> None:
    told = {"type": "track", "event": "E", "timestamp": "2026-02-01T00:00:00Z"}
    made = [told | {"userId": who, "anonymousId": device} for who, device in (("ann", "a1"), ("ben", "b1"))]
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(map(json.dumps, made)))
    loaded = history._Load(tmp_path, PROJECT, open_source(str(path)), forgotten, lambda _: None).run()
    assert (loaded.accepted, loaded.rejected, list(loaded.reasons)) == (1, 1, ["of somebody who was erased"])
    assert [(one.a, one.b) for one in links_of(tmp_path).read()] == [("user_id:ben", "anonymous_id:b1")]
    assert files.of(tmp_path, ANN) == 0
