"""Local times of waits and quiet hours, right across changes of the clock, and waits that hang on dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import reasons
from schemas.localtime import inside, instant_of, next_time_of_day, parse, zone_of
from tests.journeys.lab import SEND, START, Lab, at

KYIV = ZoneInfo("Europe/Kyiv")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Kyiv", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")]
MINUTE = 60_000
DAY = 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "minute", "expected"),
    [
        ("2026-03-29T00:00+02:00", 3 * 60 + 30, "2026-03-29T04:00+03:00"),  # skipped: the end of the gap
        ("2026-03-28T23:00+02:00", 9 * 60, "2026-03-29T09:00+03:00"),  # the offset of the day, not of now
        ("2026-10-25T00:00+03:00", 3 * 60 + 30, "2026-10-25T03:30+03:00"),  # twice: the first
        ("2026-10-25T03:45+03:00", 3 * 60 + 30, "2026-10-25T03:30+02:00"),  # in between: the second
        ("2026-03-02T09:00+02:00", 9 * 60, "2026-03-02T09:00+02:00"),  # this very moment
        ("2026-03-02T09:00:00.001+02:00", 9 * 60, "2026-03-03T09:00+02:00"),
    ],
)
def test_the_next_time_of_day(now: str, minute: int, expected: str) -> None:
    assert next_time_of_day(ms(now), minute, KYIV) == ms(expected)


@settings(max_examples=40, deadline=None)
@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
    st.integers(0, 1439),
    st.sampled_from(ZONES),
    st.frozensets(st.integers(0, 6), max_size=3),
)
def test_the_next_time_of_day_against_looking_at_every_minute(
    start: datetime, minute: int, zone: ZoneInfo, days: frozenset[int]
) -> None:
    begin = start.replace(second=0, microsecond=0, tzinfo=UTC)
    found = next_time_of_day(round(begin.timestamp() * 1000), minute, zone, days)
    previous = (begin - timedelta(minutes=1)).astimezone(zone)
    for step in range(9 * 24 * 60):
        now = (begin + timedelta(minutes=step)).astimezone(zone)
        exact = now.hour * 60 + now.minute == minute
        # the gap of this day ends here and the time lies in it
        jumped = (now.utcoffset() or timedelta()) > (previous.utcoffset() or timedelta()) and (
            previous.hour * 60 + previous.minute < minute < now.hour * 60 + now.minute
        )
        if (exact or jumped) and (not days or now.weekday() in days):
            assert found == round(now.timestamp() * 1000)
            return
        previous = now
    raise AssertionError("no such time within nine days")


@settings(max_examples=40, deadline=None)
@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.sampled_from(ZONES),
)
def test_at_the_end_of_quiet_hours_it_is_not_quiet(start: datetime, first: int, end: int, zone: ZoneInfo) -> None:
    now = round(start.replace(tzinfo=UTC).timestamp() * 1000)
    if inside(now, (first, end), zone):
        over = next_time_of_day(now, end, zone)
        assert now < over <= now + 26 * 3_600_000
        assert not inside(over, (first, end), zone)


def test_unknown_zones_give_way() -> None:
    assert zone_of("Mars/Olympus", None, "", "Europe/Kyiv") == KYIV
    assert zone_of("../etc/passwd") == ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-02", "2026-03-02T00:00+02:00"),
        ("2026-03-02T10:00:00", "2026-03-02T10:00+02:00"),
        ("2026-03-02T10:00:00Z", "2026-03-02T10:00+00:00"),
        (1_772_445_600, "2026-03-02T10:00+00:00"),
        (1_772_445_600_000, "2026-03-02T10:00+00:00"),
        ("tomorrow", None),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_dates_in_traits_and_properties(value: object, expected: str | None) -> None:
    assert parse(value, KYIV) == (ms(expected) if expected else None)


def test_a_local_time_is_an_instant() -> None:
    assert instant_of(datetime(2026, 3, 29, 3, 15), KYIV) == ms("2026-03-29T04:00+03:00")


# --- waits -----------------------------------------------------------------------------------------------------------


def wait(lab: Lab, text: str, more: str = "") -> None:
    lab.journey("j", f"enter: {{event: Go}}\nsteps:\n  - wait: {text}\n{more}{SEND}")
    lab.customer()


def test_until_a_time_of_day_on_allowed_days_in_the_persons_zone(lab: Lab) -> None:
    wait(lab, '{until: "09:00", days: [wed, fri]}')
    lab.profiles["user_id:u1"]["timezone"] = "America/New_York"
    lab.event("Go", at())  # Monday
    lab.until(at(days=10))
    assert lab.sent() == [ms("2026-03-04T09:00-05:00")]


def test_a_move_to_another_zone_moves_the_time_of_day(lab: Lab) -> None:
    wait(lab, '{until: "09:00"}')
    lab.event("Go", at())
    lab.profiles["user_id:u1"]["timezone"] = "Asia/Tokyo"
    lab.event("Landed", at(hours=1))
    lab.until(at(days=10))
    assert lab.sent() == [ms("2026-03-03T09:00+09:00")]


MORNINGS = """
enter: {event: Go}
steps:
  - repeat:
      times: 3
      steps:
        - id: morning
          wait: {until: "09:00"}
        - send: {template: hello, channels: [email]}
