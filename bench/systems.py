"""The systems that are compared: how each is prepared on this machine, and run as a worker process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.counting import create
from pathline.local.jars import cache
from schemas.topics import changelog

_HERE = Path(__file__).parent
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the counting job: where it reads and writes, and a folder for state and log."""

    brokers: str
    app: str
    into: str
    home: Path
    partitions: int

    @property
    def out(self) -> str:
        """The topic of its outputs."""
        return f"{self.app}.out"

    def arguments(self) -> list[str]:
        """As every job takes them."""
        return [self.brokers, self.app, self.into, self.out, str(self.home / "state"), str(self.partitions)]


class Missing(Exception):
    """A system can't be run on this machine; says why."""


@dataclass(frozen=True, slots=True)
class System:
    """A system: the command its jobs are run by, once prepared. `keeps_topics`: it makes its changelog itself."""

    name: str
    prepare: Callable[[], list[str]]
    keeps_topics: bool = False
    options: tuple[str, ...] = ()

    def topics(self, job: Job) -> None:
        """Make those that a job writes to."""
        create(job.brokers, job.partitions, job.out)
        if not self.keeps_topics:
            create(job.brokers, job.partitions, changelog(job.app), compact=True)

    @contextmanager
    def worker(self, job: Job, number: int = 0, **environment: str) -> Iterator[int]:
        """Process id of a worker that runs until the end of the block. Raises Missing."""
        command = [*self.prepare(), *job.arguments(), *self.options]
        job.home.mkdir(parents=True, exist_ok=True)
        known = {**os.environ, "PATHLINE_WORKER": str(number), **environment}
        with (job.home / f"log-{number}").open("ab") as log:
            process = subprocess.Popen(command, cwd=_HERE.parent, stdout=log, stderr=log, env=known)
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ours(job: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", f"bench.jobs.{job}"]


def _quix() -> list[str]:
    """Its own environment, as it needs another confluent-kafka than Pathline; kept for the next time."""
    wanted, home = _HERE / "peers.txt", cache() / "bench-peers"
    if not (home / "ready").exists() or (home / "ready").read_text() != wanted.read_text():
        venv.create(home, clear=True, with_pip=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)]
        if subprocess.run(pip).returncode:
            raise Missing(f"the packages of {wanted} can't be installed")
        (home / "ready").write_text(wanted.read_text())
    return [str(home / "bin" / "python"), "-m", "bench.jobs.quix"]


def _kafka_streams() -> list[str]:
    """Compiled by Maven, which fetches its jars; kept for the next time."""
    for tool in ("javac", "mvn"):
        if not shutil.which(tool):
            raise Missing(f"there is no {tool}: Kafka Streams needs a JDK and Maven")
    folder = cache() / "bench-kafka-streams"
    build = ["mvn", "-q", "-B", "-f", str(_HERE / "kafka_streams"), f"-Dfolder={folder}"]
    if subprocess.run([*build, "compile", "dependency:copy-dependencies"], stdout=subprocess.DEVNULL).returncode:
        raise Missing("Maven can't build bench/kafka_streams")
    return ["java", "-Xmx512m", "-cp", f"{folder}/classes:{folder}/dependency/*", "bench.Counting"]


BARE = System("bare librdkafka loop", _ours("bare"))
PATHLINE = System("Pathline", _ours("runtime"))
KAFKA_STREAMS = System("Kafka Streams", _kafka_streams, keeps_topics=True)
KAFKA_STREAMS_10 = System("Kafka Streams, commit 10 ms", _kafka_streams, keeps_topics=True, options=("10",))
QUIX = System("Quix Streams", _quix, keeps_topics=True)
QUIX_100 = System("Quix Streams, commit 100 ms", _quix, keeps_topics=True, options=("0.1",))
FAUST = System("Faust (at least once)", _ours("stock_faust"), keeps_topics=True)
