"""A home with a warehouse, and its endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.clickhouse.app import serving
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.http import application


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
