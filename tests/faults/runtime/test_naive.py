"""The campaign is able to fail: with one rule left out of the runtime, its invariants do not hold any more.

Each schedule is run twice side by side: as the runtime is, and without the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer

from processors.runtime.points import Point
from schemas.kafka import producer_config
from tests.faults.runtime.campaign import Judge
from tests.faults.runtime.crew import PATIENCE, Crew
from tests.faults.runtime.hand import Hand
from tests.faults.runtime.invariants import Violated
from tests.faults.runtime.job import Event, encode
from tests.faults.runtime.naive import RULES

#: far longer than anybody waits here, far shorter than the time until a transaction is given up
STUCK_SECONDS = 15.0
TEN_MINUTES_MS = 600_000


class Scene:
    """A crew on one partition, and what is published for it."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.judge = Judge(crew)
        self._producer = Producer(producer_config(crew.brokers))

    def publish(self, *events: Event, key: str = "somebody") -> None:
        for event in events:
            self._producer.produce(self.judge.job.events, encode(event), key)
        self._producer.flush()

    def until_napping(self) -> None:
        self.crew.until(self.crew.napping.exists, "the worker naps in the middle of a transaction")

    def leave(self, hand: Hand) -> None:
        """Let a worker stop in order, for now."""
        hand.wanted = False
        hand.terminate()
        self.crew.until(lambda: not hand.running(), "the worker stops")

    def wake_a_zombie(self, zombie: Hand) -> None:
        """Freeze a napping worker until another one has done its work; go on when it is in the group again."""
        zombie.freeze()
        self.crew.hire()
        self.judge.wait_until_settled()
        before = zombie.assignments()
        zombie.thaw()
        self.crew.napping.write_text("over")
        self.crew.until(lambda: zombie.assignments() > before, "who lost its partition joins again")


def events(first: int, count: int = 20) -> list[Event]:
    return [Event(number, 1_760_000_000_000 + number, number) for number in range(first, first + count)]


def dies_before_the_commit(scene: Scene) -> None:
    scene.publish(*events(0))
    scene.crew.crash(scene.crew.hire(start=False), Point.AFTER_OFFSETS, skip=0)


def freezes_with_events_at_hand(scene: Scene) -> None:
    worker = scene.crew.hire()
    scene.publish(*events(0))
    scene.publish(Event(100, 0, 0, nap=True), *events(101))
    scene.until_napping()
    scene.wake_a_zombie(worker)


def comes_back_to_a_partition(scene: Scene) -> None:
    first = scene.crew.hire()
    scene.publish(*events(0))
    scene.judge.wait_until_settled()
    scene.leave(first)
    second = scene.crew.hire()
    scene.publish(*events(100))
    scene.judge.wait_until_settled()
    scene.leave(second)
    first.wanted = True
    # delivered again
    scene.publish(*events(100), *events(200))


def freezes_with_a_timer_at_hand(scene: Scene) -> None:
    worker = scene.crew.hire()
    # one: a turn that takes the next event as well would send its offset
    scene.publish(*events(0, 1), key="nap")
    scene.until_napping()
    scene.wake_a_zombie(worker)


def dies_in_the_middle_of_a_transaction(scene: Scene) -> None:
    scene.publish(*events(0))
    scene.crew.crash(scene.crew.hire(start=False), Point.AFTER_CHANGELOG, skip=0)


def violations(kafka: str, home: Path, app: str, rule: str, act: Callable[[Scene], None]) -> set[int]:
    """Numbers of the invariants that do not hold after all this."""
    patience = STUCK_SECONDS if rule and CASES[rule][1] == {9} else PATIENCE
    with Crew(kafka, home, app, partitions=1, rule=rule, wake_after=500, transaction_timeout=TEN_MINUTES_MS) as crew:
        scene = Scene(crew)
        try:
            act(scene)
            scene.judge.wait_until_settled(patience)
            crew.shut_down()
            found = {figures.number for _, figures in scene.judge.verdict({}) if isinstance(figures, Violated)}
        except Violated as violation:
            found = {violation.number}
        finally:
            scene.judge.close()
        return found


CASES: dict[str, tuple[Callable[[Scene], None], set[int]]] = {
    "state written before the commit": (dies_before_the_commit, {1, 2, 3}),
    "generation read at commit time": (freezes_with_events_at_hand, {1, 2, 3, 5}),
    "store not caught up at assignment": (comes_back_to_a_partition, {1, 2}),
    "offsets not sent with timers": (freezes_with_a_timer_at_hand, {2, 5}),
    "fresh transactional id at each start": (dies_in_the_middle_of_a_transaction, {9}),
}


@pytest.fixture(scope="module")
def runs(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[set[int]]]]:
    """By case and rule left out ("" is none), what was violated. All run at once, as they wait most of the time."""
    home = tmp_path_factory.mktemp("naive")
    with ThreadPoolExecutor(2 * len(CASES)) as pool:
        yield {
            (case, rule): pool.submit(violations, kafka, home, f"naive-{number}{rule and '-without'}", rule, act)
            for number, (case, (act, _)) in enumerate(CASES.items())
            for rule in ("", case)
        }


@pytest.mark.parametrize("rule", RULES)
def test_without_a_rule_an_invariant_is_violated_and_with_it_none(
    rule: str, runs: dict[tuple[str, str], Future[set[int]]]
) -> None:
    assert runs[rule, ""].result() == set()
    found = runs[rule, rule].result()
    assert found, "nothing was noticed"
    assert found <= CASES[rule][1]
