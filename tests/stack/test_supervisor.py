"""The supervisor: who ends is started again with back-off, who can't go on is left alone, nobody is left running."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pathline.local.supervisor import Supervisor
from processors.runtime.exits import Exit


@dataclass
class Scripted:
    """A service that the test starts and ends at will."""

    name: str
    log: Path
    launches: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=lambda: [0.0])
    ended: int | None = None
    is_ready: bool = True
    stubborn: bool = False
    killed: bool = False
    fails: bool = False
    pid: int | None = 1
    web_port: int = 0

    def launch(self) -> None:
        if self.fails:
            raise OSError("no memory")
        self.launches.append(self.clock[0])
        self.ended = None

    def running(self) -> bool:
        return self.ended is None

    def exit_code(self) -> int | None:
        return self.ended

    def ready(self) -> bool:
        return self.is_ready

    def terminate(self) -> None:
        if not self.stubborn:
            self.ended = 0

    def wait(self, seconds: float) -> bool:
        return self.ended is not None

    def kill(self) -> None:
        self.killed = True
        self.ended = -9


class Scene:
    """A supervisor on a clock moved by hand."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = [0.0]
        self.said: list[str] = []
        self.supervisor = Supervisor(self.said.append, clock=lambda: self.now[0])
        self.service = Scripted("worker", tmp_path / "worker.log", clock=self.now)

    def run(self, seconds: float) -> None:
        until = self.now[0] + seconds
        while self.now[0] < until:
            self.now[0] += 0.25
            self.supervisor.tick()

    @property
    def state(self) -> str:
        return self.supervisor.states()[0].state


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.supervisor.add(scene.service)
    return scene


def test_who_ends_is_started_again_later_and_later(scene: Scene) -> None:
    for _ in range(7):
        scene.service.ended = 1
        while not scene.service.running():
            scene.run(0.25)
    gaps = [round(b - a, 1) for a, b in zip(scene.service.launches, scene.service.launches[1:], strict=False)]
    # half a second doubled each time up to ten, and a tick to notice
    assert gaps == [0.8, 1.2, 2.2, 4.2, 8.2, 10.2, 10.2]
    assert scene.supervisor.states()[0].restarts == 7


def test_who_ran_for_long_starts_again_at_once(scene: Scene) -> None:
    for _ in range(4):
        scene.service.ended = 1
        while not scene.service.running():
            scene.run(0.25)
    scene.run(60)
    scene.service.ended = 1
    ended = scene.now[0]
    while not scene.service.running():
        scene.run(0.25)
    assert scene.service.launches[-1] - ended <= 1


def test_a_worker_that_says_that_a_restart_would_not_help_is_left_alone(scene: Scene) -> None:
    scene.run(1)
    scene.service.ended = Exit.DEAD_LETTERS
    scene.run(120)
    assert len(scene.service.launches) == 1
    assert scene.state == "failed"
    assert "worker can't go on (exit code 65)" in scene.said[0]


def test_states_follow_readiness(scene: Scene) -> None:
    scene.service.is_ready = False
    scene.run(1)
    assert scene.state == "starting"
    scene.service.is_ready = True
    scene.run(3)
    assert scene.state == "ready"
    scene.service.is_ready = False
    scene.run(3)
    assert scene.state == "not ready"
    scene.service.ended = -9
    scene.run(0.25)
    assert scene.state == "waiting"
    assert scene.supervisor.states()[0].pid is None
    assert "signal 9" in scene.said[0]


def test_a_start_that_fails_is_tried_again(scene: Scene) -> None:
    scene.service.ended = 1
    scene.service.fails = True
    scene.run(5)
    scene.service.fails = False
    scene.run(10)
    assert scene.service.running()
    assert "could not be started: no memory" in " ".join(scene.said)


def test_stop_kills_who_does_not_listen(scene: Scene) -> None:
    scene.service.stubborn = True
    scene.supervisor.stop()
    assert scene.service.killed
    assert scene.state == "stopped"


def test_logs_do_not_grow_without_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathline.local.services.LOG_BYTES", 100)
    scene.service.log.write_text("x" * 101)
    scene.run(61)
    assert scene.service.log.stat().st_size == 0
    assert scene.service.log.with_suffix(".log.1").stat().st_size == 101
