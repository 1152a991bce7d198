"""One embedded engine for all tests here: a process can have only one open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.clickhouse.app import serving
from sinks.clickhouse.engine import Warehouse, open_embedded
from sinks.clickhouse.http import application
from sinks.clickhouse.tables import COLUMNS


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    opened = open_embedded(tmp_path_factory.mktemp("line") / "warehouse")
    yield opened
    opened.close()


@pytest.fixture
def warehouse(engine: Warehouse) -> Warehouse:
    """The warehouse, empty."""
    for table in COLUMNS:
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    engine.command("SYSTEM RELOAD DICTIONARY pathline.slot_owner")
    return engine


@pytest.fixture
def home(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose line says where its warehouse is, and a project in the current folder."""
    assert warehouse.path is not None
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project.yaml").write_text("name: shop\n")
    (tmp_path / "channels.yaml").write_text("web: {kind: session}\nstore: {}\n")
    (tmp_path / "run").mkdir()
    with serving(application(warehouse.path, "pw"), 0, "test") as port:
        url = f"http://127.0.0.1:{port}/?user=pathline&password=pw"
        (tmp_path / "run" / "line.json").write_text(json.dumps({"warehouse": url}))
        yield tmp_path
