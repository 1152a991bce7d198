"""Cohorts: people by when they began, or by where, and periods counted from then on.

A cohort is everyone whose first starting event fell into the same day, week (from Monday) or month of UTC, or was in
the same channel, campaign, source or property. Period 0 is the one a person began in. A cohort has those periods that
had begun for all of it when the newest event was; of a cohort by place those are counted whose period had begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sinks.clickhouse.paths.filters import BadQuestion
from sinks.clickhouse.paths.touches import KEY, RANK, TouchRules, of_event

_EPOCH = date(1970, 1, 1)
#: a number for each period, growing by one
NUMBERS = {
    "day": "toInt32(toDate32(occurred_at, 'UTC'))",
    # 1970-01-05 was a Monday
    "week": "toInt32(floor((toInt32(toDate32(occurred_at, 'UTC')) - 4) / 7))",
    "month": "toInt32(toYear(occurred_at) * 12 + toMonth(occurred_at) - 1)",
}


@dataclass(frozen=True, slots=True)
class Cohorts:
    """`start` is the name of the event that begins, empty for any; `by` is empty for cohorts by time."""

    period: str = "week"
    start: str = ""
    by: str = ""
    rules: TouchRules = TouchRules()  # noqa: RUF009
    most: int = 12

    def check(self) -> None:
        """Raises BadQuestion."""
        if self.period not in NUMBERS:
            raise BadQuestion(f"--period is {', '.join(NUMBERS)}, not {self.period}")
        if self.most < 1:
            raise BadQuestion("--periods is at least 1")


def columns(cohorts: Cohorts) -> str:
    """What is read of an event: when it was, its period, whether it can begin, its place and its rank in time."""
    place, rank = (of_event(cohorts.by, cohorts.rules), RANK) if cohorts.by else ("''", "at")
    begins = "name = {start:String}" if cohorts.start else "true"
    return f"{KEY}, {NUMBERS[cohorts.period]} AS number, {begins} AS begins, {place} AS here, {rank} AS rank"


def label(cohorts: Cohorts, number: int, place: str) -> str:
    """The name of a cohort: its first day, or its place."""
    if cohorts.by:
        return place
    if cohorts.period == "month":
        return f"{number // 12:04}-{number % 12 + 1:02}"
    days = number if cohorts.period == "day" else number * 7 + 4
    return (_EPOCH + timedelta(days)).isoformat()
