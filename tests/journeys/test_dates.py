"""Dates of people: the occasion that the stage finds is the one that a walk over all days finds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.journeys.dates import next_occasion
from schemas.definitions.model import OnDate
from schemas.localtime import instant_of

DAY = 86_400_000
HOUR = 3_600_000
KYIV = ZoneInfo("Europe/Kyiv")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


NOW = ms("2026-03-02T14:00:00+02:00")


def dues(rule: OnDate, value: object, count: int = 2, since: int = NOW, zone: ZoneInfo = KYIV) -> list[str]:
    """The first occasions of a date known since `since`, as the clock of the zone shows them."""
    found, at, after = [], since, ""
    while len(found) < count and (occasion := next_occasion(rule, value, zone, since, at, after)) is not None:
        found.append(datetime.fromtimestamp(occasion.due / 1000, zone).isoformat())
        at, after = occasion
    return found


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (OnDate("x", "year"), "1990-05-17", ["2026-05-17T00:00:00+03:00", "2027-05-17T00:00:00+03:00"]),
        (OnDate("x", "year"), "1990-03-02", ["2027-03-02T00:00:00+02:00", "2028-03-02T00:00:00+02:00"]),
        (OnDate("x", "year", at=18 * 60), "1990-03-02", ["2026-03-02T18:00:00+02:00", "2027-03-02T18:00:00+02:00"]),
        (OnDate("x", "year", -7 * DAY, 600), "1990-05-17", ["2026-05-10T10:00:00+03:00", "2027-05-10T10:00:00+03:00"]),
        (OnDate("x", "year", 7 * DAY), "1990-05-17", ["2026-05-24T00:00:00+03:00", "2027-05-24T00:00:00+03:00"]),
        (OnDate("x", "year"), "2000-02-29", ["2027-02-28T00:00:00+02:00", "2028-02-29T00:00:00+02:00"]),
        (OnDate("x", "year"), "--05-17", ["2026-05-17T00:00:00+03:00", "2027-05-17T00:00:00+03:00"]),
        (OnDate("x", "year"), "1990-05-17T00:00:00Z", ["2026-05-17T00:00:00+03:00", "2027-05-17T00:00:00+03:00"]),
        # a day that is still to come counts itself, a day that is there does not
        (OnDate("x", "year"), "2026-05-17", ["2026-05-17T00:00:00+03:00", "2027-05-17T00:00:00+03:00"]),
        (OnDate("x", "year", at=18 * 60), "2026-03-02", ["2027-03-02T18:00:00+02:00", "2028-03-02T18:00:00+02:00"]),
        (OnDate("x", "month"), "2025-12-31", ["2026-03-31T00:00:00+03:00", "2026-04-30T00:00:00+03:00"]),
        (OnDate("x", "week", at=540), "2026-02-05", ["2026-03-05T09:00:00+02:00", "2026-03-12T09:00:00+02:00"]),
        (OnDate("x"), "2026-05-17", ["2026-05-17T00:00:00+03:00"]),
        (OnDate("x"), "2026-03-02", []),
        (OnDate("x", offset=-30 * DAY, at=600), "2026-04-28", ["2026-03-29T10:00:00+03:00"]),
        (OnDate("x", offset=-3 * DAY), "2026-03-31", ["2026-03-28T00:00:00+02:00"]),
        (OnDate("x", offset=-2 * HOUR), "2026-05-17T09:00", ["2026-05-17T07:00:00+03:00"]),
        (OnDate("x", offset=-3 * DAY), "2026-03-31T09:00:00Z", ["2026-03-28T11:00:00+02:00"]),
        (OnDate("x", offset=-3 * DAY, at=600), "2026-03-31T09:00:00Z", ["2026-03-28T10:00:00+02:00"]),
        (OnDate("x"), ms("2026-03-31T09:00:00+00:00"), ["2026-03-31T12:00:00+03:00"]),
        (OnDate("x"), ms("2026-03-31T09:00:00+00:00") / 1000, ["2026-03-31T12:00:00+03:00"]),
        (OnDate("x", 40 * DAY, at=600), "2026-02-01", ["2026-03-13T10:00:00+02:00", "2026-04-22T10:00:00+03:00"]),
        (OnDate("x", 40 * DAY), "2026-02-01T10:00:00Z", ["2026-03-13T12:00:00+02:00", "2026-04-22T13:00:00+03:00"]),
        (OnDate("x", "year"), "1990-05-17T", []),
        (OnDate("x", "year"), "soon", []),
        (OnDate("x"), "9999-12-31", ["9999-12-31T00:00:00+02:00"]),
        (OnDate("x", offset=7 * DAY), "9999-12-31", []),
        (OnDate("x", "month"), "9999-12-31", ["9999-12-31T00:00:00+02:00"]),
        (OnDate("x"), None, []),
        (OnDate("x"), {"a": 1}, []),
        (OnDate("x"), True, []),
    ],
)
def test_occasions(rule: OnDate, value: object, expected: list[str]) -> None:
    assert dues(rule, value) == expected


def test_a_midnight_that_the_clock_skips_is_the_end_of_the_gap() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    assert dues(OnDate("x", "year"), "1990-03-29", 1, zone=beirut) == ["2026-03-29T01:00:00+03:00"]


def test_the_date_that_came_does_not_come_again_in_a_zone_where_it_is_still_to_come() -> None:
    rule, value = OnDate("x", "year"), "1990-05-17"
    fired = next_occasion(rule, value, KYIV, NOW, NOW)
    assert fired is not None
    there = ZoneInfo("America/New_York")
    again = next_occasion(rule, value, there, NOW, fired.due + 1, fired.name)
    assert again is not None
    assert again.due == ms("2027-05-17T00:00:00-04:00")


ZONES = ["Europe/Kyiv", "America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]


@settings(max_examples=150, deadline=None)
@given(
    st.dates(date(1980, 1, 1), date(2027, 12, 31)),
    st.sampled_from(["year", "month", "week"]),
    st.integers(-20, 20),
    st.sampled_from([None, 0, 150, 600, 1439]),
    st.sampled_from(ZONES),
    st.integers(ms("2024-01-01T00:00:00+00:00"), ms("2027-01-01T00:00:00+00:00")),
)
def test_repeated_dates_are_what_a_walk_over_all_days_finds(
    day: date, every: str, days: int, minute: int | None, zone: str, since: int
) -> None:
    clock = ZoneInfo(zone)
    rule = OnDate("x", every, days * DAY, minute)  # type: ignore[arg-type]
    known = datetime.fromtimestamp(since / 1000, clock).date()
    expected = []
    each = known - timedelta(days=60)
    while each < known + timedelta(days=800):
        if _repeats(day, each, every) and (each > day or day > known):
            there = each + timedelta(days=days)
            due = instant_of(datetime.combine(there, time((minute or 0) // 60, (minute or 0) % 60)), clock)
            if due >= since:
                expected.append(due)
        each += timedelta(days=1)
    expected = expected[:5]
    found, at, after = list[int](), since, ""
    while len(found) < len(expected):
        occasion = next_occasion(rule, day.isoformat(), clock, since, at, after)
        assert occasion is not None
        found.append(occasion.due)
        at, after = occasion
    assert found == expected


def _repeats(day: date, each: date, every: str) -> bool:
    """Whether a day is a repetition of another, or that day itself."""
    if each < day:
        return False
    if every == "week":
        return (each - day).days % 7 == 0
    month_ends = (each + timedelta(days=1)).month != each.month
    fits = each.day == day.day or (month_ends and each.day < day.day)
    return fits if every == "month" else fits and each.month == day.month
