"""A million timers: how fast they are asked for, how fast they fire when all are due at once, and what they weigh.

    python -m bench.timers [--timers 1000000] [--quick]

Each event asks for one timer, each timer sends one record. Asking is watched at the changelog, firing at the outputs.
"""

from __future__ import annotations

import sys
import time

from bench.counting import create, fill, rate
from bench.ground import ground, options
from bench.systems import System
from schemas.topics import changelog

_LONGEST_SECONDS = 600.0
#: So many are asked for a second even on a machine that is busy: the rest of the time they just wait.
_SLOWEST = 15_000


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--timers", type=int, default=1_000_000)
    asked = parser.parse_args()
    timers = 50_000 if asked.quick else asked.timers
    with ground(asked) as at:
        job = at.job("timers", "events")
        create(at.brokers, at.partitions, job.into)
        fill(at.brokers, job.into, timers, each_once=True)
        due = int((time.time() + 15 + timers / _SLOWEST) * 1000)
        command = [sys.executable, "-m", "bench.jobs.timers"]
        system = System("timers", lambda: command, options=(str(due),))
        system.topics(job)
        with at.quiet(), system.worker(job) as pid:
            log = changelog(job.app)
            asking = rate(at.brokers, log, at.partitions, timers, _LONGEST_SECONDS, pid)
            if time.time() * 1000 > due:
                raise TimeoutError("the first timers were due before the last was asked for")
            _show("asked for", asking.per_second, asking.cpu_micros, asking.memory_bytes)
            time.sleep(max(0.0, due / 1000 - time.time()))
            fired = rate(at.brokers, job.out, at.partitions, timers, _LONGEST_SECONDS, pid)
            _show("fired", fired.per_second, fired.cpu_micros, fired.memory_bytes)


def _show(what: str, per_second: float, micros: float, memory: int) -> None:
    print(f"{what:<10} {per_second:9,.0f}/s   {micros:5.1f} us CPU   {memory / 2**20:5.0f} MB", flush=True)


if __name__ == "__main__":
    main()
