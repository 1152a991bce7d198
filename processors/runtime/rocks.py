"""State of one partition on disk, in RocksDB, together with how far in the changelog it is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from functools import cache
from operator import itemgetter
from pathlib import Path

import msgspec
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
)

from processors.runtime.recent import UNKNOWN, Recent
from processors.runtime.store import WAKE_PREFIX, WAKES

_CHECKPOINT = b"mcheckpoint"
_CACHE_BYTES = 32 * 1024 * 1024
_WRITE_BUFFER_BYTES = 16 * 1024 * 1024
_RECENT_BYTES = 16 * 1024 * 1024


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a store is: `offset` is the next changelog offset to apply, `topic_id` the changelog it came from,
    `written_at` wall milliseconds of the last write, `low` a key before which no wake is left."""

    offset: int
    topic_id: str
    written_at: int
    low: bytes = WAKES[0]


class RocksStore:
    """A store on disk. Changes and the checkpoint that covers them are written in one batch. Not safe for threads."""

    def __init__(self, path: Path) -> None:
        """Open or create; raises Exception of rocksdict when another process has it open."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._checkpoint: Checkpoint | None = None
        self._low = WAKES[0]
        self._open()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """None in a new store."""
        return self._checkpoint

    def get(self, key: bytes) -> bytes | None:
        value = self._recent.get(key)
        return self._recent.keep(key, self._db.get(key)) if value is UNKNOWN else value

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        entries = self._db.iter()
        entries.seek(first)
        while entries.valid() and (key := entries.key()) < end:
            yield key, entries.value()
            entries.next()

    def wakes(self, end: bytes) -> Iterator[bytes]:
        """Keys of the wakes before `end`, in firing order."""
        # never from the first key: RocksDB would walk over the remains of every wake that was ever fired
        for key, _ in self.scan(self._low, end):
            yield key

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]], offset: int, topic_id: str) -> None:
        """Write changes (None deletes) that bring the store to this changelog offset."""
        batch, low = WriteBatch(raw_mode=True), self._low
        # in the order of keys RocksDB finds the place of each near that of the one before: half the time
        for key, value in sorted(changes, key=itemgetter(0)):
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
            if key[:1] != WAKE_PREFIX:
                self._recent.keep(key, value)
            elif value is not None and key < low:
                low = key
        checkpoint = Checkpoint(offset, topic_id, time.time_ns() // 1_000_000, low)
        batch.put(_CHECKPOINT, msgspec.msgpack.encode(checkpoint))
        self._db.write(batch)
        self._checkpoint, self._low = checkpoint, low

    def passed(self, key: bytes) -> None:
        """No wake before this key is left; kept with the next write."""
        self._low = max(self._low, key)

    def clear(self) -> None:
        """Throw everything away, the checkpoint too."""
        self.close()
        shutil.rmtree(self._path)
        self._open()

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()

    def _open(self) -> None:
        self._db = Rdict(str(self._path), options=options())
        self._recent = Recent(_RECENT_BYTES)
        data = self._db.get(_CHECKPOINT)
        self._checkpoint = None if data is None else msgspec.msgpack.decode(data, type=Checkpoint)
        self._low = self._checkpoint.low if self._checkpoint else WAKES[0]


@cache
def _block_cache() -> Cache:
    # RocksDB's default here is 2 GiB for each partition
    return Cache(_CACHE_BYTES)


def options() -> Options:
    """How every store on disk is set up."""
    table = BlockBasedOptions()
    table.set_block_cache(_block_cache())
    table.set_bloom_filter(10, False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    return options
