"""Crash points: who asks for one that does not exist is told, and nobody dies twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processors.runtime.points import VARIABLE, Point, crash_of

PASS_TWICE = "from processors.runtime.points import *; [reached('app', Point.AFTER_BEGIN) for _ in range(2)]"


def passes(at: str) -> int:
    """Exit code of a process that passes one point twice."""
    return subprocess.run([sys.executable, "-c", PASS_TWICE], env={VARIABLE: at}, check=False).returncode


def test_a_process_dies_once_where_it_was_told_to(tmp_path: Path) -> None:
    there = f"app:{Point.AFTER_BEGIN}:1:{tmp_path / 'died'}"
    assert passes(there) == -signal.SIGKILL
    assert passes(there) == 0, "a second start runs on"


@pytest.mark.parametrize("other", [("other", "after begin", 0), ("app", "after commit", 0), ("app", "after begin", 2)])
def test_another_app_another_point_and_a_point_passed_too_seldom_are_passed(
    other: tuple[str, str, int], tmp_path: Path
) -> None:
    app, point, skip = other
    assert passes(f"{app}:{point}:{skip}:{tmp_path / 'died'}") == 0


@pytest.mark.parametrize("text", ["app:before lunch:0:marker", "app:after begin:once:marker", "app:after begin"])
def test_a_place_that_does_not_exist_is_refused_with_those_that_do(text: str) -> None:
    with pytest.raises(ValueError, match="after begin, after outputs"):
        crash_of(text)
