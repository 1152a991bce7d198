"""Local state that can't be trusted is thrown away and restored whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.runtime import restore
from processors.runtime.partition import Partition
from processors.runtime.restore import Restorer
from processors.runtime.rocks import RocksStore
from tests.runtime.test_rules import App
from tests.runtime.workers import until


@pytest.fixture
def app(kafka: str, tmp_path: Path) -> App:
    """An app whose changelog says `a` is 2, and nothing of `b`."""
    made = App(kafka, tmp_path)
    owner = made.open_transaction()
    owner.produce(made.changelog, b"1", b"s\0a")
    owner.produce(made.changelog, b"2", b"s\0a")
    owner.commit_transaction(30)
    return made


def restored(app: App, store: RocksStore) -> list[tuple[bytes, bytes]]:
    restorer = Restorer(app.settings.brokers, app.name, app.metrics)
    partition = Partition(0, 1, store, restorer.topic_id(), {})
    restorer.start([partition])
    until(lambda: restorer.step(0.1) or partition.restored, "it is restored")
    found = list(store.scan(b"s", b"t"))
    restorer.close()
    store.close()
    return found


def topic_id(app: App) -> str:
    restorer = Restorer(app.settings.brokers, app.name, app.metrics)
    found = restorer.topic_id()
    restorer.close()
    return found


def test_a_store_of_another_changelog_is_thrown_away(app: App, tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    store.apply([(b"s\0a", b"1"), (b"s\0b", b"1")], 1, "another")
    assert restored(app, store) == [(b"s\0a", b"2")]


def test_a_store_ahead_of_its_changelog_is_thrown_away(app: App, tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    store.apply([(b"s\0a", b"9"), (b"s\0b", b"1")], 1_000, topic_id(app))
    assert restored(app, store) == [(b"s\0a", b"2")]


def test_a_store_that_was_away_too_long_is_thrown_away(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RocksStore(tmp_path / "store")
    store.apply([(b"s\0a", b"1"), (b"s\0b", b"1")], 1, topic_id(app))
    monkeypatch.setattr(restore, "DELETIONS_KEPT_MS", 0)
    assert restored(app, store) == [(b"s\0a", b"2")]


def test_a_store_that_was_away_for_a_while_only_catches_up(app: App, tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    store.apply([(b"s\0a", b"1"), (b"s\0b", b"1")], 1, topic_id(app))
    assert restored(app, store) == [(b"s\0a", b"2"), (b"s\0b", b"1")]
