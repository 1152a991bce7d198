"""Pathline's runtime as its state grows: events a second and memory with 10 thousand to 5 million keys.

    python -m bench.growth [--keys 10000 100000 1000000 5000000] [--quick]

For each size a worker of its own first sees every key once (`new keys`, when there are enough of them to measure), then
a million events of keys drawn at random (`known keys`). Memory is that of the process at the end, `disk` its state.
"""

from __future__ import annotations

import math

from bench.counting import create, fill, rate
from bench.ground import ground, options
from bench.systems import PATHLINE

_LONGEST_SECONDS = 300.0
_ENOUGH = 500_000


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 5_000_000])
    asked = parser.parse_args()
    known = 1_000_000
    if asked.quick:
        asked.keys, known = [10_000, 100_000], 200_000
    print("     keys   new keys/s  known keys/s   us CPU   memory MB   disk MB")
    with ground(asked) as at:
        for keys in asked.keys:
            job = at.job(f"growth-{keys}", f"events-{keys}")
            create(at.brokers, at.partitions, job.into)
            fill(at.brokers, job.into, keys, each_once=True)
            fill(at.brokers, job.into, known, keys)
            PATHLINE.topics(job)
            new = math.nan
            with at.quiet(), PATHLINE.worker(job) as pid:
                if keys >= _ENOUGH:
                    new = rate(at.brokers, job.out, at.partitions, keys, _LONGEST_SECONDS, pid).per_second
                old = rate(at.brokers, job.out, at.partitions, keys + known, _LONGEST_SECONDS, pid, after=keys)
            disk = sum(path.stat().st_size for path in job.home.rglob("*") if path.is_file())
            print(
                f"{keys:9,d}   {new:10,.0f}  {old.per_second:12,.0f}   {old.cpu_micros:6.1f}"
                f"   {old.memory_bytes / 2**20:9,.0f}   {disk / 2**20:7,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
