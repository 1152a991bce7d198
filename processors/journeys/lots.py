"""Which arm of a split a person's number stands for."""

from __future__ import annotations

from itertools import accumulate
from math import ceil

from processors.journeys.working import MILLION
from schemas import reasons
from schemas.definitions.model import Split


class Lots:
    """The arms of a split as spans of the numbers from 0 up to MILLION."""

    def __init__(self, split: Split) -> None:
        self._names = [name for name, _, _ in split.arms]
        total = sum(share for _, share, _ in split.arms)
        edges = accumulate(share for _, share, _ in split.arms)
        self._edges = [0, *(ceil(edge * MILLION / total) for edge in edges)]

    def arm(self, number: int) -> int:
        """The place of the arm that a number stands for."""
        last = len(self._names) - 1
        return next((arm for arm in range(last) if number < self._edges[arm + 1]), last)

    def moved(self, number: int, winner: str) -> int | None:
        """The number in the winner's span in place of one drawn; None when it stays: nobody has won, the winner is no
        arm (any more), or the number is of those who get nothing, whom the winner is measured by."""
        if winner not in self._names or self._names[self.arm(number)] == reasons.HELD_OUT:
            return None
        place = self._names.index(winner)
        first, end = self._edges[place], self._edges[place + 1]
        return first + number * (end - first) // MILLION
