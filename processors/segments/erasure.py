"""Slots that were erased: nothing of them is kept, and nothing that still comes of them counts.

What is of the time after the erasure and was filed before it was heard of goes to the person that begins anew. A
suppressed address must not be written to again only because its person asked to be forgotten: its suppression waits, by
the mark of the identifier, at the person as which that identifier begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from processors.runtime.slots import Slot, bury
from processors.segments.model import NEVER, Person, State, join, suppressed
from schemas.erasure import Erased, mark
from schemas.identifiers import identifier_of, person_id, slot_of, split
from schemas.records import Erasure, Event, HandedSlot, PersonEnvelope, SlotVersion

S = TypeVar("S", HandedSlot, SlotVersion)


def alive(person: Person, slots: list[S]) -> list[S]:
    """Those of these slots that were not erased here."""
    return [slot for slot in slots if mark(slot.slot) not in person.erased] if person.erased else slots


def anew(envelope: PersonEnvelope, erased: Erased, event: Event) -> PersonEnvelope | None:
    """An event of an erased slot as one of the person that begins anew; None when it is to be dropped."""
    if not erased.generation or erased.covers(event.occurred_at, event.received_at):
        return None
    identifier = identifier_of(envelope.slot)
    person, slot = person_id(identifier, erased.generation), slot_of(identifier, erased.at + 1)
    return msgspec.structs.replace(envelope, person_id=person, slot=slot, version=1)


def without(person: Person, erasure: Erasure) -> Person:
    """The person without these slots."""
    generations = erasure.generations or [0] * len(erasure.slots)
    erased = {mark(slot): Erased(erasure.at, g) for slot, g in zip(erasure.slots, generations, strict=True)}
    slots = bury(person.slots, set(erasure.slots))
    suppressed = {**person.suppressed, **erasure.suppressed}
    if not slots.held and not slots.redirects:
        return Person(asked=person.asked, erased={**person.erased, **erased}, suppressed=suppressed)
    return msgspec.structs.replace(person, slots=slots, erased={**person.erased, **erased}, suppressed=suppressed)


def outliving(person: Person, erasure: Erasure) -> Iterator[PersonEnvelope]:
    """What the persons have to know as which erased identifiers begin anew: that their address is suppressed."""
    held = (person.slots.held[slot].state for slot in erasure.slots if slot in person.slots.held)
    scopes = suppressed([state for state in held if state is not None])
    generations = {identifier_of(slot): g for slot, g in zip(erasure.slots, erasure.generations, strict=False) if g}
    for identifier, generation in generations.items():
        address = split(identifier)[1]
        if address in scopes:
            kept = Erasure(identifiers=[], slots=[], at=erasure.at, suppressed={mark(identifier): scopes[address]})
            to = person_id(identifier, generation)
            yield PersonEnvelope(kind="erasure", person_id=to, erasure=kept)


def restored(person: Person, slots: Iterable[str]) -> Person:
    """The person with the suppressions that waited for the identifiers of these slots."""
    for slot in slots if person.suppressed else ():
        identifier = identifier_of(slot)
        scope = person.suppressed.get(mark(identifier))
        if scope is None or slot in person.slots.redirects:
            continue
        state = State(first_seen=NEVER, suppressed={split(identifier)[1]: scope})
        known = person.slots.held.get(slot) or Slot[State](1, True)
        known = msgspec.structs.replace(known, state=state if known.state is None else join(known.state, state))
        held = msgspec.structs.replace(person.slots, held={**person.slots.held, slot: known})
        waiting = {name: kept for name, kept in person.suppressed.items() if name != mark(identifier)}
        person = msgspec.structs.replace(person, slots=held, suppressed=waiting)
    return person
