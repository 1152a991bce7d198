"""When dead letters are no longer single bad records but a sign that something is wrong with all of them."""

from __future__ import annotations

from collections import deque

_WINDOW = 1_000


class Limits:
    """Judges the share of dead letters (over the last 1,000 records or more) and how many came in a row."""

    def __init__(self, ratio: float, run: int) -> None:
        self._ratio = ratio
        self._longest = run
        self._run = 0
        self._window: deque[tuple[int, int]] = deque()
        self._records = 0
        self._bad = 0

    def judge(self, records: int, bad: list[int]) -> str | None:
        """Take note of so many records, of which those at these places (ascending, from 0) are bad.

        Says what is wrong once a limit is passed.
        """
        longest = self._count_run(records, bad)
        self._window.append((records, len(bad)))
        self._records += records
        self._bad += len(bad)
        while self._records - self._window[0][0] >= _WINDOW:
            gone, gone_bad = self._window.popleft()
            self._records -= gone
            self._bad -= gone_bad
        if longest > self._longest:
            return f"more than {self._longest} records in a row could not be used"
        if self._records >= _WINDOW and self._bad > self._ratio * self._records:
            return f"{self._bad} of the last {self._records} records could not be used (limit {self._ratio:.0%})"
        return None

    def _count_run(self, records: int, bad: list[int]) -> int:
        run, longest, before = self._run, 0, -1
        for at in bad:
            run = run + 1 if at == before + 1 else 1
            longest, before = max(longest, run), at
        if records:
            self._run = run if bad and bad[-1] == records - 1 else 0
        return longest
