"""Schedules: the same seed gives the same faults, and nothing that was asked for is left out."""

from __future__ import annotations

from tests.faults.schedule import Kind, schedule


def test_a_seed_gives_the_same_faults_each_time_and_another_seed_others() -> None:
    again = [schedule(seed, 30, session_seconds=6, calm_seconds=1, points=("a", "b")) for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_every_kind_and_every_point_comes_at_least_once() -> None:
    faults = schedule(5, 1, session_seconds=6, calm_seconds=1, points=("a", "b", "c"))
    assert {fault.kind for fault in faults} == set(Kind)
    assert sorted(fault.point for fault in faults if fault.point) == ["a", "b", "c"]


def test_freezes_take_half_to_twice_the_session_timeout() -> None:
    faults = schedule(3, 200, session_seconds=6, calm_seconds=1, kinds=(Kind.FREEZE,))
    assert 3 <= min(fault.lasts for fault in faults) < 6 < max(fault.lasts for fault in faults) <= 12
