"""Pools of promo codes on a real Kafka: each code once, spread evenly over the partitions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pathline.cli import app
from pathline.commands.apply import fill_pools
from pathline.erasing.reading import records
from schemas.codec import Codec
from schemas.definitions import load
from schemas.kafka import apply_topics
from schemas.records import PromoCode
from schemas.settings import Settings
from schemas.topics import PROMOS

#: as the other tests on this broker have them
PARTITIONS = 8


@pytest.fixture
def settings(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    settings = Settings(partitions=PARTITIONS)
    apply_topics(settings, ["email"])
    return settings


def codes(settings: Settings, promo: str) -> list[tuple[str, int]]:
    """(code, partition) of a pool."""
    found = records(settings.brokers, PROMOS, list(range(PARTITIONS)))
    told = [(Codec().decode(PromoCode, m.value()), m.partition() or 0) for m in found]
    return sorted((code.code, partition) for code, partition in told if code.promo == promo)


def pathline(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["promos", *arguments])
    assert done.exit_code == code, done.output
    return done.output + str(done.exception or "")


def test_a_file_is_loaded_once_however_often_it_is(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "codes.txt"
    file.write_text("".join(f"C{n:03}\n" for n in range(100)) + "C007\n# no code\n\n", "utf-8")
    assert "once: 100 new codes, 0 were there already" in pathline("load", "once", str(file))
    file.write_text("".join(f"C{n:03}\n" for n in range(50, 120)), "utf-8")
    assert "once: 20 new codes, 50 were there already" in pathline("load", "once", str(file))
    there = codes(settings, "once")
    assert [code for code, _ in there] == [f"C{n:03}" for n in range(120)]
    assert set(Counter(partition for _, partition in there).values()) == {15}


def test_apply_fills_the_pools_of_a_project(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "promos").mkdir(parents=True)
    (folder / "project.yaml").write_text("name: shop\n", "utf-8")
    text = "filled: {file: promos/filled.csv, column: code}\nempty: {file: promos/none.txt}\nmade: {generate: {}}\n"
    (folder / "promos.yaml").write_text(text, "utf-8")
    (folder / "promos/filled.csv").write_text("id,code\n1,X1\n2,X2\n", "utf-8")
    for _ in range(2):
        fill_pools(settings, folder, load(folder))
    assert [code for code, _ in codes(settings, "filled")] == ["X1", "X2"]


@pytest.mark.parametrize(
    ("name", "text", "column", "message"),
    [
        ("codes.txt", "A" * 201, "", "no code that people could type"),
        ("codes.txt", "A1", "code", "has no columns"),
        ("codes.csv", "id,code\n1,A1\n", "cod", "has no column 'cod'"),
        ("missing.txt", None, "", "no such file"),
    ],
)
def test_what_can_not_be_loaded(
    settings: Settings, tmp_path: Path, name: str, text: str | None, column: str, message: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text, "utf-8")
    arguments = ["load", "wrong", str(file), *(["--column", column] if column else [])]
    assert message in pathline(*arguments, code=1)
