"""To whom an identifier belonged when: one period for most, several for shared devices with `newest` or `separate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from processors.graph.model import Placement
from schemas.identifiers import person_id


class Sighting(NamedTuple):
    """A stronger identifier was seen with this one; `owner` is the person it belongs to now."""

    at: int
    counts: bool
    stronger: str
    owner: str


class Since(NamedTuple):
    """From `since` on (milliseconds since 1970 UTC) events of an identifier belong to `owner`."""

    since: int
    owner: str


def newest(sightings: Iterable[Sighting], owner: str) -> list[Since]:
    """Periods of a `newest` identifier: who was seen with it last owns it, `owner` being the one who has it now.

    Sightings after the newest one whose link counts are left out: their link was refused for another reason.
    """
    # at one instant the link that counts comes last, and so decides; the smaller value wins among others
    known = sorted(sightings, key=lambda sighting: sighting.stronger, reverse=True)
    known.sort(key=lambda sighting: (sighting.at, sighting.counts))
    while known and not known[-1].counts:
        known.pop()
    return _periods([Since(sighting.at, sighting.owner) for sighting in known] or [Since(0, owner)])


def separate(sightings: Iterable[Sighting], owner: str) -> list[Since]:
    """Periods of an ambiguous identifier: its first owner's until a second one was seen, from then on its own."""
    known = sorted((sighting.at, sighting.stronger, sighting.owner) for sighting in sightings)
    if not known:
        return [Since(0, owner)]
    second = next((at for at, _, other in known if other != known[0][2]), None)
    return [Since(0, owner)] if second is None else _periods([Since(0, known[0][2]), Since(second, owner)])


def place(
    identifier: str, generation: int, placements: Sequence[Placement], periods: Sequence[Since]
) -> list[Placement]:
    """Placements that follow the periods.

    A period found once stays, as its slot may hold events: it goes to whoever owns the identifier at its beginning.
    A slot starts at the derived person and is moved from there like any other, so that its owner hears of it.
    """
    derived = person_id(identifier, generation)
    found = {placement.since: placement for placement in placements}
    placed: list[Placement] = []
    for since in sorted({*found, *(period.since for period in periods)}):
        before = found.get(since, Placement(since, derived, 1))
        owner = next(period.owner for period in reversed(periods) if period.since <= since)
        placed.append(before if before.person == owner else Placement(since, owner, before.version + 1))
    return placed


def _periods(owners: Sequence[Since]) -> list[Since]:
    """Without changes to the same owner; the first period has no beginning."""
    periods = [Since(0, owners[0].owner)]
    for since, owner in owners[1:]:
        if owner == periods[-1].owner:
            continue
        if since <= periods[-1].since:
            periods[-1] = Since(periods[-1].since, owner)
        else:
            periods.append(Since(since, owner))
    return periods
