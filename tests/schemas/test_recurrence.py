"""Schedules on the wall clock of a zone, against a walk from minute to minute and from day to day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.localtime import instant_of
from schemas.recurrence import recurrence

KYIV = ZoneInfo("Europe/Kyiv")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def first(rule: str, since: str, count: int = 3, zone: str | None = "Europe/Kyiv") -> list[str]:
    """The first occurrences from an instant on, as Kyiv's clock shows them."""
    made, at = recurrence(rule, zone), ms(since)
    found = []
    while len(found) < count and (instant := made.next(at)) is not None:
        found.append(datetime.fromtimestamp(instant / 1000, KYIV).isoformat())
        at = instant + 1
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;BYHOUR=10", ["2026-03-03T10:00:00+02:00", "2026-03-04T10:00:00+02:00"]),
        ("RRULE:FREQ=DAILY;BYHOUR=10,18;BYMINUTE=30", ["2026-03-02T18:30:00+02:00", "2026-03-03T10:30:00+02:00"]),
        ("FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9", ["2026-03-05T09:00:00+02:00", "2026-03-09T09:00:00+02:00"]),
        ("FREQ=WEEKLY", ["2026-03-09T00:00:00+02:00", "2026-03-16T00:00:00+02:00"]),
        ("FREQ=WEEKLY;INTERVAL=2", ["2026-03-09T00:00:00+02:00", "2026-03-23T00:00:00+02:00"]),
        ("FREQ=MONTHLY", ["2026-04-01T00:00:00+03:00", "2026-05-01T00:00:00+03:00"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=12", ["2026-03-27T12:00:00+02:00", "2026-04-24T12:00:00+03:00"]),
        ("FREQ=YEARLY", ["2027-01-01T00:00:00+02:00", "2028-01-01T00:00:00+02:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29T00:00:00+02:00", "2032-02-29T00:00:00+02:00"]),
        ("FREQ=HOURLY;INTERVAL=5", ["2026-03-02T15:00:00+02:00", "2026-03-02T20:00:00+02:00"]),
        ("FREQ=MINUTELY;INTERVAL=45;BYHOUR=14,15", ["2026-03-02T14:15:00+02:00", "2026-03-02T15:00:00+02:00"]),
        (
            "DTSTART:20260105T100000 RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=5",
            ["2026-03-02T10:00:00+02:00"],
        ),
        ("DTSTART:20260305T000000 RRULE:FREQ=WEEKLY", ["2026-03-05T00:00:00+02:00", "2026-03-12T00:00:00+02:00"]),
        ("DTSTART:20260301T080000Z\nRRULE:FREQ=DAILY", ["2026-03-03T10:00:00+02:00", "2026-03-04T10:00:00+02:00"]),
        (
            "RRULE:FREQ=DAILY;BYHOUR=10 EXDATE:20260303T100000 RDATE:20260302T180000,20260303T070000Z",
            ["2026-03-02T18:00:00+02:00", "2026-03-03T09:00:00+02:00", "2026-03-04T10:00:00+02:00"],
        ),
        ("FREQ=DAILY;BYHOUR=10;UNTIL=20260303T080000Z", ["2026-03-03T10:00:00+02:00"]),
        ("FREQ=DAILY;BYHOUR=10;UNTIL=20260303T080000", []),
        ("RDATE:20260310T100000", ["2026-03-10T10:00:00+02:00"]),
    ],
)
def test_occurrences(rule: str, expected: list[str]) -> None:
    since = "2026-03-02T10:00:00+02:00" if "COUNT" in rule else "2026-03-02T14:00:00+02:00"
    assert first(rule, since, max(len(expected), 1)) == expected


def test_a_time_that_a_day_skips_is_the_end_of_the_gap_and_one_that_happens_twice_counts_once() -> None:
    spring = first("FREQ=DAILY;BYHOUR=3;BYMINUTE=30", "2026-03-28T12:00:00+02:00")
    assert spring == ["2026-03-29T04:00:00+03:00", "2026-03-30T03:30:00+03:00", "2026-03-31T03:30:00+03:00"]
    autumn = first("FREQ=DAILY;BYHOUR=3;BYMINUTE=30", "2026-10-24T12:00:00+03:00")
    assert autumn == ["2026-10-25T03:30:00+03:00", "2026-10-26T03:30:00+02:00", "2026-10-27T03:30:00+02:00"]
    between = first("FREQ=DAILY;BYHOUR=3;BYMINUTE=30", "2026-10-25T03:15:00+02:00", 1)
    assert between == ["2026-10-26T03:30:00+02:00"]


