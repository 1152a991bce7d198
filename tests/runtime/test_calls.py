"""Calls to the outside: made after their transaction, answered in a later one, never forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path

import pytest

from processors.runtime.engine import Engine
from processors.runtime.metrics import Metrics
from schemas.clock import WallClock
from schemas.settings import Settings
from tests.runtime.calling import CallingStage
from tests.runtime.workers import Counting, until

#: calls, and seconds that each takes: 32 at a time, they take three seconds
CALLS, EACH = 500, 0.2


def made(notes: Path) -> Counter[str]:
    """How often each call was made."""
    return Counter(notes.read_text().split() if notes.exists() else ())


def test_each_call_is_made_and_answered_once_over_clean_stops(kafka: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Counting(kafka, tmp_path, "calls", calling_notes=notes, calling_seconds=EACH) as line:
        keys = [f"key-{n}" for n in range(CALLS)]
        for key in keys:
            line.publish(key)
        line.flush()
        worker = line.worker()
        until(lambda: len(made(notes)) > CALLS // 5, "some calls are made")
        assert worker.stop() == 0
        assert 0 < len(line.read("out")) < len(keys)
        worker.start()
        until(lambda: len(line.read("out")) >= len(keys), "all calls are answered", every=0.5)
        assert made(notes) == Counter(keys)
        assert Counter(r.value for r in line.read("out")) == Counter(f"answer to {key}".encode() for key in keys)


def test_a_kill_leaves_few_calls_in_doubt_and_every_one_is_answered_once(kafka: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Counting(kafka, tmp_path, "killedcalls", calling_notes=notes, calling_seconds=EACH) as line:
        keys = [f"key-{n}" for n in range(CALLS)]
        for key in keys:
            line.publish(key)
        line.flush()
        worker = line.worker()
        for share in (CALLS // 5, CALLS // 2):
            until(lambda: len(made(notes)) > share, "some calls are made")  # noqa: B023 - called at once
            worker.kill()
            worker.start()
        until(lambda: len(line.read("out")) >= len(keys), "all calls are answered", every=0.5)
        assert set(made(notes)) == set(keys)
        # at most those that were under way at a kill were made twice
        assert made(notes).total() - len(keys) <= 2 * 32
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
