"""Calls to the outside: made after their transaction, answered in a later one, never forgotten."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from processors.runtime.engine import Engine
from processors.runtime.metrics import Metrics
from schemas.clock import WallClock
from schemas.settings import Settings
from tests.runtime.calling import CallingStage
from tests.runtime.workers import Counting, until


def test_each_call_is_made_and_answered_once_over_clean_stops(kafka: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Counting(kafka, tmp_path, "calls", calling_notes=notes) as line:
        keys = [f"key-{n}" for n in range(1_000)]
        for key in keys:
            line.publish(key)
        line.flush()
        worker = line.worker()
        until(lambda: notes.exists(), "the first call is made")
        time.sleep(0.3)
        assert worker.stop() == 0
        assert 0 < len(line.read("out")) < len(keys)
        worker.start()
        until(lambda: len(line.read("out")) >= len(keys), "all calls are answered", every=0.5)
        assert Counter(notes.read_text().split()) == Counter(keys)
        assert Counter(r.value for r in line.read("out")) == Counter(f"answer to {key}".encode() for key in keys)


def test_a_kill_leaves_few_calls_in_doubt_and_every_one_is_answered_once(kafka: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Counting(kafka, tmp_path, "killedcalls", calling_notes=notes) as line:
        keys = [f"key-{n}" for n in range(1_000)]
        for key in keys:
            line.publish(key)
        line.flush()
        worker = line.worker()
        for _ in range(2):
            until(lambda: worker.state() == "running" and notes.exists(), "calls are made")
            time.sleep(0.2)
            worker.kill()
            worker.start()
        until(lambda: len(line.read("out")) >= len(keys), "all calls are answered", every=0.5)
        made = Counter(notes.read_text().split())
        assert set(made) == set(keys)
        # at most those that were under way at a kill were made twice
        assert sum(made.values()) - len(keys) <= 2 * 32
        assert Counter(r.value for r in line.read("out")) == Counter(f"answer to {key}".encode() for key in keys)


class Nobody:
    def assigned(self, partitions: set[tuple[str, int]]) -> None: ...

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...


def test_answers_in_a_batch_that_a_stop_leaves_undone_are_committed_all_the_same(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLING_NOTES", str(tmp_path / "notes"))
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    name = "undonecalls"
    with Counting(kafka, tmp_path, name, partitions=1) as line:
        settings = Settings(brokers=kafka, home=tmp_path)
        engine = Engine(CallingStage(f"{name}.in", f"{name}.out", name), settings, WallClock(), Metrics(name))
        assert engine.connect(Nobody(), loop, lambda error: None)
        line.publish("key")
        line.flush()
        until(lambda: (handed := engine.poll()) and (handed.results or engine.process(handed)), "the call is answered")
        engine.stop()
        engine.close()
        assert [record.value for record in line.read("out")] == [b"answer to key"]
    loop.call_soon_threadsafe(loop.stop)
