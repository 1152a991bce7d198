"""Slots that were erased: their instances, sends and timers are gone, and nothing that still comes of them is taken.

An erasure waits for nothing, also not behind updates that wait for state on its way.
"""

from __future__ import annotations

import msgspec

from processors.journeys.model import Person
from processors.journeys.working import Working
from processors.runtime.slots import bury
from schemas.codec import Codec
from schemas.erasure import mark
from schemas.records import Erasure, Handoff, Update


def erase(person: Working, erasure: Erasure, codec: Codec) -> None:
    """Forget what belongs to these slots, and the person with the last of them."""
    dead = set(erasure.slots)
    known = person.person
    held = tuple(rest for raw in known.held if (rest := _rest(raw, dead, codec)) is not None)
    expected = {slot: version for slot, version in known.expected.items() if slot not in dead}
    erased = tuple(sorted({*known.erased, *map(mark, dead)}))
    slots = bury(person.slots, dead)
    if not slots.held and not slots.redirects:
        # what waits here is about slots that are gone
        person.person = Person(erased=erased)
        person.forgotten = True
        return
    person.place(slots)
    person.change(
        held=held,
        held_since=known.held_since if held else None,
        expected=expected,
        expected_since=known.expected_since if expected else None,
        unmet=tuple(slot for slot in known.unmet if slot not in dead),
        erased=erased,
    )


def _rest(raw: bytes, dead: set[str], codec: Codec) -> bytes | None:
    """What is left of an update that waits, without these slots; None when it was about one of them."""
    update = codec.decode(Update, raw)
    if update.slot in dead:
        return None
    arrived = [slot for slot in update.arrived if slot.slot not in dead]
    move = update.move
    if move is not None:
        move = msgspec.structs.replace(move, slots=[slot for slot in move.slots if slot.slot not in dead])
    if arrived == update.arrived and move == update.move:
        return raw
    return codec.encode(msgspec.structs.replace(update, arrived=arrived, move=move))


def alive(person: Working, handoff: Handoff) -> Handoff:
    """A handoff without slots that were erased here."""
    slots = [slot for slot in handoff.slots if mark(slot.slot) not in person.person.erased]
    return handoff if len(slots) == len(handoff.slots) else msgspec.structs.replace(handoff, slots=slots)
