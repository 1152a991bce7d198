"""Events that wait at a person whose state is on its way there.

Each is folded when the person is whole, as if the state had come at once: so what an event changes has that event as
its cause, whatever overtook it, and a journey begins by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from processors.runtime.contract import Table, Turn
from schemas.records import PersonEnvelope


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """An event (as framed) that came for a slot at this placement."""

    slot: str
    version: int
    event: bytes

    def envelope(self, person_id: str) -> PersonEnvelope:
        """The record it came in."""
        return PersonEnvelope(kind="event", person_id=person_id, slot=self.slot, version=self.version, event=self.event)


WAITING = Table("waiting", Waiting)


def park(turn: Turn, person_id: str, number: int, events: Sequence[Waiting]) -> int:
    """Keep events behind the `number` that wait there; how many wait then."""
    for place, one in enumerate(events, number):
        turn.put(WAITING, _key(person_id, place), one)
    return number + len(events)


def take(turn: Turn, person_id: str, number: int) -> Sequence[Waiting]:
    """The `number` events that wait there, in the order in which they came; none waits any more."""
    found = list[Waiting]()
    for key in (_key(person_id, n) for n in range(number)):
        one = turn.get(WAITING, key)
        assert one is not None, f"an event that waits at {person_id} is gone"
        found.append(one)
        turn.put(WAITING, key, None)
    return found


def _key(person_id: str, number: int) -> str:
    return f"{person_id}\0{number}"
