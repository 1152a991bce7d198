"""One campaign: workers under load, faults by schedule, and then what must hold all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from confluent_kafka import KafkaException

from processors.runtime.points import Point
from tests.faults.injectors import Impossible, inject
from tests.faults.runtime import invariants, oracle
from tests.faults.runtime.crew import PATIENCE, Broker, Crew
from tests.faults.runtime.evidence import Gatherer
from tests.faults.runtime.feeder import Feeder
from tests.faults.runtime.generator import EVENTS_EACH, messages
from tests.faults.runtime.hand import Stuck
from tests.faults.runtime.invariants import Figures, Violated
from tests.faults.runtime.job import Job
from tests.faults.schedule import Fault, schedule

T = TypeVar("T")

WORKERS = 2
_LOOK_SECONDS = 0.1
_MOMENT = 5.0


Verdict = list[tuple[str, Figures | Violated]]
"""Figures of each invariant, or how it is violated."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a fault cost: seconds from its end until every partition went on, and changelog records read again."""

    fault: Fault
    seconds: float
    restored: int
    skipped: str = ""


@dataclass(slots=True)
class Report:
    """What a campaign saw. `ends` counts how processes ended, by exit code (negative: a signal)."""

    aftermaths: list[Aftermath] = field(default_factory=list)
    verdict: Verdict = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0


