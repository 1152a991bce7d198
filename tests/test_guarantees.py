"""docs/guarantees.md names the test of each promise; the names are those of tests."""

from __future__ import annotations

import re
from pathlib import Path

from processors.runtime.points import Point

ROOT = Path(__file__).parent.parent
PROMISES = (ROOT / "docs" / "guarantees.md").read_text("utf-8")


def test_every_test_named_in_the_guarantees_exists() -> None:
    tests = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    named = re.findall(r"`(test_[^`]*)`", PROMISES)
    assert named
    assert [name for name in named if name not in tests] == []


def test_every_crash_point_of_the_runtime_has_a_row_in_the_guarantees() -> None:
    rows = [line.split("|")[1] for line in PROMISES.splitlines() if line.startswith("|")]
    assert [point for point in Point if not any(f"`{point}`" in row for row in rows)] == []
