"""What a worker leaves in Kafka and on disk, as a process on a real Kafka; what faults do to it: tests/faults."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path

from processors.runtime.rocks import RocksStore
from processors.runtime.store import state_key, wakes_until
from tests.runtime.counting import COUNTS, Count
from tests.runtime.workers import Counting, Worker, until

KEYS = 300


def publish(line: Counting, seconds: float, events: int) -> Counter[str]:
    """Events spread over this time, and how many each key got."""
    expected: Counter[str] = Counter()
    for start in range(0, events, 1_000):
        for n in range(start, min(start + 1_000, events)):
            key = f"key-{n % KEYS}"
            line.publish(key)
            expected[key] += 1
        line.flush()
        time.sleep(seconds / (events / 1_000))
    return expected


def counts(line: Counting) -> dict[str, int]:
    """The highest count each key has been told so far."""
    return {(r.key or b"").decode(): int(r.value or b"0") for r in line.read("out") if (r.value or b"").isdigit()}


def assert_exact(line: Counting, expected: Counter[str]) -> None:
    """Outputs and state are those of an undisturbed run."""
    numbers, wakes = defaultdict(list), defaultdict(list)
    for record in line.read("out"):
        key, value = (record.key or b"").decode(), record.value or b""
        if value.startswith(b"woken:"):
            due = int(value.removeprefix(b"woken:"))
            assert record.timestamp >= due, f"{key} was woken before its time"
            wakes[key].append(due)
        else:
            numbers[key].append(int(value))
    assert {key: len(found) for key, found in numbers.items()} == expected
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
    assert all(len(found) == len(set(found)) for found in wakes.values())
    last = {record.key: record.value for record in line.read("changelog")}
    for key, count in expected.items():
        state = last[state_key(COUNTS, key)]
        assert state is not None
        assert COUNTS.decode(state) == Count(count, len(wakes[key]))
    assert not [key for key, value in last.items() if key is not None and key.startswith(b"w") and value is not None]


def settled(line: Counting, expected: Counter[str]) -> bool:
    """Whether all events are counted and all timers fired."""
    if any(worker.exit_code() is not None for worker in line.workers):
        for worker in line.workers:
            if worker.exit_code() is not None:
                worker.start()
    if counts(line) != expected:
        return False
    last = {record.key: record.value for record in line.read("changelog")}
    return not any(key is not None and key.startswith(b"w") and value is not None for key, value in last.items())


def running(worker: Worker) -> bool:
    return worker.state() == "running"


def test_a_killed_worker_has_its_partitions_back_long_before_the_group_would_miss_it(
    kafka: str, tmp_path: Path
) -> None:
    minutes = 5 * 60_000
    with Counting(
        kafka, tmp_path, "static", pathline_session_timeout_ms=minutes, pathline_transaction_timeout_ms=minutes
    ) as line:
        workers = [line.worker(), line.worker()]
        until(lambda: all(running(worker) for worker in workers), "both workers run")
        workers[0].kill()
        workers[0].start()
        until(lambda: all(running(worker) for worker in workers), "both run again")
        expected = publish(line, 0.1, 5_000)
        until(lambda: settled(line, expected), "everything is counted", every=0.5)
        assert_exact(line, expected)


def test_after_a_clean_stop_the_local_state_is_that_of_the_changelog(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "stopped") as line:
        worker = line.worker()
        until(lambda: running(worker), "the worker runs")
        expected = publish(line, 0.5, 5_000)
        until(lambda: counts(line) == expected, "everything is counted", every=0.5)
        assert worker.stop() == 0
        last = {record.key: record.value for record in line.read("changelog")}
        stores = [RocksStore(tmp_path / "state" / "stopped-0" / str(number)) for number in range(line.partitions)]
        assert {key: value for store in stores for key, value in store.scan(b"o", b"t")} == last
        assert not [raw for store in stores for raw in store.wakes(wakes_until(2**50))]


def test_a_poisoned_record_is_a_dead_letter_once_and_the_line_goes_on(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "poisoned") as line:
        for n in range(3_000):
            line.publish(f"key-{n % 7}", b"poison" if n in (500, 1_500) else b"%d" % n)
        line.flush()
        worker = line.worker()
        until(lambda: sum(counts(line).values()) >= 2_998, "everything is counted", every=0.5)
        until(lambda: 'pathline_dead_letters_total{app="poisoned",error="BadRecord"' in worker.metrics(), "it is shown")
        worker.kill()
        worker.start()
        until(lambda: running(worker), "it runs again")
        letters = line.dead_letters()
        assert {(letter.key, letter.value) for letter in letters} == {(b"key-3", b"poison"), (b"key-2", b"poison")}
        assert len(letters) == 2
        headers = dict(letters[0].headers)
        assert headers["app"] == b"poisoned"
        assert (headers["error"], headers["message"]) == (b"BadRecord", b"poison")
        at = int(headers["partition"]), int(headers["offset"])
        assert [r.value for r in line.read("in") if (r.partition, r.offset) == at] == [b"poison"]
        assert sum(counts(line).values()) == 2_998


def test_too_many_dead_letters_in_a_row_stop_the_worker_without_passing_over_more(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "flooded", partitions=1, pathline_dead_letter_run=50) as line:
        line.publish("key", b"fine")
        for _ in range(200):
            line.publish("key", b"poison")
        line.flush()
        worker = line.worker()
        until(lambda: worker.exit_code() is not None, "the worker stops")
        assert worker.exit_code() == 65
        assert "more than 50 records in a row can't be used" in line.logs()
        assert len(line.dead_letters()) <= 50