class Judge:
    """Compares what a crew does with what must hold, while it works and at the end."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.job = Job(crew.app, 0, crew.napping)
        self._gatherer = Gatherer(crew.brokers, self.job, crew.partitions)
        self._checked: dict[tuple[str, int], int] = {}

    def look(self) -> dict[tuple[str, int], int]:
        """Check that committed offsets are not ahead (3), now; they are returned. Raises Violated."""
        committed = self._committed()
        written = self._told(self._gatherer.written)

        def checked() -> bool:
            self._told(self._gatherer.gather)
            decided = self._gatherer.has_read(written)
            try:
                self._offsets = invariants.offsets_never_ahead(self._gatherer.evidence, committed, self._checked)
            except Violated:
                # the broker shows what a transaction committed partition by partition, offsets sometimes first
                if decided:
                    raise
                return False
            return True

        self.crew.until(checked, "what was written is committed or aborted", every=_LOOK_SECONDS)
        return committed

    def wait_until_all_go_on(self, patience: float = PATIENCE) -> None:
        """Until each partition has gone on from where it is now, or has nothing to do. Raises Violated."""
        before = self.look()
        self._wait(lambda: not self._standing(before), patience)

    def wait_until_settled(self, patience: float = PATIENCE) -> None:
        """Until all input is processed, all timers are fired and nothing is hidden from readers. Raises Violated."""

        def settled() -> bool:
            done = not self._standing({}) and not self._gatherer.evidence.pending()
            return done and not self._told(self._gatherer.hidden)

        self._wait(settled, patience)

    def verdict(self, poison: Mapping[tuple[bytes, bytes | None], int]) -> Verdict:
        """What is found of each invariant, by its name. The workers must be down. Raises Violated (3 only)."""
        self.look()
        evidence, crew = self._gatherer.evidence, self.crew
        expected = oracle.run(self.job, evidence, crew.partitions)
        states = [hand.state for hand in crew.hands]
        checks: dict[str, Callable[[], Figures]] = {
            "1 outputs": lambda: invariants.outputs_exactly_once(evidence, expected),
            "2 state": lambda: invariants.state_as_the_oracle(evidence, expected),
            "2 local stores": lambda: invariants.stores_as_the_changelog(
                crew.brokers, crew.app, crew.partitions, states
            ),
            "3 committed offsets": lambda: self._offsets,
            "4 dead letters": lambda: invariants.dead_letters_exactly_once(evidence, expected, poison),
            "5 timers": lambda: invariants.timers_once_never_early(evidence),
            "6 merges": lambda: invariants.each_event_in_one_person(evidence, expected),
        }
        return [(name, _figures(check)) for name, check in checks.items()]

    def close(self) -> None:
        """Leave the broker."""
        self._gatherer.close()

    def _committed(self) -> dict[tuple[str, int], int]:
        """The committed offsets. A broker that comes back tells some of long ago for a moment; workers know better."""
        found = [self._told(self._gatherer.committed)]

        def none_went_back() -> bool:
            found.append(self._told(self._gatherer.committed))
            return all(found[-1][place] >= offset for place, offset in self._checked.items())

        if any(found[0][place] < offset for place, offset in self._checked.items()):
            with suppress(Stuck):
                self.crew.until(none_went_back, "committed offsets are told as they were", _MOMENT, every=_LOOK_SECONDS)
        return found[-1]

    def _told(self, ask: Callable[[], T]) -> T:
        """What the broker answers, as soon as it does."""
        answers: list[T] = []

        def answered() -> bool:
            with suppress(KafkaException):
                answers.append(ask())
            return bool(answers)

        self.crew.until(answered, "the broker answers")
        return answers[0]

    def _wait(self, done: Callable[[], bool], patience: float) -> None:
        try:
            self.crew.until(done, "every partition goes on", patience, every=_LOOK_SECONDS)
        except Stuck as error:
            raise Violated(9, str(error)) from error

    def _standing(self, before: Mapping[tuple[str, int], int]) -> list[tuple[str, int]]:
        """Input partitions with something to do that have not gone on from these offsets."""
        committed = self.look()
        ends = self._gatherer.evidence.ends
        return [at for at, offset in committed.items() if offset < ends[at] and offset <= before.get(at, ends[at])]


def run(
    folder: Path,
    *,
    events: int,
    seed: int,
    faults: int,
    calm_seconds: float = 2.0,
    session_timeout: int = 2_000,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Run a campaign on a broker of its own in `folder`, with at least so many messages and faults.

    `say` is told what happens, in lines. Raises Violated at once when a partition is stuck or committed offsets are
    ahead, Stuck when a process does not do what it should; all else is in the verdict.
    """
    started, report = time.monotonic(), Report()
    broker = Broker(folder / "kafka")
    say("starting the broker")
    brokers = broker.start()
    try:
        with Crew(brokers, folder, "campaign", broker=broker, session_timeout=session_timeout) as crew:
            judge = Judge(crew)
            source = messages(seed, max(50, events // EVENTS_EACH))
            feeder = Feeder(brokers, (judge.job.events, judge.job.visits), source, seed, events)
            feeder.start()
            for _ in range(WORKERS):
                crew.hire()
            judge.wait_until_all_go_on()
            planned = schedule(
                seed, faults, session_seconds=crew.session_seconds, calm_seconds=calm_seconds, points=tuple(Point)
            )
            for number, fault in enumerate(planned, 1):
                report.aftermaths.append(aftermath := strike(crew, judge, fault))
                say(f"{number}/{len(planned)} {told(aftermath)}; {feeder.published:,} messages published")
            feeder.finish()
            say("faults are over; waiting until all is processed")
            judge.wait_until_settled()
            crew.shut_down()
            say("comparing with the oracle")
            report.verdict = judge.verdict(feeder.poison)
            for hand in crew.hands:
                for code, count in hand.ends.items():
                    report.ends[code] = report.ends.get(code, 0) + count
            judge.close()
    finally:
        broker.stop()
    report.seconds = time.monotonic() - started
    return report


def strike(crew: Crew, judge: Judge, fault: Fault) -> Aftermath:
    """Let one fault happen and wait until the line has recovered. Raises Violated, Stuck."""
    crew.wait(fault.calm)
    judge.look()
    restored = crew.restored()
    try:
        inject(fault, crew)
    except Impossible as error:
        return Aftermath(fault, 0.0, 0, skipped=str(error))
    over = time.monotonic()
    judge.wait_until_all_go_on()
    return Aftermath(fault, time.monotonic() - over, crew.restored() - restored)


def _figures(check: Callable[[], Figures]) -> Figures | Violated:
    try:
        return check()
    except Violated as violation:
        return violation


def told(aftermath: Aftermath) -> str:
    """In one line."""
    if aftermath.skipped:
        return f"{aftermath.fault}: skipped, {aftermath.skipped}"
    return f"{aftermath.fault}: went on after {aftermath.seconds:.1f} s, {aftermath.restored:,} records restored"
