"""What an undisturbed line makes of the recorded events: the same steps, in one thread, on a virtual clock.

Left out is what depends on when the real line got to an event: journeys that wait, and segments with a window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import BadRecord, Codec
from schemas.definitions import parse
from schemas.identifiers import person_id, split
from schemas.records import Assignment, Event, Period, SendCommand, Update
from tests.faults.line.crowd import REFUSED
from tests.faults.line.project import DETERMINED, FILES, FRESH_MS

#: (since, person) of each period of an identifier
Owners = tuple[tuple[int, str], ...]
#: outputs are taken out of memory after so many events
_TAKE_EVERY = 2_000


@dataclass(slots=True)
class Expected:
    """What must come out.

    `filed` is the slot of each event, by its id, `owners` the final periods of each identifier that was ever joined,
    `profiles` the last profile of each person. `receipts` are the ids of the sends of `receipt`, `thanked` how often
    each address gets `thanks`, those that the mail server refuses apart: what becomes of these depends on when the
    refusal is known.
    """

    filed: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    owners: dict[str, Owners] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    receipts: set[str] = field(default_factory=set)
    thanked: Counter[str] = field(default_factory=Counter)

    def person_of(self, event: str) -> str:
        """Who an event belongs to in the end."""
        slot = self.filed[event]
        return self.placed.get(slot) or person_id(slot.rpartition("#")[0])


def shared(slot: str) -> bool:
    """Whether a slot belongs to something that goes from owner to owner: which period an event is filed under depends
    on when the line learned of the new owner."""
    return split(slot)[0] == "device_id"


def refused(address: str) -> bool:
    """Whether the mail catcher refuses an address."""
    return address.startswith(REFUSED)


def owners_of(assignment: Assignment) -> Owners:
    """Who an identifier belongs to, and from when on."""
    return tuple((period.since, period.person_id) for period in assignment.periods)


def undisturbed(recorded: Iterable[Record], partitions: int) -> Expected:
    """Run the recorded events of a line."""
    waiting = {f"journeys/{name}.yaml" for name in ("reminder", "trial")}
    project = parse({name: text for name, text in FILES.items() if name not in waiting})
    assert set(project.journeys) == set(DETERMINED)
    codec, source, clock = Codec(), FixedDefinitions(project), VirtualClock()
    stages = [stage(source, codec) for stage in (IdentityStage, GraphStage, SegmentsStage, JourneysStage)]
    line, taken = MemoryLine(stages, clock, partitions), _Taking(codec)
    for number, record in enumerate(recorded, 1):
        try:
            event = codec.decode(Event, record.value)
        except BadRecord:
            continue
        line.advance(max(clock.at, event.received_at))
        line.publish(topics.EVENTS, event.identifiers[0], record.value)
        line.drain()
        if number % _TAKE_EVERY == 0:
            taken.take(line)
    line.advance(clock.at + 2 * FRESH_MS)
    taken.take(line)
    line.close()
    return taken.expected


class _Taking:
    """Takes what a line in memory has put out so far."""

    def __init__(self, codec: Codec) -> None:
        self.expected = Expected()
        self._codec = codec
        self._latest: dict[str, Period] = {}

    def take(self, line: MemoryLine) -> None:
        expected, outputs = self.expected, line.outputs
        for record in outputs[topics.UPDATES]:
            update = self._codec.decode(Update, record.value)
            if update.event is not None:
                event = self._codec.decode(Event, update.event)
                expected.filed[event.event_id], expected.names[event.event_id] = update.slot, event.name
            if update.profile is not None:
                expected.profiles[update.person_id] = orjson.loads(update.profile)
        for record in outputs[topics.ASSIGNMENTS]:
            assignment = self._codec.decode(Assignment, record.value)
            expected.owners[assignment.identifier] = owners_of(assignment)
            expected.placed |= {period.slot: period.person_id for period in assignment.periods}
        for transactional in (False, True):
            for record in outputs[topics.outbound("email", transactional)]:
                self._send(self._codec.decode(SendCommand, record.value))
        assert not outputs[topics.DEAD_LETTERS], "the steps refuse an event that can be read"
        outputs.clear()

    def _send(self, command: SendCommand) -> None:
        if refused(command.to):
            return
        if command.journey == "receipt":
            self.expected.receipts.add(command.send_id)
        else:
            self.expected.thanked[command.to] += 1
