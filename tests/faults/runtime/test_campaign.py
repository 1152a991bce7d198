"""The short form of the campaign: every kind of fault and every crash point once, and everything holds."""

from __future__ import annotations

from pathlib import Path

from tests.faults.runtime.campaign import run
from tests.faults.runtime.invariants import Violated
from tests.faults.schedule import Kind


def test_everything_counts_once_after_faults_of_every_kind(tmp_path: Path) -> None:
    report = run(tmp_path, events=8_000, seed=4, faults=1, calm_seconds=0.1)
    assert not [found for _, found in report.verdict if isinstance(found, Violated)]
    assert len(report.aftermaths) > len(Kind)
    assert not [aftermath for aftermath in report.aftermaths if aftermath.skipped]
