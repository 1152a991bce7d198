"""The supervisor: who ends is started again with back-off, who can't go on is left alone, nobody is left running."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pathline.local.home import Restart
from pathline.local.rolling import PATIENCE_SECONDS, Rolling
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
    answers: bool = True
    words: str = ""
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

    def last_words(self) -> str:
        return self.words

    def terminate(self) -> None:
        if not self.stubborn:
            self.ended = 0

    def wait(self, seconds: float) -> bool:
        return self.ended is not None

    def kill(self) -> None:
        self.killed = True
        self.ended = -9


class AtOnce(Executor):
    """Asks in the thread of the test."""

    def submit(self, act: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(act(*arguments, **options))
        return done


class Scene:
    """A supervisor on a clock moved by hand."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = [0.0]
        self.said: list[str] = []
        self.supervisor = Supervisor(self.said.append, lambda: self.now[0], AtOnce())
        self.rolling = Rolling(self.supervisor, self.said.append, lambda: self.now[0])
        self.service = Scripted("worker", tmp_path / "worker.log", clock=self.now)

    def run(self, seconds: float) -> None:
        until = self.now[0] + seconds
        while self.now[0] < until:
            self.now[0] += 0.25
            self.supervisor.tick()
            self.rolling.tick()

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
    scene.service.words = "too much can't be used"
    scene.service.ended = Exit.DEAD_LETTERS
    scene.run(120)
    assert len(scene.service.launches) == 1
    assert scene.state == "failed"
    assert scene.supervisor.states()[0].last_end == "exit code 65: too much can't be used"
    assert "worker can't go on (exit code 65: too much can't be used)" in scene.said[0]


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


def test_since_when_one_does_not_answer_is_known(scene: Scene) -> None:
    scene.run(3)
    scene.service.is_ready = scene.service.answers = False
    scene.run(10)
    (state,) = scene.supervisor.states()
    assert state.state == "not ready"
    assert 3 <= state.silent_since <= 3 + 2.25
    scene.service.is_ready = scene.service.answers = True
    scene.run(3)
    assert scene.supervisor.states()[0].silent_since == 0


def test_when_one_starts_again_is_known(scene: Scene) -> None:
    scene.run(1)
    scene.service.ended = -9
    scene.run(0.25)
    (state,) = scene.supervisor.states()
    assert (state.restart_at, state.last_end) == (1.25 + 0.5, "killed by signal 9")
    scene.run(1)
    assert scene.supervisor.states()[0].restart_at == 0


class Two(Scene):
    """Two services, to be restarted one after the other."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.other = Scripted("other", tmp_path / "other.log", clock=self.now)
        for service in (self.service, self.other):
            self.supervisor.add(service)
        self.run(1)
        self.rolling.begin(Restart("1", ["worker", "other"]))


def test_a_rolling_restart_waits_until_each_does_its_work_again(tmp_path: Path) -> None:
    scene = Two(tmp_path)
    scene.service.is_ready = False
    scene.run(20)
    assert (len(scene.service.launches), len(scene.other.launches)) == (2, 1)
    assert scene.rolling.now == Restart("1", ["worker", "other"])
    scene.service.is_ready = True
    scene.run(3)
    assert len(scene.other.launches) == 2
    assert scene.rolling.now == Restart("1", [])
    assert [state.restarts for state in scene.supervisor.states()] == [0, 0], "nobody failed"


def test_a_rolling_restart_leaves_the_others_alone_when_one_does_not_come_back(tmp_path: Path) -> None:
    scene = Two(tmp_path)
    scene.service.is_ready = False
    scene.run(PATIENCE_SECONDS + 3)
    assert len(scene.other.launches) == 1
    assert scene.rolling.now is not None
    assert "worker does not do its work after 300 s" in scene.rolling.now.failed


def test_a_restart_kills_who_does_not_listen_and_wakes_who_failed(tmp_path: Path) -> None:
    scene = Two(tmp_path)
    scene.run(3)
    scene.service.stubborn = True
    scene.other.ended = Exit.SETUP
    scene.run(1)
    scene.rolling.begin(Restart("2", ["worker", "other"]))
    scene.run(20)
    assert scene.service.killed
    assert [state.state for state in scene.supervisor.states()] == ["ready", "ready"]
