"""Slots of a person and how they move between persons: each event counts once, whatever overtakes what.

A slot is what one identifier contributed to a person in one period; a person is the fold of its slots. The graph
numbers the placements of a slot (`version`, 1 is the derived one, versions only grow). Events, moves and handoffs reach
a person by different topics in any order; these functions say what each does to the slots of the person that is the key
of the record. They are pure; S is the state a stage keeps per slot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from schemas.records import HandedSlot, SlotVersion

S = TypeVar("S")

#: Half a merge must not look like "did not buy": for so long a person waits for state that is on its way (wall time).
PATIENCE_MS = 30_000
#: A worker that comes so much later to the end of that was away meanwhile, and what is waited for may be among what it
#: has not read yet.
AWAY_MS = 5_000


class Slot(msgspec.Struct, Generic[S], frozen=True, omit_defaults=True):
    """A slot at its person. `complete`: all its earlier state has arrived, so absence in it means absence; until then
    `gathered` are the earlier placements (by version) whose state has."""

    version: int
    complete: bool
    state: S | None = None
    gathered: list[int] = []


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
    gathered: list[int]


def redirect_of(slots: Slots[S], slot: str, version: int) -> Redirect | None:
    """Where an event stamped with this slot and version has to go instead; None when it belongs here."""
    redirect = slots.redirects.get(slot)
    return redirect if redirect is not None and redirect.version > version else None


def arrive(slots: Slots[S], slot: str, version: int) -> Slots[S]:
    """An event of this slot and version is applied here: the slot exists from now on. Call after `redirect_of`."""
    known = slots.held.get(slot)
    if known is None:
        held: Slot[S] = _slot(version, set(), None)
    elif version > known.version:
        held = _slot(version, {*_gathered(known), known.version}, known.state)
    elif slot in slots.redirects:
        held = known
    else:
        return slots
    return Slots({**slots.held, slot: held}, _without(slots.redirects, slot))


def with_state(slots: Slots[S], slot: str, state: S) -> Slots[S]:
    """The slot, which is held here, with another state."""
    known = slots.held[slot]
    return Slots({**slots.held, slot: msgspec.structs.replace(known, state=state)}, slots.redirects)


def leave(slots: Slots[S], to: str, moved: list[SlotVersion]) -> tuple[Slots[S], list[Handed[S]]]:
    """A move record: what stays, and what is handed to `to` (an empty state too, so that the receiver knows)."""
    held, redirects = dict(slots.held), dict(slots.redirects)
    handed: list[Handed[S]] = []
    for move in moved:
        known, redirect = held.get(move.slot), redirects.get(move.slot)
        # whatever becomes of it, the state of the placement that ends here is in what is held or handed over
        if known is not None and known.version >= move.version:
            held[move.slot] = _slot(known.version, {*_gathered(known), move.version - 1}, known.state)
            continue
        if redirect is not None and redirect.version >= move.version:
            continue
        gathered, state = {move.version - 1}, None
        if known is not None:
            gathered, state = gathered | {*_gathered(known), known.version}, known.state
            del held[move.slot]
        leaving = _slot(move.version, gathered, state)
        handed.append(Handed(to, move.slot, move.version, leaving.complete, state, leaving.gathered))
        redirects[move.slot] = Redirect(to, move.version)
    return Slots(held, redirects), handed


def join(
    slots: Slots[S], given: HandedSlot, state: S | None, merge: Callable[[S, S], S]
) -> tuple[Slots[S], Handed[S] | None]:
    """A handed slot arrives: joined here, or handed on when it has left for elsewhere meanwhile.

    `state` is what the slot says, decoded; `merge` joins two states of one slot, commutative and associative.
    """
    slot = given.slot
    brought = _gathered(given)
    redirect = redirect_of(slots, slot, given.version)
    if redirect is not None:
        onward = _slot(redirect.version, brought, state)
        return slots, Handed(redirect.to, slot, redirect.version, onward.complete, state, onward.gathered)
    known = slots.held.get(slot)
    if known is None:
        joined = _slot(given.version, brought, state)
    else:
        both = merge(known.state, state) if known.state is not None and state is not None else known.state or state
        older = {known.version} if known.version < given.version else set()
        joined = _slot(max(known.version, given.version), brought | _gathered(known) | older, both)
    return Slots({**slots.held, slot: joined}, _without(slots.redirects, slot)), None


def _gathered(one: Slot[S] | HandedSlot) -> set[int]:
    return set(range(1, one.version)) if one.complete else set(one.gathered)


def _slot(version: int, gathered: set[int], state: S | None) -> Slot[S]:
    complete = gathered.issuperset(range(1, version))
    return Slot(version, complete, state, [] if complete else sorted(gathered))


def bury(slots: Slots[S], dead: Collection[str]) -> Slots[S]:
    """Without these slots, held or redirected: they were erased."""
    return Slots(
        {name: slot for name, slot in slots.held.items() if name not in dead},
        {name: redirect for name, redirect in slots.redirects.items() if name not in dead},
    )


def _without(redirects: Mapping[str, Redirect], slot: str) -> dict[str, Redirect]:
    return {name: redirect for name, redirect in redirects.items() if name != slot}