"""


@pytest.mark.parametrize("hour", [12, -3])  # in the middle of the day, and at nine itself
def test_a_round_each_morning_is_one_a_morning(lab: Lab, hour: int) -> None:
    lab.journey("j", MORNINGS)
    lab.customer()
    lab.event("Go", at(hours=hour))
    lab.until(at(days=9))
    first = at(hours=21) if hour == 12 else at(hours=-3)
    assert lab.sent() == [first, first + DAY, first + 2 * DAY]


@pytest.mark.parametrize(
    "nights",
    [
        ("2026-10-24T03:30+03:00", "2026-10-25T03:30+03:00", "2026-10-26T03:30+02:00"),  # twice: once all the same
        ("2026-03-28T03:30+02:00", "2026-03-29T04:00+03:00", "2026-03-30T03:30+03:00"),  # skipped: the end of the gap
    ],
)
def test_a_round_each_night_is_one_a_night_also_when_clocks_change(lab: Lab, nights: tuple[str, ...]) -> None:
    lab.journey("j", MORNINGS.replace("09:00", "03:30"))
    lab.customer()
    lab.profiles["user_id:u1"]["timezone"] = "Europe/Kyiv"
    lab.event("Go", ms(nights[0]))
    lab.until(ms(nights[0]) + 9 * DAY)
    assert lab.sent() == [ms(night) for night in nights]


def test_two_waits_for_one_time_of_day_are_two_days_and_other_waits_at_it_are_over(lab: Lab) -> None:
    steps = f"  - wait: {{until: '09:00'}}\n{SEND}  - wait: {{until: '09:00'}}\n{SEND}"
    lab.journey("j", f"enter: {{event: Go}}\nsteps:\n{steps}  - wait: {{until: '09:00', days: [wed]}}\n{SEND}")
    lab.customer()
    lab.event("Go", at())
    lab.until(at(days=9))
    assert lab.sent() == [at(hours=21), at(days=1, hours=21), at(days=1, hours=21)]


def test_a_day_of_pause_before_a_time_of_day_makes_a_round_a_day(lab: Lab) -> None:
    lab.journey("j", MORNINGS.replace("        - id", "        - wait: 1d\n        - id"))
    lab.customer()
    lab.event("Go", at())
    lab.until(at(days=9))
    assert lab.sent() == [at(days=1, hours=21), at(days=2, hours=21), at(days=3, hours=21)]


def test_until_a_date_of_the_entry_event(lab: Lab) -> None:
    wait(lab, "{until: properties.starts, before: 1d}")
    lab.event("Go", at(), properties={"starts": "2026-03-10T15:00:00Z"})
    lab.until(at(days=30))
    assert lab.sent() == [ms("2026-03-09T15:00+00:00")]


def test_a_changed_date_moves_the_timer_both_ways(lab: Lab) -> None:
    wait(lab, "{until: traits.due, before: 1d}")
    lab.profiles["user_id:u1"]["traits"] = {"due": "2026-03-10"}
    lab.event("Go", at())
    lab.profiles["user_id:u1"]["traits"] = {"due": "2026-03-20"}
    lab.event("Changed", at(days=1))
    lab.until(at(days=9))
    assert not lab.sends()
    lab.profiles["user_id:u1"]["traits"] = {"due": "2026-03-15"}
    lab.event("Changed", at(days=10))
    assert not lab.sends()
    lab.profiles["user_id:u1"]["traits"] = {"due": "2026-03-12"}
    lab.event("Changed", at(days=10, hours=1))
    assert lab.sent() == [at(days=10, hours=1)]  # a day before is past: at once


@pytest.mark.parametrize("value", ["2020-01-01", "never", None])
def test_a_date_that_is_past_or_none_holds_nobody(lab: Lab, value: str | None) -> None:
    wait(lab, "{until: traits.due}")
    lab.profiles["user_id:u1"]["traits"] = {"due": value} if value else {}
    lab.event("Go", at())
    assert lab.sent() == [at()]


def test_events_that_restart_a_wait(lab: Lab) -> None:
    wait(lab, "1h", "    restart_on: [Product Added, Product Removed]\n")
    lab.event("Go", at())
    lab.event("Product Added", at(minutes=50))
    lab.event("Product Removed", at(minutes=100))
    lab.event("Product Viewed", at(minutes=150))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=160)]
    assert lab.reasons().count(reasons.SENT) == 1


def test_a_restart_concerns_the_instance_with_its_key(lab: Lab) -> None:
    wait(lab, "1h", "    restart_on: Product Added\n")
    lab.file("journeys/j.yaml", lab.files["journeys/j.yaml"].replace("event: Go", "event: Go, key: properties.cart"))
    lab.event("Go", at(), properties={"cart": "a"})
    lab.event("Product Added", at(minutes=50), properties={"cart": "b"})
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


def test_start_is_a_monday() -> None:
    assert START.weekday() == 0
