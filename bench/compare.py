"""Pathline's runtime beside its peers: the same job, broker and minutes, one worker process each.

    python -m bench.compare [--rounds 3] [--seconds 15] [--only runtime quix] [--quick]

Rate: a worker catches up with events that wait for it; events a second between two committed outputs, the first of them
5 seconds after the first of all, so that starting and compiling are not in it. Delay: milliseconds from producing an
event until a reader of committed records has its output, at a steady pace. Systems run with their default settings and
take turns in every round; medians over the rounds are printed, a ratio is the median of the ratios within the rounds.
Run it on a quiet machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench import systems
from bench.counting import create, delays, fill, percentile, rate
from bench.ground import Ground, ground, options
from bench.systems import Missing, System

SYSTEMS = {
    "bare": systems.BARE,
    "runtime": systems.PATHLINE,
    "streams": systems.KAFKA_STREAMS,
    "streams10": systems.KAFKA_STREAMS_10,
    "quix": systems.QUIX,
    "quix100": systems.QUIX_100,
    "faust": systems.FAUST,
}
#: A JVM compiles what is hot in its first seconds.
_WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One system in one round. Processor time in microseconds an event, memory in MB, delays in milliseconds."""

    rate: float
    cpu: float
    memory: float
    start: float
    p50: float
    p99: float


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="longest time of a measurement")
    parser.add_argument("--events", type=int, default=2_500_000, help="how many wait for a worker")
    parser.add_argument("--pace", type=int, default=500, help="events a second while delays are measured")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.seconds, asked.events = 1, 6.0, 300_000
    found: dict[str, list[Figures]] = {}
    with ground(asked) as at:
        create(at.brokers, at.partitions, "events")
        fill(at.brokers, "events", asked.events)
        runnable = [name for name in asked.only if _can_run(SYSTEMS[name])]
        for number in range(asked.rounds):
            for name in runnable:
                figures = _measure(at, SYSTEMS[name], f"{name}-{number}", asked.events, asked.seconds, asked.pace)
                found.setdefault(name, []).append(figures)
    _show(found, asked.pace)


def _can_run(system: System) -> bool:
    try:
        system.prepare()
    except Missing as why:
        print(f"skipped: {system.name}: {why}")
        return False
    return True


def _measure(at: Ground, system: System, app: str, events: int, seconds: float, pace: int) -> Figures:
    behind, paced = at.job(f"{app}-behind", "events"), at.job(app, f"{app}.in")
    system.topics(behind)
    with at.quiet(), system.worker(behind) as pid:
        caught_up = rate(at.brokers, behind.out, at.partitions, events, seconds, pid, warm=_WARM_UP_SECONDS)
    system.topics(paced)
    create(at.brokers, at.partitions, paced.into)
    with at.quiet(), system.worker(paced):
        took = delays(at.brokers, paced.into, paced.out, at.partitions, pace, seconds, _WARM_UP_SECONDS)
    figures = Figures(
        caught_up.per_second,
        caught_up.cpu_micros,
        caught_up.memory_bytes / 2**20,
        caught_up.start_seconds,
        percentile(took, 0.5),
        percentile(took, 0.99),
    )
    print(
        f"  {app:<12} {figures.rate:9,.0f} events/s   p50 {figures.p50:7.1f} ms   p99 {figures.p99:7.1f} ms", flush=True
    )
    return figures


def _show(found: dict[str, list[Figures]], pace: int) -> None:
    def median(name: str, what: Callable[[Figures], float]) -> float:
        return statistics.median(what(figures) for figures in found[name])

    print(f"\n{'':<28} events/s  us CPU     MB  start s   p50 ms   p99 ms   at {pace}/s")
    for name in found:
        print(
            f"{SYSTEMS[name].name:<28} {median(name, lambda f: f.rate):8,.0f}  {median(name, lambda f: f.cpu):6.1f}"
            f" {median(name, lambda f: f.memory):6.0f}  {median(name, lambda f: f.start):7.1f}"
            f"  {median(name, lambda f: f.p50):7.1f}  {median(name, lambda f: f.p99):7.1f}"
        )
    if "runtime" not in found:
        return
    for name in (each for each in found if each != "runtime"):
        pairs = list(zip(found["runtime"], found[name], strict=True))
        faster = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
        sooner = statistics.median(ours.p50 / theirs.p50 for ours, theirs in pairs)
        print(f"Pathline / {SYSTEMS[name].name:<26} rate {faster:6.2f}   p50 {sooner:5.2f}")


if __name__ == "__main__":
    main()