def test_the_zone_is_the_one_given_else_its_own_else_the_projects() -> None:
    at = ms("2026-03-02T12:00:00+00:00")
    rule = "FREQ=DAILY;BYHOUR=10"
    assert recurrence(rule).next(at) == ms("2026-03-03T10:00:00+00:00")
    assert recurrence(rule, None, "Europe/Kyiv").next(at) == ms("2026-03-03T08:00:00+00:00")
    assert recurrence(rule, "America/New_York", "Europe/Kyiv").next(at) == ms("2026-03-02T15:00:00+00:00")
    own = f"DTSTART;TZID=America/New_York:20260101T100000 RRULE:{rule}"
    assert recurrence(own, None, "Europe/Kyiv").next(at) == ms("2026-03-02T15:00:00+00:00")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("every monday", "'EVERY' is not a rule; write for example FREQ=WEEKLY"),
        ("FREQ=OFTEN", "'FREQ=OFTEN' is not a rule: invalid 'FREQ': OFTEN"),
        ("FREQ=DAILY;BYHOUR=25", "hour must be in 0..23"),
        ("FREQ=SECONDLY", "FREQ=SECONDLY is too often"),
        ("DTSTART:20260101T000000 RRULE:FREQ=MINUTELY", "FREQ=MINUTELY is too often to count from a DTSTART"),
        ("FREQ=DAILY;COUNT=3", "COUNT counts from a DTSTART, there is none"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
        ("FREQ=DAILY;UNTIL=19990101", "never happens"),
        ("DTSTART:soon RRULE:FREQ=DAILY", "'SOON' is not a time; write for example 20260105T100000"),
        ("DTSTART:20260101T000000", "a rule is expected, for example FREQ=WEEKLY;BYDAY=MO;BYHOUR=10"),
        ("DTSTART;TZID=Mars/Base:20260101T000000 RRULE:FREQ=DAILY", "there is no time zone 'Mars/Base'"),
        ("DTSTART;TZID=Asia/Tokyo:20260101T000000 RRULE:FREQ=DAILY", "one time zone only, not Europe/Kyiv and Asia"),
        ("EXRULE:FREQ=DAILY", "'EXRULE' can't stand in a schedule; there are DTSTART, RRULE, RDATE, EXDATE"),
    ],
)
def test_what_is_no_schedule_is_said(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as told:
        recurrence(rule, "Europe/Kyiv")
    assert message in str(told.value)


DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.sampled_from([0, 30, 59]),
    st.sampled_from(["Europe/Kyiv", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    st.integers(ms("2017-01-01T00:00:00+00:00"), ms("2027-01-01T00:00:00+00:00")),
)
def test_weekly_rules_are_what_a_walk_over_the_days_finds(
    days: set[int], hours: set[int], minute: int, zone: str, since: int
) -> None:
    rule = f"FREQ=WEEKLY;BYDAY={','.join(DAYS[d] for d in days)};BYHOUR={','.join(map(str, hours))};BYMINUTE={minute}"
    clock = ZoneInfo(zone)
    expected = set()
    day = datetime.fromtimestamp(since / 1000, clock).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(40):
        if day.weekday() in days:
            expected |= {instant_of(day.replace(hour=hour, minute=minute), clock) for hour in hours}
        day += timedelta(days=1)
    coming = sorted(instant for instant in expected if instant >= since)[:8]
    made, at, found = recurrence(rule, zone), since, []
    while len(found) < len(coming):
        instant = made.next(at)
        assert instant is not None
        found.append(instant)
        at = instant + 1
    assert found == coming


#: instants at which these zones' clocks go forward or back; Samoa's left out a whole day
CHANGES = {
    "Europe/Kyiv": ["2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00:00+00:00", "2026-10-03T15:30:00+00:00"],
    "Pacific/Apia": ["2011-12-30T10:00:00+00:00"],
    "Asia/Kathmandu": ["2026-03-29T01:00:00+00:00"],
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(zone, ms(change)) for zone, changes in CHANGES.items() for change in changes]),
    st.integers(-180, 180),
    st.integers(-1, 1),
    st.sampled_from([1, 15, 45, 60, 1440]),
)
def test_the_next_of_many_in_a_day_is_what_a_walk_over_the_minutes_finds(
    change: tuple[str, int], minutes: int, beside: int, every: int
) -> None:
    (zone, at), clock = change, ZoneInfo(change[0])
    since = at + minutes * 60_000 + beside
    rule = {60: "FREQ=HOURLY", 1440: "FREQ=DAILY;BYHOUR=2"}.get(every, f"FREQ=MINUTELY;INTERVAL={every}")
    day = datetime.fromtimestamp(since / 1000, clock).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    walked = [day + timedelta(minutes=minute) for minute in range(-2 * 1440, 3 * 1440)]
    told = [
        local
        for local in walked
        if (local.hour == 2 and local.minute == 0 if every == 1440 else (local.hour * 60 + local.minute) % every == 0)
    ]
    expected = min(instant for local in told if (instant := instant_of(local, clock)) >= since)
    assert recurrence(rule, zone).next(since) == expected


def test_the_next_of_many_is_found_without_going_through_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def counted(local: datetime, zone: ZoneInfo) -> int:
        looked_at.append(local)
        return instant_of(local, zone)

    monkeypatch.setattr("schemas.recurrence.instant_of", counted)
    for rule in ("FREQ=MINUTELY", "DTSTART:20260101T000000 RRULE:FREQ=HOURLY"):
        assert recurrence(rule, "Europe/Kyiv").next(ms("2026-03-02T17:58:30+02:00")) is not None
    assert len(looked_at) <= 4
