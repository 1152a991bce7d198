"""When dead letters are no longer single bad records but a sign that something is wrong with all of them.

A share and a run are counted over all partitions of a topic that a reader has: a storm spread over many is the same
storm. Each partition's part is kept as metadata of the offset that is committed with it: whoever owns the partition
next goes on counting, so that no restart opens the gate anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

P = TypeVar("P")

#: a share is judged over so many records or more
WINDOW = 1_000
_METADATA = re.compile(r"\bbad=(\d+)/(\d+)/(\d+)$")


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which share of dead letters, or how many in a row, a reader stops."""

    share: float
    run: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How much of a partition could not be used up to an offset: in a row just before it, and of the records since the
    last window was full."""

    run: int = 0
    bad: int = 0
    records: int = 0

    @classmethod
    def read(cls, metadata: str | None) -> Tally:
        """The tally in the metadata of a committed offset."""
        found = _METADATA.search(metadata or "")
        return cls(*map(int, found.groups())) if found else cls()

    @property
    def metadata(self) -> str:
        """How it stands in the metadata of a committed offset; empty as long as all was fine."""
        return f"bad={self.run}/{self.bad}/{self.records}" if self.bad or self.run else ""


def after(
    tallies: Mapping[P, Tally], records: Mapping[P, int], bad: Mapping[P, Sequence[int]], limits: Limits
) -> dict[P, Tally]:
    """The tallies of all partitions of a topic that a reader has, after so many more `records` in each, of which those
    at the places `bad` (ascending, from 0) are bad; partitions without any may be left out there.

    Runs of several partitions add up, as each goes on until a good record comes in its partition. Raises TooMany beyond
    a limit.
    """
    now, longest = dict(tallies), dict.fromkeys(tallies, 0)
    for place, count in records.items():
        found, before = bad.get(place, ()), tallies[place]
        longest[place], run = _runs(before.run, count, found)
        now[place] = Tally(run, before.bad + len(found), before.records + count)
    for place in (place for place in tallies if longest[place]):
        others = [now[other].run for other in now if other != place and now[other].run]
        if longest[place] + sum(others) > limits.run:
            spread = f", over {len(others) + 1} partitions," if others else ""
            raise TooMany(f"more than {limits.run} records in a row{spread} can't be used")
    total, unusable = sum(tally.records for tally in now.values()), sum(tally.bad for tally in now.values())
    if total < WINDOW:
        return now
    if unusable > limits.share * total:
        raise TooMany(f"{unusable} of the last {total} records can't be used (limit {limits.share:.0%})")
    return {place: Tally(tally.run) for place, tally in now.items()}


def _runs(run: int, records: int, bad: Sequence[int]) -> tuple[int, int]:
    """The longest run that ends with one of these bad records, and the one that is not over behind all records."""
    longest, before = 0, -1
    for place in bad:
        run = run + 1 if place == before + 1 else 1
        longest, before = max(longest, run), place
    return longest, run if not records or before == records - 1 else 0


class TooMany(Exception):
    """So much can't be used that the fault is not in single records: better to stop than to bury a topic."""


def advice(app: str, topic: str) -> str:
    """What to do about it, for the one who runs the line."""
    return (
        f"No more of {topic} is passed over until you decide: mend what writes there "
        f"(`pathline dead-letters list --app {app} --topic {topic}` shows what came before), or let the bad records "
        "become dead letters by a higher PATHLINE_DEAD_LETTER_RUN and PATHLINE_DEAD_LETTER_RATIO; then start again: "
        "`pathline down`, `pathline up`."
    )
