"""The turns of one transaction: order, timers that wait for older records, what is too large, time that is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processors.runtime import steps
from processors.runtime.calls import Result
from processors.runtime.contract import Record, Table, Turn
from processors.runtime.membership import Entry
from processors.runtime.partition import Partition, Source
from processors.runtime.rocks import RocksStore
from processors.runtime.steps import Outcome, Steps
from processors.runtime.store import WAKE, state_key, wake_key, wakes_until
from processors.runtime.turns import StateTooLarge
from schemas.clock import ScaledClock, VirtualClock
from schemas.topics import INTERNAL_BYTES
from tests.runtime.counting import COUNTS, Count, CountingStage

NOW = 10_000


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[Partition]:
    store = RocksStore(tmp_path / "0")
    yield Partition(0, 1, store, "topic", {"in": Source(0, at_end=True)}, restored=True, welcomed=True)
    store.close()


def record(offset: int, key: str = "a", value: bytes = b"", at: int = NOW) -> Record:
    return Record("in", 0, offset, at, key.encode(), value)


def run(
    stage: Any, partition: Partition, *entries: Entry, results: list[Result] | None = None, **options: Any
) -> Outcome:
    options = {"room": None, "careful": False, **options}
    taken = Steps(stage, VirtualClock(NOW), {0: partition}, 100, options["room"], careful=options["careful"])
    return taken.run(list(entries), results or [])


def keep(partition: Partition, outcome: Outcome) -> None:
    partition.store.apply(outcome.works[0].changes(), 1, "topic")
    partition.look_ahead()


def sent(outcome: Outcome) -> list[bytes | None]:
    return [record.value for record in outcome.sent() if record.topic == "out"]


def test_a_key_is_read_once_and_written_once_however_many_of_its_records_come(partition: Partition) -> None:
    outcome = run(CountingStage(), partition, *[record(n) for n in range(50)])
    assert sent(outcome) == [b"%d" % n for n in range(1, 51)]
    assert len(list(outcome.works[0].changes())) == 1
    keep(partition, outcome)
    assert sent(run(CountingStage(), partition, record(50))) == [b"51"]


def test_a_bad_record_leaves_nothing_but_its_dead_letter(partition: Partition) -> None:
    outcome = run(CountingStage(wake_after=5), partition, record(0), record(1, value=b"poison"), record(2, "b"))
    assert sent(outcome) == [b"1", b"1"]
    assert outcome.bad == {("in", 0): [1]}
    assert [letter.cause.offset for letter in outcome.letters] == [1]
    assert outcome.next == {("in", 0): 3}
    assert outcome.works[0].get(COUNTS, "a") == Count(seen=1)
    assert len([key for key, _ in outcome.works[0].changes() if key.startswith(b"w")]) == 2


def test_each_topic_is_as_far_as_its_own_records_and_ends_say_however_they_alternate(partition: Partition) -> None:
    partition.sources["other"] = Source(0)
    other = [Record("other", 0, n, NOW, b"a", b"poison" if n == 1 else b"") for n in range(3)]
    outcome = run(
        CountingStage(),
        partition,
        record(0),
        other[0],
        other[1],
        record(1),
        ("in", 0),
        other[2],
        ("other", 0),
        record(2),
    )
    assert outcome.taken == 8
    assert outcome.next == {("in", 0): 3, ("other", 0): 3}
    assert outcome.counts == {("in", 0): 3, ("other", 0): 3}
    assert outcome.bad == {("other", 0): [1]}
    assert outcome.progress == {("in", 0): record(2), ("other", 0): None}
    assert sent(outcome) == [b"%d" % n for n in range(1, 6)]


def test_an_end_alone_is_progress_and_no_work(partition: Partition) -> None:
    outcome = run(CountingStage(), partition, ("in", 0))
    assert (outcome.progress, outcome.taken, outcome.works, outcome.next) == ({("in", 0): None}, 1, {}, {})


def test_a_timer_waits_for_records_that_are_older_than_it(partition: Partition) -> None:
    partition.store.apply([(wake_key("a", NOW - 100, 0), WAKE)], 1, "topic")
    partition.look_ahead()
    assert sent(run(CountingStage(), partition, record(0, "b", at=NOW - 200))) == [b"1"]
    assert sent(run(CountingStage(), partition, record(0, "b", at=NOW - 200), ("in", 0))) == [b"1", b"woken:9900"]
    assert sent(run(CountingStage(), partition, record(0, "b", at=NOW - 100))) == [b"1", b"woken:9900"]


def test_on_a_scaled_clock_the_age_of_a_record_is_line_time() -> None:
    clock = ScaledClock(start=1_000_000, speed=10, until=2_000_000, started=500)
    store: Any = None
    behind = Partition(0, 1, store, "topic", {"in": Source(0, at_end=False, seen=600)})
    assert behind.reached(clock, 1_900_000, {}) == 1_001_000
    assert behind.reached(clock, 1_900_000, {("in", 0): None}) == 1_900_000


def test_nothing_is_known_of_a_partition_before_its_first_record_or_its_end(partition: Partition) -> None:
    partition.store.apply([(wake_key("a", NOW - 100, 0), WAKE)], 1, "topic")
    partition.look_ahead()
    partition.sources["in"].at_end = False
    assert sent(run(CountingStage(), partition)) == []


def test_fired_timers_are_gone_and_those_asked_for_meanwhile_come_later(partition: Partition) -> None:
    class Again(CountingStage):
        def on_wake(self, key: str, due: int, turn: Turn) -> None:
            super().on_wake(key, due, turn)
            turn.wake(key, due + 1)

    partition.store.apply([(wake_key("a", NOW - 100, 0), WAKE)], 1, "topic")
    partition.look_ahead()
    outcome = run(Again(), partition)
    assert sent(outcome) == [b"woken:9900"]
    partition.store.passed(outcome.passed[0] + b"\0")
    keep(partition, outcome)
    assert partition.next_due == NOW - 99


TEXTS = Table("text", str)


def test_all_state_of_a_table_is_seen_in_order_with_what_this_transaction_changed(partition: Partition) -> None:
    partition.store.apply([(state_key(COUNTS, key), COUNTS.encode(Count(1))) for key in "bdf"], 1, "topic")

    class Looking(CountingStage):
        seen: list[tuple[str, int]]

        def on_wake(self, key: str, due: int, turn: Turn) -> None:
            turn.put(COUNTS, "d", None)
            self.seen = [(key, count.seen) for key, count in turn.scan(COUNTS)]

    partition.store.apply([(wake_key("x", NOW - 1, 0), WAKE)], 1, "topic")
    partition.look_ahead()
    stage = Looking()
    run(stage, partition, record(0, "c"), record(1, "b"))
    assert stage.seen == [("b", 2), ("c", 1), ("f", 1)]


class Large(CountingStage):
    """State as long as the value says."""

    def on_record(self, record: Record, turn: Turn) -> None:
        turn.put(TEXTS, (record.key or b"").decode(), "x" * int(record.value or b"0"))


def test_a_state_that_becomes_too_large_makes_its_record_a_dead_letter(partition: Partition) -> None:
    entries = [record(0, "a", b"5"), record(1, "b", b"%d" % (INTERNAL_BYTES + 1)), record(2, "c", b"7")]
    with pytest.raises(StateTooLarge):
        list(run(Large(), partition, *entries).works[0].changes())
    outcome = run(Large(), partition, *entries, careful=True)
    assert outcome.bad == {("in", 0): [1]}
    assert {key[-1:] for key, _ in outcome.works[0].changes()} == {b"a", b"c"}


def test_an_output_that_is_too_large_makes_its_record_a_dead_letter(partition: Partition) -> None:
    class Shouting(CountingStage):
        def on_record(self, record: Record, turn: Turn) -> None:
            turn.send("out", "a", b"x" * int(record.value or b"0"))

    outcome = run(Shouting(), partition, record(0, value=b"5"), record(1, value=b"%d" % (INTERNAL_BYTES + 1)))
    assert sent(outcome) == [b"xxxxx"]
    assert "above the limit" in str(outcome.letters[0].error)


def test_a_slow_stage_takes_smaller_transactions(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "BUDGET_SECONDS", 0.0)
    outcome = run(CountingStage(), partition, *[record(n) for n in range(1_000)])
    assert 0 < outcome.taken < 1_000
    assert outcome.next == {("in", 0): outcome.taken}


def test_no_more_calls_are_asked_for_than_can_be_made_at_once(partition: Partition) -> None:
    class Calling(CountingStage):
        def on_record(self, record: Record, turn: Turn) -> None:
            turn.call("a", record.offset)

    outcome = run(Calling(), partition, *[record(n) for n in range(10)], room=3)
    assert (outcome.taken, len(outcome.works[0].calls)) == (3, 3)


def test_the_result_of_a_call_of_an_earlier_assignment_is_dropped(partition: Partition) -> None:
    class Answered(CountingStage):
        def on_result(self, key: str, result: Any, turn: Turn) -> None:
            turn.send("out", key, result)

    results = [Result(0, 1, "a", b"now"), Result(0, 0, "a", b"before"), Result(7, 1, "a", b"elsewhere")]
    assert sent(run(Answered(), partition, results=results)) == [b"now"]


def test_a_timer_that_fired_is_gone_for_whoever_restores_the_partition(partition: Partition, tmp_path: Path) -> None:
    """The owner itself never looks behind what has fired, so only the next one would fire it again."""
    asked = run(CountingStage(wake_after=-1), partition, record(0))
    changelog = list(asked.works[0].changes())
    keep(partition, asked)
    fired = run(CountingStage(), partition)
    assert sum(fired.wakes.values()) == 1
    changelog += fired.works[0].changes()
    restored = RocksStore(tmp_path / "next owner")
    for change in changelog:
        restored.apply([change], 1, "topic")
    assert not list(restored.wakes(wakes_until(NOW)))
    restored.close()
