"""The memory broker: order, wakes, dead letters and calls are those of the line on Kafka."""

from __future__ import annotations

from typing import Any

from processors.runtime.contract import Record, Turn
from processors.runtime.memory import MemoryLine
from schemas.clock import VirtualClock
from tests.runtime.counting import COUNTS, Count, CountingStage


def values(line: MemoryLine, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    return [(record.key, record.value) for record in line.outputs[topic]]


def test_each_published_record_passes_through_all_stages_before_the_next() -> None:
    log: list[str] = []

    class Noting(CountingStage):
        def on_record(self, record: Record, turn: Turn) -> None:
            log.append(f"{self.app}:{(record.key or b'').decode()}")
            super().on_record(record, turn)

    line = MemoryLine([Noting("in", "mid", "first"), Noting("mid", "out", "second")], VirtualClock())
    line.publish("in", "a", b"")
    line.publish("in", "b", b"")
    line.drain()
    assert log == ["first:a", "second:a", "first:b", "second:b"]


def test_a_bad_record_leaves_no_effects_and_becomes_a_dead_letter() -> None:
    line = MemoryLine([CountingStage(wake_after=5)], VirtualClock(at=1_000))
    line.publish("in", "a", b"fine")
    line.publish("in", "a", b"poison")
    line.drain()
    line.advance(10_000)
    assert values(line, "out") == [(b"a", b"1"), (b"a", b"woken:1005")]
    assert line.state("counting", COUNTS, "a") == Count(1, 1)
    (letter,) = line.outputs["dead-letters"]
    assert (letter.key, letter.value) == (b"a", b"poison")
    headers = dict(letter.headers)
    assert (headers["topic"], headers["offset"], headers["error"]) == (b"in", b"1", b"BadRecord")


def test_wakes_fire_in_order_of_due_time_then_rank_then_key_up_to_and_including_the_instant() -> None:
    class Asking(CountingStage):
        def on_record(self, record: Record, turn: Turn) -> None:
            for key, due, rank in [("b", 10, 1), ("c", 10, 0), ("a", 10, 1), ("z", 9, 9), ("late", 11, 0)]:
                turn.wake(key, due, rank)
                turn.wake(key, due, rank)

    line = MemoryLine([Asking()], VirtualClock())
    line.publish("in", "x", b"")
    line.advance(10)
    assert [key for key, _ in values(line, "out")] == [b"z", b"c", b"a", b"b"]
    assert line.clock.now() == 10
    assert line.next_wake() == 11


def test_what_a_wake_sends_is_taken_through_the_line_before_the_next_wake() -> None:
    line = MemoryLine(
        [CountingStage("in", "mid", "first", wake_after=5), CountingStage("mid", "out", "second")], VirtualClock()
    )
    line.publish("in", "a", b"")
    line.publish("in", "b", b"")
    line.advance(5)
    assert values(line, "out") == [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", b"2")]


def test_state_belongs_to_a_partition_and_keys_are_placed_as_kafka_places_them() -> None:
    line = MemoryLine([CountingStage()], VirtualClock(), partitions=8)
    for key in "abcdefgh":
        line.publish("in", key, b"")
        line.publish("in", key, b"")
    line.drain()
    assert {key: count.seen for key, count in line.states("counting", COUNTS)} == dict.fromkeys("abcdefgh", 2)
    assert len({record.partition for record in line.outputs["in"]}) > 3


class Sender(CountingStage):
    """Asks for a call per record; what was asked and not answered is asked again when assigned."""

    async def perform(self, request: Any) -> Any:
        return request * 2

    def on_record(self, record: Record, turn: Turn) -> None:
        turn.put(COUNTS, (record.key or b"").decode(), Count(seen=1))
        turn.call((record.key or b"").decode(), 21)

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        turn.put(COUNTS, key, Count(seen=1, woken=1))
        turn.send(self.out, key, b"%d" % result)

    def on_assigned(self, turn: Turn) -> None:
        for key, count in turn.scan(COUNTS):
            if not count.woken:
                turn.send("again", key, b"")


def test_the_result_of_a_call_comes_back_in_a_turn_of_its_own() -> None:
    line = MemoryLine([Sender()], VirtualClock())
    line.publish("in", "a", b"")
    line.drain()
    assert values(line, "out") == [(b"a", b"42")]


def test_a_call_lost_with_its_process_is_found_again_when_assigned() -> None:
    line = MemoryLine([Sender()], VirtualClock())
    line.performing = False
    line.publish("in", "a", b"")
    line.drain()
    assert not line.outputs["out"]
    line.restart([Sender()])
    assert values(line, "again") == [(b"a", b"")]


def test_wakes_survive_a_restart() -> None:
    line = MemoryLine([CountingStage(wake_after=50)], VirtualClock())
    line.publish("in", "a", b"")
    line.drain()
    line.restart([CountingStage(wake_after=50)])
    line.advance(49)
    assert len(line.outputs["out"]) == 1
    line.advance(50)
    assert values(line, "out")[1:] == [(b"a", b"woken:50")]


def test_a_wake_asked_for_by_two_records_fires_once() -> None:
    line = MemoryLine([CountingStage(wake_after=5)], VirtualClock())
    line.publish("in", "a", b"")
    line.publish("in", "a", b"")
    line.advance(10)
    assert values(line, "out") == [(b"a", b"1"), (b"a", b"2"), (b"a", b"woken:5")]
