"""The store on disk: what is written survives with the checkpoint that covers it."""

from __future__ import annotations

from pathlib import Path

from processors.runtime.rocks import RocksStore
from processors.runtime.store import WAKE, wake_key, wakes_until


def test_changes_and_their_checkpoint_survive_a_reopening(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "0")
    assert store.checkpoint is None
    store.apply([(b"sa", b"1"), (b"sb", b"2"), (b"sc", b"3")], 7, "topic")
    store.apply([(b"sb", None)], 9, "topic")
    store.close()
    store = RocksStore(tmp_path / "0")
    assert list(store.scan(b"s", b"t")) == [(b"sa", b"1"), (b"sc", b"3")]
    assert store.checkpoint is not None
    assert (store.checkpoint.offset, store.checkpoint.topic_id) == (9, "topic")
    store.clear()
    assert store.checkpoint is None
    assert store.get(b"sa") is None
    store.close()


def test_a_key_is_as_written_last_whether_it_was_read_before_or_not(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "0")
    assert [store.get(key) for key in (b"sa", b"sb")] == [None, None]
    store.apply([(b"sb", b"2"), (b"sa", b"1")], 1, "topic")
    assert [store.get(key) for key in (b"sa", b"sb")] == [b"1", b"2"]
    # a changelog may hold a key several times
    store.apply([(b"sb", b"3"), (b"sa", b"4"), (b"sb", b"5"), (b"sa", None)], 5, "topic")
    assert [store.get(key) for key in (b"sa", b"sb")] == [None, b"5"]
    store.close()
    store = RocksStore(tmp_path / "0")
    assert [store.get(key) for key in (b"sa", b"sb")] == [None, b"5"]
    store.close()


def test_wakes_come_in_order_also_when_an_earlier_one_is_asked_for_late(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "0")
    first, second, early = wake_key("a", 10, 0), wake_key("b", 20, 0), wake_key("late", 5, 0)
    store.apply([(second, WAKE), (first, WAKE)], 1, "topic")
    assert list(store.wakes(wakes_until(20))) == [first, second]
    assert list(store.wakes(wakes_until(19))) == [first]
    store.passed(first + b"\0")
    store.apply([(first, None)], 2, "topic")
    assert list(store.wakes(wakes_until(99))) == [second]
    store.apply([(early, WAKE)], 3, "topic")
    assert list(store.wakes(wakes_until(99))) == [early, second]
    store.close()
    store = RocksStore(tmp_path / "0")
    assert list(store.wakes(wakes_until(99))) == [early, second]
    store.close()
