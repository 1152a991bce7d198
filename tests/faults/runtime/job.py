"""The job of the campaign: counts events per person, once each however often they are delivered, merges at a login.

An event counts under its key; after a login of that key it counts for the user, to whom what was counted before is
handed over through a topic. Every event is answered by one output and asks for one timer. Amounts and times are joined
by operations that commute, so what is left in the end depends on the input, not on which of two topics was read first.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from processors.runtime.contract import BadRecord, Record, Table, Turn

_NAP_STEP_SECONDS = 0.05


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client sends. `occurred` is in milliseconds; `login` is the user that the key turns out to be.

    `refused` is found out at the end of the turn only. `nap` makes the stage slow, once: see `Job`.
    """

    id: int
    occurred: int
    amount: int
    login: str | None = None
    refused: bool = False
    nap: bool = False


class Tally(msgspec.Struct, frozen=True):
    """Events counted: how many, the sum of their amounts, when the first and the last of them occurred."""

    count: int = 0
    amount: int = 0
    first: int = 2**62
    last: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.count + other.count,
            self.amount + other.amount,
            min(self.first, other.first),
            max(self.last, other.last),
        )


class Person(msgspec.Struct, frozen=True):
    """State under a key: `received` are ids of the events that came under it, `owner` the user they count for."""

    received: frozenset[int] = frozenset()
    tally: Tally = Tally()
    owner: str | None = None
    woken: int = 0


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The answer to an event, the `place`-th under its key. `source` is the (topic, partition, offset) it came from,
    `due` the timer it asked for."""

    id: int
    amount: int
    place: int
    source: tuple[str, int, int]
    due: int


class Woken(msgspec.Struct, frozen=True, tag="woken"):
    """A timer was fired."""

    due: int


Output = Counted | Woken

PERSONS = Table("person", Person)

_events = msgspec.json.Decoder(Event)
_tallies = msgspec.json.Decoder(Tally)
_outputs: msgspec.json.Decoder[Output] = msgspec.json.Decoder(Output)
encode = msgspec.json.encode


def output(value: bytes | None) -> Output:
    """What an output says."""
    return _outputs.decode(value or b"")


class Job:
    """The stage. `wake_after` is in milliseconds.

    The first event or timer with a nap (timers: of the key `nap`) leaves the file `napping` and sleeps until something
    is written there, so that a test can freeze the worker in the middle of a transaction.
    """

    def __init__(self, app: str, wake_after: int, napping: Path) -> None:
        self.app = app
        self.events, self.visits, self.handoff = f"{app}.events", f"{app}.visits", f"{app}.handoff"
        self.inputs: tuple[str, ...] = (self.events, self.visits, self.handoff)
        self.out = f"{app}.out"
        self._wake_after = wake_after
        self._napping = napping

    def on_record(self, record: Record, turn: Turn) -> None:
        try:
            key = (record.key or b"").decode()
            if record.topic == self.handoff:
                person = turn.get(PERSONS, key) or Person()
                handed = _tallies.decode(record.value or b"")
                turn.put(PERSONS, key, msgspec.structs.replace(person, tally=person.tally + handed))
            else:
                self._event(key, _events.decode(record.value or b""), record, turn)
        except (UnicodeDecodeError, msgspec.DecodeError) as error:
            raise BadRecord(str(error)) from error

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        if key == "nap":
            self._nap()
        person = turn.get(PERSONS, key) or Person()
        turn.put(PERSONS, key, msgspec.structs.replace(person, woken=person.woken + 1))
        turn.send(self.out, key, encode(Woken(due)))

    def on_assigned(self, turn: Turn) -> None:
        pass

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        pass

    def _event(self, key: str, event: Event, record: Record, turn: Turn) -> None:
        person = turn.get(PERSONS, key) or Person()
        if event.id in person.received:
            return
        if event.nap:
            self._nap()
        owner, tally = (
            event.login or person.owner,
            person.tally + Tally(1, event.amount, event.occurred, event.occurred),
        )
        if owner is not None:
            turn.send(self.handoff, owner, encode(tally))
            tally = Tally()
        received = person.received | {event.id}
        turn.put(PERSONS, key, Person(received, tally, owner, person.woken))
        due = turn.now + self._wake_after
        turn.wake(key, due)
        source = record.topic, record.partition, record.offset
        turn.send(self.out, key, encode(Counted(event.id, event.amount, len(received), source, due)))
        if event.refused:
            raise BadRecord("refused")

    def _nap(self) -> None:
        if not self._napping.exists():
            self._napping.touch()
            # not for some seconds: on a busy machine they could be over before the worker is frozen
            while not self._napping.stat().st_size:
                time.sleep(_NAP_STEP_SECONDS)
