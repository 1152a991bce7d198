"""To whom an identifier belonged when: one period for most, several for shared devices with `newest` or `separate`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from processors.graph.model import NOBODY, Placement
from schemas.identifiers import person_id
from schemas.records import EARLIEST


class Sighting(NamedTuple):
    """A stronger identifier was seen with this one; `owner` is the person it belongs to now."""

    at: int
    stronger: str
    counts: bool
    owner: str


class Since(NamedTuple):
    """From `since` on (milliseconds since 1970 UTC, 0 is from the first event on) events of an identifier belong to
    `owner`."""

    since: int
    owner: str


def takeovers(sightings: Iterable[tuple[int, str]], per: int) -> list[int]:
    """When an identifier changed its owner by not being seen for `per` milliseconds and then with somebody new.

    `sightings` are (instant, stronger identifier).
    """
    found: list[int] = []
    owners: set[str] = set()
    before: int | None = None
    for at, owner in sorted(sightings):
        if before is not None and at - before >= per and owner not in owners:
            found.append(at)
            owners = set()
        owners.add(owner)
        before = at
    return found


def owners(shared: str, per: int | None, sightings: Collection[Sighting], ambiguous: bool, owner: str) -> list[Since]:
    """Periods of an identifier that `owner` has now, by the policy of its type (keep, newest, separate) and the period
    after which it may go to somebody new, if there is one.

    Of an earlier owner's time whoever was seen first in it had the identifier.
    """
    if shared == "newest":
        return newest(sightings, owner)
    seen = ((sighting.at, sighting.stronger) for sighting in sightings)
    found = takeovers(seen, per) if per is not None else []
    current = [sighting for sighting in sightings if not found or sighting.at >= found[-1]]
    periods = separate(current, ambiguous, owner) if shared == "separate" else [Since(0, owner)]
    begins = [EARLIEST, *found]
    former = [
        Since(max(begin, 0), min(one for one in sightings if begin <= one.at < end).owner)
        for begin, end in pairwise(begins)
    ]
    return [*former, Since(max(begins[-1], 0), periods[0].owner), *periods[1:]]


def newest(sightings: Iterable[Sighting], owner: str) -> list[Since]:
    """Periods of a `newest` identifier: who was seen with it last owns it, `owner` being the one who has it now.

    Sightings after the newest one whose link counts are left out: their link was refused for another reason. A period
    begins whenever another stronger identifier is seen, also one of the same person, as the two may part later.
    """
    # of several at one instant the smaller value comes last, and so decides
    known = sorted(sightings, key=lambda sighting: sighting.stronger, reverse=True)
    known.sort(key=lambda sighting: sighting.at)
    while known and not known[-1].counts:
        known.pop()
    deciding = list({sighting.at: sighting for sighting in known}.values())
    changes = deciding[:1] + [one for before, one in pairwise(deciding) if before.stronger != one.stronger]
    return _periods([Since(sighting.at, sighting.owner) for sighting in changes], owner)


def separate(sightings: Iterable[Sighting], ambiguous: bool, owner: str) -> list[Since]:
    """Periods of a `separate` identifier: while it is ambiguous, its first owner's until a second one was seen, from
    then on its own (always, if two were seen first at one instant); `owner` is the one who has it now. A period begins
    with each stronger identifier."""
    first: dict[str, Sighting] = {}
    for sighting in sorted(sightings):
        first.setdefault(sighting.stronger, sighting)
    known = list(first.values())
    second = next((one.at for one in known if one.owner != known[0].owner), None)
    alone = ambiguous and second is not None
    return _periods(
        [Since(one.at, known[0].owner if alone and second and one.at < second else owner) for one in known], owner
    )


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
    # what came before the first was erased
    birth = placements[0].since
    for since in sorted({*found, *(max(period.since, birth) for period in periods)}):
        before = found.get(since, Placement(since, derived, 1))
        owner = next(period.owner for period in reversed(periods) if period.since <= since)
        same = before.person in (owner, NOBODY)
        placed.append(before if same else Placement(since, owner, before.version + 1))
    return placed


def _periods(owners: Sequence[Since], otherwise: str) -> list[Since]:
    """The first period has no beginning; of several that begin at once the last counts."""
    periods = [Since(0, owners[0].owner if owners else otherwise)]
    for since, owner in owners[1:]:
        if since <= periods[-1].since:
            periods[-1] = Since(periods[-1].since, owner)
        else:
            periods.append(Since(since, owner))
    return periods
