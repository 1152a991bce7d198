"""What must come out: the same steps run once, in one thread, over the input as Kafka recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge

from processors.runtime.memory import MemoryLine
from schemas.clock import VirtualClock
from schemas.topics import DEAD_LETTERS
from tests.faults.runtime.evidence import Evidence, origin_of
from tests.faults.runtime.job import PERSONS, Counted, Job, Person, output


@dataclass(frozen=True, slots=True)
class Expected:
    """`answers` is (key, amount) of each event by its id; `letters` are the places of inputs that can't be used."""

    answers: dict[int, tuple[str, int]]
    persons: dict[str, Person]
    letters: set[tuple[str, int, int]]


def run(job: Job, evidence: Evidence, partitions: int) -> Expected:
    """Run the stage in memory over all recorded input, by its timestamps.

    Timers are left alone, as the hour at which they are asked for is another one.
    """
    line = MemoryLine([job], VirtualClock(0), partitions)
    for record in merge(*evidence.inputs.values(), key=lambda record: (record.timestamp, record.topic)):
        line.publish(record.topic, "", record.value, record.partition, raw_key=record.key)
        line.drain()
    answers = {
        said.id: ((record.key or b"").decode(), said.amount)
        for record in line.outputs[job.out]
        if isinstance(said := output(record.value), Counted)
    }
    letters = set()
    for letter in line.outputs[DEAD_LETTERS]:
        topic, partition, place = origin_of(letter)
        # in memory offsets are places among what was published
        letters.add((topic, partition, evidence.inputs[topic, partition][place].offset))
    persons = dict(line.states(job.app, PERSONS))
    line.close()
    return Expected(answers, persons, letters)
