"""What a segments worker holds in memory, and on disk, by how many people it knows.

    python -m bench.segment_memory [--persons 100000 300000] [--segments 10 1000] [--events 50000]

Each row is a process of its own that opens a store on disk with so many people, each with thirty events behind, and
takes events of anybody in transactions of a thousand, without Kafka: resident memory before the store is opened (code
and definitions) and after the events. What a worker has beside (Faust, the Kafka client and its buffers) is in
`pathline status`. The page cache of the operating system is not in it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from multiprocessing import get_context
from pathlib import Path

import psutil

from bench.segment_shop import DAY, shop
from bench.segments import KNOWN, SAMPLE, START, Worker, anybody, crowd, fill, happen, size_of
from processors.runtime.rocks import RocksStore

BATCH = 1_000


def written(path: Path, segments: int, persons: int) -> float:
    """Make the store; bytes of state a person."""
    draw, project, names = random.Random(1), *shop(segments)
    made, store = crowd(project, names, draw), RocksStore(path)
    fill(store, made, persons)
    store.close()
    return sum(map(len, made)) / len(made)


def held(path: Path, segments: int, persons: int, events: int) -> tuple[int, int]:
    """Resident bytes before the store is opened, and after events of anybody."""
    draw, project, names = random.Random(2), *shop(segments)
    worker = Worker(project, store := RocksStore(path / "none"))
    worker.take(list(happen(draw, names, anybody(draw, persons, BATCH), 0, START)))
    store.close()
    before, later = psutil.Process().memory_info().rss, START + KNOWN * DAY
    worker.store = store = RocksStore(path / "people")
    for first in range(0, events, BATCH):
        people = anybody(draw, persons, BATCH)
        worker.take(list(happen(draw, names, people, KNOWN * SAMPLE + first, later + first * 1_000)))
    after = psutil.Process().memory_info().rss
    store.close()
    return before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, nargs="+", default=[100_000, 300_000])
    parser.add_argument("--segments", type=int, nargs="+", default=[10, 1_000])
    parser.add_argument("--events", type=int, default=50_000)
    asked = parser.parse_args()
    print("segments    persons   state  on disk   MB before   MB after")
    print("                    bytes a   bytes a  the store      events")
    print("                     person    person")
    for segments in asked.segments:
        for persons in asked.persons:
            with (
                tempfile.TemporaryDirectory(prefix="pathline-bench-") as name,
                get_context("spawn").Pool(1, maxtasksperchild=1) as alone,
            ):
                path = Path(name)
                state = alone.apply(written, (path / "people", segments, persons))
                disk = size_of(path / "people") / persons
                before, after = alone.apply(held, (path, segments, persons, asked.events))
            print(
                f"{segments:>8,} {persons:>10,} {state:>7,.0f} {disk:>8,.0f} {before / 2**20:>11,.0f} "
                f"{after / 2**20:>10,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
