"""One, two and four workers of one app on one machine: events a second of all together.

    python -m bench.workers [--workers 1 2 4] [--events 2000000] [--quick]

They catch up with four partitions; the rate is that of the second half, when all have their partitions. With as many
cores as workers and a broker elsewhere the rates would add up; on fewer `us CPU`, the processor time of an event in all
workers, tells what sharing costs.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.counting import create, fill, rate
from bench.ground import ground, options
from bench.systems import PATHLINE

_LONGEST_SECONDS = 120.0


def main() -> None:
    parser = options(__doc__)
    parser.set_defaults(partitions=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--events", type=int, default=2_000_000)
    asked = parser.parse_args()
    events = 200_000 if asked.quick else asked.events
    with ground(asked) as at:
        create(at.brokers, at.partitions, "events")
        fill(at.brokers, "events", events)
        for count in asked.workers:
            job = at.job(f"workers-{count}", "events")
            PATHLINE.topics(job)
            with at.quiet(), ExitStack() as running:
                pids = [running.enter_context(PATHLINE.worker(job, number)) for number in range(count)]
                found = rate(at.brokers, job.out, at.partitions, events, _LONGEST_SECONDS, *pids, after=events // 2)
            print(
                f"{count} workers   {found.per_second:9,.0f} events/s   {found.cpu_micros:5.1f} us CPU"
                f"   {found.memory_bytes / count / 2**20:5.0f} MB each",
                flush=True,
            )


if __name__ == "__main__":
    main()
