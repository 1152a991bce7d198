"""Loads into a real Kafka: once, at their time, through kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.inbound.files import open_source
from connectors.inbound.files.replay import NotReady, Progress, load_into_line
from schemas import topics
from schemas.settings import Settings
from tests.connectors.reading import events, records


def lines(path: Path, *messages: Any) -> str:
    path.write_bytes(b"".join(one if isinstance(one, bytes) else orjson.dumps(one) + b"\n" for one in messages))
    return str(path)


def order(number: int, **more: Any) -> dict[str, Any]:
    at = f"2020-01-01T00:{number // 60:02}:{number % 60:02}Z"
    return {"type": "track", "event": "E", "userId": f"u{number}", "messageId": f"m{number}", "timestamp": at} | more


def load(settings: Settings, source: str, **options: Any) -> Progress:
    return load_into_line(settings, open_source(source), lambda _: None, **options)


def test_a_file_is_loaded_once_and_what_is_new_in_it_later(line: Settings, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = load(line, lines(path, order(1), order(2, userId="null"), b"{no json\n", order(3)))
    assert (first.accepted, first.rejected, first.skipped) == (2, 2, 0)
    assert sorted(first.reasons)[0] == "no usable identifier (user_id:null: blocked value)"
    again = load(line, str(path))
    assert (again.accepted, again.rejected, again.skipped) == (0, 0, 4)
    with path.open("ab") as more:
        more.write(orjson.dumps(order(4)) + b"\n")
    assert load(line, str(path)).accepted == 1

    loaded = events(line.brokers, f"load:segment:{path}")
    assert sorted(event.message_id for event in loaded) == ["m1", "m3", "m4"]
    assert all(event.historical and event.received_at > event.occurred_at for event in loaded)
    letters = [letter for letter in records(line.brokers, topics.DEAD_LETTERS) if letter.value() == b"{no json"]
    assert len(letters) == 1
    headers = dict(letters[0].headers() or [])
    assert headers["app"] == b"load"
    assert headers["source"] == f"load:segment:{path}".encode()
    assert b"not JSON" in bytes(headers["message"] or b"")


def test_a_file_that_changed_where_it_was_loaded_is_not_guessed_at(line: Settings, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    load(line, lines(path, order(1), order(2)))
    for changed in ((order(1), order(7)), (order(1),)):
        with pytest.raises(NotReady, match="has changed: its first 2 items"):
            load(line, lines(path, *changed))
    assert load(line, str(path), from_start=True).accepted == 1


def test_without_a_project_nothing_is_loaded(line: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.inbound.files.replay.latest_rules", lambda *_: None)
    with pytest.raises(NotReady, match="pathline apply"):
        load(line, lines(tmp_path / "events.jsonl", order(1)))


def test_on_a_scaled_clock_events_come_at_their_time_and_not_after_its_end(line: Settings, tmp_path: Path) -> None:
    path = lines(tmp_path / "events.jsonl", *(order(second) for second in range(0, 180, 10)), order(1_000))
    begins, began = 1_577_836_800_000, time.time_ns() // 1_000_000
    scaled = line.model_copy(
        update={
            "clock": "scaled",
            "clock_start": begins,
            "clock_speed": 100.0,
            "clock_until": begins + 150_000,
            "clock_started": began,
        }
    )
    progress = load(scaled, path)
    assert progress.accepted == 16  # 0 to 150 s
    assert time.time_ns() // 1_000_000 - began >= 1_500, "150 s of the line"
    source = f"load:segment:{tmp_path / 'events.jsonl'}"
    written = [
        (message.timestamp()[1], event)
        for message in records(line.brokers, topics.EVENTS)
        if (event := _event(message.value())).source == source
    ]
    for at, event in written:
        assert event.received_at == event.occurred_at
        assert not event.historical
        # Kafka's own time of the record: not before the clock was there
        assert scaled.make_clock().line(at) >= event.occurred_at


def _event(value: bytes | None) -> Any:
    from schemas.codec import Codec
    from schemas.records import Event

    return Codec().decode(Event, value)


_LOAD = """
import sys
from connectors.inbound.files import open_source, replay
from schemas.settings import Settings
replay.RECORDS, replay.REPORT_EVERY = 500, 0.0
replay.load_into_line(Settings(), open_source(sys.argv[1]), lambda so_far: print(so_far.accepted, flush=True))
"""


def test_a_load_that_is_killed_again_and_again_is_neither_short_nor_double(line: Settings, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines(path, *(order(number % 3_600, messageId=f"m{number}") for number in range(20_000)))
    environment = os.environ | {"PATHLINE_HOME": str(line.home), "PATHLINE_BROKERS": line.brokers}
    for transactions in (2, 5, 1, None):
        process = subprocess.Popen([sys.executable, "-c", _LOAD, str(path)], env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for count, _ in enumerate(process.stdout, 1):
            if count == transactions:
                process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == (0 if transactions is None else -signal.SIGKILL)
    loaded = Counter(event.message_id for event in events(line.brokers, f"load:segment:{path}"))
    assert loaded == Counter(f"m{number}" for number in range(20_000))
