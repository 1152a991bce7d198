"""Slots of a person and how they move between persons: each event counts once, whatever overtakes what.

A slot is what one identifier contributed to a person in one period; a person is the fold of its slots. The graph
numbers the placements of a slot (`version`, 1 is the derived one, versions only grow). Events, moves and handoffs reach
a person by different topics in any order; these functions say what each does to the slots of the person that is the key
of the record. They are pure; S is the state a stage keeps per slot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from schemas.records import SlotVersion

S = TypeVar("S")


class Slot(msgspec.Struct, Generic[S], frozen=True):
    """A slot at its person. `complete`: all its earlier state has arrived, so absence in it means absence."""

    version: int
    complete: bool
    state: S | None = None


class Redirect(msgspec.Struct, frozen=True):
    """Where a slot that left went; `version` is that of its placement there."""

    to: str
    version: int


class Slots(msgspec.Struct, Generic[S], frozen=True):
    """All slots at one person, and where those that left went."""

    held: dict[str, Slot[S]] = {}
    redirects: dict[str, Redirect] = {}

    @property
    def complete(self) -> bool:
        """Whether nothing of this person is known to be still on its way here."""
        return all(slot.complete for slot in self.held.values())


@dataclass(frozen=True, slots=True)
class Handed(Generic[S]):
    """A slot that leaves for `to`."""

    to: str
    slot: str
    version: int
    complete: bool
    state: S | None


def redirect_of(slots: Slots[S], slot: str, version: int) -> Redirect | None:
    """Where an event stamped with this slot and version has to go instead; None when it belongs here."""
    redirect = slots.redirects.get(slot)
    return redirect if redirect is not None and redirect.version > version else None


def arrive(slots: Slots[S], slot: str, version: int) -> Slots[S]:
    """An event of this slot and version is applied here: the slot exists from now on. Call after `redirect_of`."""
    known = slots.held.get(slot)
    if known is None:
        held: Slot[S] = Slot(version=version, complete=version == 1)
    elif version > known.version:
        held = Slot(version=version, complete=known.complete, state=known.state)
    elif slot in slots.redirects:
        held = known
    else:
        return slots
    return Slots({**slots.held, slot: held}, _without(slots.redirects, slot))


def with_state(slots: Slots[S], slot: str, state: S) -> Slots[S]:
    """The slot, which is held here, with another state."""
    known = slots.held[slot]
    return Slots({**slots.held, slot: Slot(known.version, known.complete, state)}, slots.redirects)


def leave(slots: Slots[S], to: str, moved: list[SlotVersion]) -> tuple[Slots[S], list[Handed[S]]]:
    """A move record: what stays, and what is handed to `to` (an empty state too, so that the receiver knows)."""
    held, redirects = dict(slots.held), dict(slots.redirects)
    handed: list[Handed[S]] = []
    for move in moved:
        known, redirect = held.get(move.slot), redirects.get(move.slot)
        if known is not None and known.version >= move.version:
            if move.version == 2 and not known.complete:
                held[move.slot] = Slot(known.version, True, known.state)
            continue
        if redirect is not None and redirect.version >= move.version:
            continue
        if known is None:
            # nothing was here: true absence only if nothing can still be on its way to this person
            handed.append(Handed(to, move.slot, move.version, move.version == 2 and redirect is None, None))
        else:
            handed.append(Handed(to, move.slot, move.version, known.complete, known.state))
            del held[move.slot]
        redirects[move.slot] = Redirect(to, move.version)
    return Slots(held, redirects), handed


def join(
    slots: Slots[S], slot: str, version: int, complete: bool, state: S | None, merge: Callable[[S, S], S]
) -> tuple[Slots[S], Handed[S] | None]:
    """A handed slot arrives: joined here, or handed on when it has left for elsewhere meanwhile.

    `merge` joins two states of one slot; it must be commutative and associative.
    """
    redirect = redirect_of(slots, slot, version)
    if redirect is not None:
        return slots, Handed(redirect.to, slot, redirect.version, complete, state)
    known = slots.held.get(slot)
    if known is None:
        joined = Slot(version, complete, state)
    else:
        both = merge(known.state, state) if known.state is not None and state is not None else known.state or state
        joined = Slot(max(known.version, version), known.complete or complete, both)
    return Slots({**slots.held, slot: joined}, _without(slots.redirects, slot)), None


def _without(redirects: Mapping[str, Redirect], slot: str) -> dict[str, Redirect]:
    return {name: redirect for name, redirect in redirects.items() if name != slot}
