"""Conditions that hang on the person's calendar: dates in traits, anniversaries, time of day, and on chance."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.model import LocalTime, Percent, TraitIs
from schemas.localtime import span_of_day
from tests.segments.lab import D, H, Line, event, identify, project

NEW_YORK, KYIV = "America/New_York", "Europe/Kyiv"
MINUTE = 60_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def dated(op: str, wanted: Any, value: Any, begin: str, end: str, zone: str = "UTC") -> list[tuple[int, str, str]]:
    """What becomes of a person whose trait is a date, from one instant to another."""
    line = Line(project({"dated": TraitIs("day", op, wanted)}, timezone=zone))
    line.happen(identify(ms(begin), traits={"day": value}))
    line.until(ms(end))
    return line.story("dated")


@pytest.mark.parametrize(
    ("op", "wanted", "value", "changes"),
    [
        ("before", "2026-03-10", "2026-03-09", ["entered 2026-03-01T00:00Z"]),
        ("before", "2026-03-10", "2026-03-10", []),
        ("before", "2026-03-10T12:00:00Z", "2026-03-10", ["entered 2026-03-01T00:00Z"]),
        ("after", "2026-03-10", "2026-03-10T23:59:59Z", []),
        ("after", "2026-03-10", "2026-03-11", ["entered 2026-03-01T00:00Z"]),
        ("after", "2026-03-10T12:00:00Z", "2026-03-10T12:00:01Z", ["entered 2026-03-01T00:00Z"]),
        ("before", 7 * D, "2026-03-01T06:00:00Z", ["entered 2026-03-08T06:00Z"]),
        ("before", 0, "2026-03-05", ["entered 2026-03-05T00:00Z"]),
        ("after", 7 * D, "2026-03-01T06:00:00Z", ["entered 2026-03-01T00:00Z", "left 2026-03-08T06:00Z"]),
        ("after", 0, "2026-03-05", ["entered 2026-03-01T00:00Z", "left 2026-03-05T00:00Z"]),
        ("after", 0, "soon", []),
    ],
)
def test_a_date_before_and_after_a_day_and_so_long_ago(op: str, wanted: Any, value: str, changes: list[str]) -> None:
    expected = [(ms(at), change) for change, at in (one.split() for one in changes)]
    assert [(at, change) for at, change, _ in dated(op, wanted, value, "2026-03-01T00:00Z", "2026-06-01T00:00Z")] == (
        expected
    )


@pytest.mark.parametrize(
    ("wanted", "value", "zone", "begin", "end"),
    [
        ((7, 0), "1990-05-14", NEW_YORK, "2026-05-07T00:00-04:00", "2026-05-15T00:00-04:00"),
        ((0, 0), "1990-05-14", KYIV, "2026-05-14T00:00+03:00", "2026-05-15T00:00+03:00"),
        ((0, 3), "--05-14", KYIV, "2026-05-14T00:00+03:00", "2026-05-18T00:00+03:00"),
        # written as an instant of another zone it is the same day
        ((0, 0), "1990-05-14T00:00:00Z", NEW_YORK, "2026-05-14T00:00-04:00", "2026-05-15T00:00-04:00"),
        ((0, 0), 642_643_200, NEW_YORK, "2026-05-14T00:00-04:00", "2026-05-15T00:00-04:00"),
        # February 29th of a year that has none, and across the change of the clocks
        ((0, 0), "1992-02-29", KYIV, "2026-02-28T00:00+02:00", "2026-03-01T00:00+02:00"),
        ((3, 0), "1990-03-30", KYIV, "2026-03-27T00:00+02:00", "2026-03-31T00:00+03:00"),
    ],
)
def test_an_anniversary_begins_and_ends_at_local_midnight(
    wanted: tuple[int, int], value: Any, zone: str, begin: str, end: str
) -> None:
    found = dated("anniversary", wanted, value, "2026-01-10T12:00Z", "2026-12-31T12:00Z", zone)
    assert found == [(ms(begin), "entered", "timer"), (ms(end), "left", "timer")]


def test_an_anniversary_over_new_year_and_in_a_leap_year() -> None:
    turn = dated("anniversary", (7, 0), "1990-01-03", "2026-12-20T00:00Z", "2027-06-01T00:00Z")
    assert [at for at, _, _ in turn] == [ms("2026-12-27T00:00Z"), ms("2027-01-04T00:00Z")]
    leap = dated("anniversary", (0, 0), "1992-02-29", "2028-02-01T00:00Z", "2028-06-01T00:00Z")
    assert [at for at, _, _ in leap] == [ms("2028-02-29T00:00Z"), ms("2028-03-01T00:00Z")]


def test_the_day_itself_is_no_anniversary_and_a_skipped_midnight_is_the_end_of_the_gap() -> None:
    first = dated("anniversary", (0, 0), "2026-09-05", "2026-09-01T00:00Z", "2027-12-01T00:00Z", "America/Santiago")
    # in Chile clocks go from 24:00 to 1:00 that night
    assert first == [
        (ms("2027-09-05T01:00-03:00"), "entered", "timer"),
        (ms("2027-09-06T00:00-03:00"), "left", "timer"),
    ]


def test_a_person_who_moves_has_its_birthday_where_it_is() -> None:
    line = Line(project({"today": TraitIs("birthday", "anniversary", (0, 0))}))
    line.happen(identify(ms("2026-05-13T12:00Z"), traits={"birthday": "1990-05-14", "timezone": "Asia/Tokyo"}))
    line.happen(identify(ms("2026-05-13T16:00Z"), traits={"timezone": NEW_YORK}))
    line.until(ms("2026-06-01T00:00Z"))
    assert line.story("today") == [
        (ms("2026-05-14T00:00+09:00"), "entered", "timer"),
        (ms("2026-05-13T16:00Z"), "left", "event"),
        (ms("2026-05-14T00:00-04:00"), "entered", "timer"),
        (ms("2026-05-15T00:00-04:00"), "left", "timer"),
    ]


def test_time_of_day_in_the_persons_zone_on_some_days() -> None:
    line = Line(project({"work": LocalTime(9 * 60, 18 * 60, frozenset({0, 4}))}, timezone=NEW_YORK))
    line.happen(event("View", ms("2026-03-06T10:00-05:00")))  # a Friday
    line.happen(event("View", ms("2026-03-09T10:00-04:00"), context={"timezone": KYIV}))  # Monday, in Kyiv 16:00
    line.until(ms("2026-03-10T12:00Z"))
    assert line.story("work") == [
        (ms("2026-03-06T10:00-05:00"), "entered", "event"),
        (ms("2026-03-06T18:00-05:00"), "left", "timer"),
        (ms("2026-03-09T09:00-04:00"), "entered", "timer"),
        (ms("2026-03-09T18:00+02:00"), "left", "timer"),
    ]


def test_a_night_belongs_to_the_day_it_begins_on() -> None:
    line = Line(project({"night": LocalTime(22 * 60, 6 * 60, frozenset({4}))}))
    line.happen(event("View", ms("2026-03-05T23:00Z")))
    line.until(ms("2026-03-09T00:00Z"))
    assert [at for at, _, _ in line.story("night")] == [ms("2026-03-06T22:00Z"), ms("2026-03-07T06:00Z")]


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 10))
    | st.datetimes(datetime(2026, 10, 15), datetime(2026, 11, 5)),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.frozensets(st.integers(0, 6), max_size=3),
    st.sampled_from([KYIV, NEW_YORK, "UTC", "Australia/Lord_Howe"]),
)
def test_a_span_of_the_day_is_the_first_that_has_not_ended(
    when: datetime, first: int, end: int, days: frozenset[int], name: str
) -> None:
    zone = ZoneInfo(name)
    now = round(when.replace(tzinfo=zone).timestamp() * 1000)
    start, over = span_of_day(now, first, end, days, zone)
    assert over is not None
    assert max(start, now) < over
    began = datetime.fromtimestamp(start / 1000, zone)
    assert not days or began.weekday() in days
    # seen from any earlier instant that is not within an earlier span, it is the same
    assert span_of_day(max(now, start), first, end, days, zone) == (start, over)
    assert span_of_day(over - 1, first, end, days, zone) == (start, over)
    shown = began.hour * 60 + began.minute
    assert shown == first or (shown - first) % 1440 <= 60, "the time itself, or the end of a gap"


def numbers(line: Line, people: range) -> None:
    for number in people:
        user = f"u{number}"
        seen = event("View", 1_700_000_000_000 + number, identifiers=[f"user_id:{user}"])
        line.happen(seen, person=user, slot=f"user_id:{user}#0")


def test_a_percentage_is_the_same_people_on_any_run_and_lotteries_are_independent() -> None:
    shares = {"tenth": Percent(0, 10, "a"), "next": Percent(10, 20, "a"), "other": Percent(0, 10, "b")}
    lines = [Line(project(shares)), Line(project({name: shares[name] for name in reversed(shares)}))]
    for line in lines:
        numbers(line, range(600))
    inside = [
        {name: {who for who, change in line.changes if change.segment == name} for name in shares} for line in lines
    ]
    assert inside[0] == inside[1]
    tenth, following, other = (inside[0][name] for name in shares)
    assert not tenth & following
    assert all(35 < len(group) < 85 for group in (tenth, following, other))
    assert len(tenth & other) < 20


def test_a_merged_person_goes_on_with_the_number_it_had_first_and_a_split_gives_it_back() -> None:
    line = Line(project({f"part{low}": Percent(low, low + 5, "a") for low in range(0, 100, 5)}))
    T = 1_700_000_000_000
    line.happen(event("View", T, identifiers=["anonymous_id:a"]), person="A", slot="anonymous_id:a#0")
    line.happen(event("View", T + H), person="U")
    before = {who: line.person(who).member.keys() for who in "AU"}
    assert before["A"] != before["U"]
    line.move("A", "U", {"anonymous_id:a#0": 2}, at=T + 2 * H)
    line.until(T + 3 * H)
    assert line.person("U").member.keys() == before["A"]
    line.move("U", "A", {"anonymous_id:a#0": 3}, at=T + 4 * H, reason="split")
    line.until(T + 5 * H)
    assert {who: line.person(who).member.keys() for who in "AU"} == before


def test_a_late_event_of_an_earlier_identifier_settles_the_number_anew() -> None:
    shares = {f"part{low}": Percent(low, low + 5, "a") for low in range(0, 100, 5)}
    line, single = Line(project(shares)), Line(project(shares))
    T = 1_700_000_000_000
    line.happen(event("View", T), person="U")
    early = event("View", T - D, received_at=T + H, identifiers=["anonymous_id:a"])
    line.happen(early, person="U", slot="anonymous_id:a#0")
    single.happen(early, person="A", slot="anonymous_id:a#0")
    assert line.person("U").member.keys() == single.person("A").member.keys()
