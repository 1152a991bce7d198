"""When dead letters are no longer single bad records but a sign that something is wrong with all of them.

A share and a run are counted for each partition of a topic, and kept as metadata of the offset that is committed with
them: whoever owns the partition next goes on counting, so that no restart opens the gate anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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

    def after(self, records: int, bad: Sequence[int], limits: Limits) -> Tally:
        """The tally after so many more records, of which those at these places (ascending, from 0) are bad.

        Raises TooMany beyond a limit.
        """
        run, longest, before = self.run, 0, -1
        for place in bad:
            run = run + 1 if place == before + 1 else 1
            longest, before = max(longest, run), place
        if longest > limits.run:
            raise TooMany(f"more than {limits.run} records in a row can't be used")
        if records:
            run = run if before == records - 1 else 0
        total, unusable = self.records + records, self.bad + len(bad)
        if total < WINDOW:
            return Tally(run, unusable, total)
        if unusable > limits.share * total:
            raise TooMany(f"{unusable} of the last {total} records can't be used (limit {limits.share:.0%})")
        return Tally(run)


class TooMany(Exception):
    """So much can't be used that the fault is not in single records: better to stop than to bury a topic."""


def advice(app: str, topic: str, partition: int) -> str:
    """What to do about it, for the one who runs the line."""
    return (
        f"No more of {topic}[{partition}] is passed over until you decide: mend what writes to {topic} "
        f"(`pathline dead-letters list --app {app} --topic {topic}` shows what came before), or let the bad records "
        "become dead letters by a higher PATHLINE_DEAD_LETTER_RUN and PATHLINE_DEAD_LETTER_RATIO; then start again: "
        "`pathline down`, `pathline up`."
    )
