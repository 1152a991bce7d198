"""How fast messages may go: a token bucket of one token, written as the instant at which the next is there (the generic
cell rate algorithm, ITU-T I.371), so that its state is one number and the same messages go at the same instants on any
run.

Partitions share a rate equally, so that two dispatchers of a channel keep it together however the partitions are
spread over them. Instants are line time in microseconds, as `30/s` is no whole number of milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

#: wall milliseconds that messages may go early, so that a fast channel does not take a transaction for each of them
AHEAD_MS = 20
#: wall milliseconds that a timer may be late without the time being lost
LATE_MS = 50


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate as intervals of line time, microseconds: `interval` from one message to the next, up to `ahead` before
    its time; a timer that is no more than `late` after its time counts as on time."""

    interval: int
    ahead: int
    late: int

    def ready(self, free: int, now: int) -> bool:
        """Whether a message may go at line time `now` (milliseconds) when the next place is `free`."""
        return now * 1000 >= free - self.ahead

    def due(self, free: int) -> int:
        """Line time (milliseconds) at which `ready` becomes true."""
        return -(-(free - self.ahead) // 1000)

    def taken(self, free: int, now: int, queued: bool) -> int:
        """The next free place once a message went at `now`. If messages waited for the place (`queued`), the time by
        which their timer was late is not lost."""
        at = now * 1000
        on_time = free > at or (queued and at - free <= self.late)
        return (free if on_time else at) + self.interval


def pace_of(rate: tuple[int, int], wall: float, shares: int = 1) -> Pace:
    """The pace of one of so many equal `shares` in (how many, per how many milliseconds); `wall` is line milliseconds
    per wall millisecond."""
    count, per = rate
    exact = Fraction(per * 1000 * shares, count) * Fraction(wall)
    interval = -(-exact.numerator // exact.denominator)
    ahead = int(AHEAD_MS * 1000 * wall)
    return Pace(interval, max(0, ahead - interval), int(LATE_MS * 1000 * wall))
