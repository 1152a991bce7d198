"""What every measurement stands on: a Kafka of its own, and its turn on the machine."""

from __future__ import annotations

import argparse
import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.counting import create
from bench.systems import Job
from pathline.local.kafka import KafkaBroker
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS


@dataclass(frozen=True, slots=True)
class Ground:
    """A broker (the settings are those of a local line) and a folder, for the time of a bench."""

    brokers: str
    folder: Path
    partitions: int
    _lock: Path | None

    def job(self, app: str, into: str) -> Job:
        """A job with a folder of its own."""
        return Job(self.brokers, app, into, self.folder / app, self.partitions)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Measure alone: others that share the lock file wait meanwhile."""
        if self._lock is None:
            yield
            return
        with self._lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


def options(about: str | None) -> argparse.ArgumentParser:
    """What all benches of the runtime take."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=Settings().partitions)
    parser.add_argument("--quick", action="store_true", help="small: shows that it works, the figures mean little")
    parser.add_argument("--lock", type=Path, help="file held while measuring, for benches that share a machine")
    return parser


@contextmanager
def ground(asked: argparse.Namespace) -> Iterator[Ground]:
    """Start a broker in a temporary folder; all is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        broker = KafkaBroker(Path(name) / "kafka")
        brokers = broker.start()
        try:
            create(brokers, asked.partitions, DEAD_LETTERS)
            yield Ground(brokers, Path(name), asked.partitions, asked.lock)
        finally:
            broker.stop()
