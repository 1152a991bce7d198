"""The invariants hold for a run without faults, and each of them notices what it is there for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from processors.runtime.memory import MemoryLine
from processors.runtime.partitioner import partition_of
from processors.runtime.store import state_key
from schemas.clock import VirtualClock
from schemas.topics import DEAD_LETTERS
from tests.faults.runtime import invariants, oracle
from tests.faults.runtime.evidence import Evidence, origin_of
from tests.faults.runtime.generator import messages
from tests.faults.runtime.invariants import Figures, Violated
from tests.faults.runtime.job import PERSONS, Counted, Job, Person, Woken, output

PARTITIONS = 4


@dataclass
class Run:
    """What a run left, and what it should have left."""

    evidence: Evidence
    expected: oracle.Expected
    poison: Counter[tuple[bytes, bytes | None]]

    def change(self, key: str, **changes: object) -> None:
        """Another state under a key."""
        state = self.evidence.state[partition_of(key.encode(), PARTITIONS)]
        raw = state_key(PERSONS, key)
        state[raw] = PERSONS.encode(msgspec.structs.replace(PERSONS.decode(state[raw]), **changes))

    def merged(self) -> tuple[str, Person]:
        """Somebody who logged in."""
        return next((key, person) for key, person in self.evidence.persons().items() if person.owner)

    def check(self) -> dict[int, list[str]]:
        """Numbers of the invariants that do not hold, with what they say."""
        found: dict[int, list[str]] = {}
        checks: list[Callable[[], Figures]] = [
            lambda: invariants.outputs_exactly_once(self.evidence, self.expected),
            lambda: invariants.state_as_the_oracle(self.evidence, self.expected),
            lambda: invariants.offsets_never_ahead(self.evidence, self.evidence.ends, {}),
            lambda: invariants.dead_letters_exactly_once(self.evidence, self.expected, self.poison),
            lambda: invariants.timers_once_never_early(self.evidence),
            lambda: invariants.each_event_in_one_person(self.evidence, self.expected),
        ]
        for check in checks:
            try:
                check()
            except Violated as violation:
                found.setdefault(violation.number, []).append(str(violation))
        return found


@pytest.fixture(scope="module")
def sound() -> Run:
    """A run in memory, timers included."""
    job, evidence, poison = Job("app", 200, Path("unused")), Evidence(), Counter[tuple[bytes, bytes | None]]()
    line = MemoryLine([job], VirtualClock(1_000), PARTITIONS)
    for message in islice(messages(1, 50), 3_000):
        partition = partition_of(message.key, PARTITIONS)
        line.publish((job.events, job.visits)[message.topic], "", message.value, partition, raw_key=message.key)
        poison[message.key, message.value] += message.poison
    line.advance(10_000)
    for topic in (job.events, job.visits):
        for record in line.outputs[topic]:
            evidence.inputs[topic, record.partition].append(record)
            evidence.ends[topic, record.partition] += 1
    for record in line.outputs[job.out]:
        key, said = (record.key or b"").decode(), output(record.value)
        if isinstance(said, Counted):
            evidence.counted.append((key, said))
            evidence.answered.add(said.id)
        else:
            evidence.woken.append((key, said, record.timestamp))
    for letter in line.outputs[DEAD_LETTERS]:
        evidence.letters[origin_of(letter)].append(letter)
    for key, person in line.states(job.app, PERSONS):
        evidence.state[partition_of(key.encode(), PARTITIONS)][state_key(PERSONS, key)] = PERSONS.encode(person)
    line.close()
    return Run(evidence, oracle.run(job, evidence, PARTITIONS), +poison)


@pytest.fixture
def run(sound: Run) -> Run:
    """One that may be damaged."""
    return deepcopy(sound)


def test_a_run_without_faults_has_all_that_the_campaign_is_about(run: Run) -> None:
    assert run.check() == {}
    persons = run.evidence.persons().values()
    assert run.poison
    assert [person for person in persons if person.owner]
    assert len(run.expected.answers) < 3_000 - run.poison.total(), "nothing was delivered twice"


def lost_answer(run: Run) -> None:
    _, said = run.evidence.counted.pop()
    run.evidence.answered.remove(said.id)


def second_answer(run: Run) -> None:
    run.evidence.counted.append(run.evidence.counted[-1])


def answer_to_nothing(run: Run) -> None:
    key, said = run.evidence.counted[-1]
    run.evidence.counted.append((key, msgspec.structs.replace(said, id=-1)))


def other_answer(run: Run) -> None:
    key, said = run.evidence.counted[0]
    run.evidence.counted[0] = key, msgspec.structs.replace(said, amount=said.amount + 1)


def answers_in_another_order(run: Run) -> None:
    run.evidence.counted.reverse()


def lost_state(run: Run) -> None:
    run.change(run.evidence.counted[0][0], received=frozenset())


def counted_twice(run: Run) -> None:
    key, person = run.merged()
    run.change(key, tally=person.tally + run.evidence.persons()[person.owner or ""].tally)


def lost_letter(run: Run) -> None:
    run.evidence.letters.popitem()


def second_letter(run: Run) -> None:
    next(iter(run.evidence.letters.values())).append(next(iter(run.evidence.letters.values()))[0])


def cut_letter(run: Run) -> None:
    place, (letter,) = next(iter(run.evidence.letters.items()))
    run.evidence.letters[place] = [msgspec.structs.replace(letter, value=b"")]


def timer_fired_twice(run: Run) -> None:
    run.evidence.woken.append(run.evidence.woken[0])


def timer_never_fired(run: Run) -> None:
    run.evidence.woken.pop()


def timer_fired_early(run: Run) -> None:
    key, said, _ = run.evidence.woken[0]
    run.evidence.woken[0] = key, said, said.due - 1


def timer_nobody_asked_for(run: Run) -> None:
    run.evidence.woken.append(("somebody", Woken(5), 5))


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        (lost_answer, 1),
        (lost_answer, 3),
        (second_answer, 1),
        (answer_to_nothing, 1),
        (other_answer, 1),
        (answers_in_another_order, 1),
        (lost_state, 2),
        (lost_state, 3),
        (lost_letter, 3),
        (lost_letter, 4),
        (second_letter, 4),
        (cut_letter, 4),
        (timer_fired_twice, 5),
        (timer_never_fired, 5),
        (timer_fired_early, 5),
        (timer_nobody_asked_for, 5),
        (counted_twice, 6),
    ],
)
def test_damage_is_noticed(damage: Callable[[Run], None], number: int, run: Run) -> None:
    damage(run)
    assert number in run.check()
