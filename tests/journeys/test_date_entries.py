"""Dates of people start journeys: at midnight or at a time, before or after, each year; a changed date moves it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.journeys.step import JourneysStage
from schemas import reasons
from schemas.definitions import parse
from tests.journeys.lab import SEND, Lab, at

BIRTHDAY = "enter: {date: traits.birthday}\nsteps:\n" + SEND
WARRANTY = 'enter: {date: {trait: warranty_end, before: 30d, at: "10:00"}}\nsteps:\n' + SEND


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def known(lab: Lab, when: int, who: str = "user_id:u1", zone: str | None = None, **traits: object) -> None:
    """What is known of a person changes."""
    if who not in lab.profiles:
        lab.customer(who)
    lab.profiles[who]["traits"] = {**lab.profiles[who]["traits"], **traits}
    if zone is not None:
        lab.profiles[who]["timezone"] = zone
    lab.event("Seen", when, who)


def test_a_birthday_is_the_local_midnight_of_each_anniversary(lab: Lab) -> None:
    lab.journey("j", BIRTHDAY)
    known(lab, at(), zone="Europe/Kyiv", birthday="1990-05-17")
    lab.until(ms("2028-01-01T00:00:00+00:00"))
    assert lab.sent() == [ms("2026-05-17T00:00:00+03:00"), ms("2027-05-17T00:00:00+03:00")]
    assert lab.decisions()[0].detail == "date birthday 2026-05-17"


def test_the_date_is_there_for_messages(lab: Lab) -> None:
    lab.journey("j", BIRTHDAY + "  - emit: {event: Wished, properties: {on: '{{ entry.properties.date }}'}}\n")
    known(lab, at(), birthday="1990-05-17")
    lab.until(at(days=100))
    assert [orjson.loads(event.properties) for event in lab.events()] == [{"on": "2026-05-17"}]


def test_before_an_end_at_a_time_of_that_day_once(lab: Lab) -> None:
    lab.journey("j", WARRANTY)
    known(lab, at(), zone="Europe/Kyiv", warranty_end="2026-05-10")
    lab.until(at(days=800))
    assert lab.sent() == [ms("2026-04-10T10:00:00+03:00")]


def test_a_changed_date_moves_it_and_one_that_is_gone_takes_it_away(lab: Lab) -> None:
    lab.journey("j", WARRANTY)
    known(lab, at(), warranty_end="2026-05-10")
    known(lab, at(days=1), warranty_end="2026-06-10")
    lab.until(ms("2026-04-20T00:00:00+00:00"))
    assert lab.sent() == []
    known(lab, ms("2026-04-20T00:00:00+00:00"), warranty_end=None)
    lab.until(at(days=200))
    assert lab.sent() == []
    known(lab, at(days=200), warranty_end="2027-01-31")
    lab.until(at(days=400))
    assert lab.sent() == [ms("2027-01-01T10:00:00+00:00")]


def test_a_date_that_is_past_when_it_becomes_known_starts_nothing(lab: Lab) -> None:
    lab.journey("j", BIRTHDAY)
    known(lab, at(), birthday="1990-03-02")
    lab.until(at(days=300))
    assert lab.sent() == []


def test_the_same_date_told_again_does_not_come_again(lab: Lab) -> None:
    lab.journey("j", 'enter: {date: {trait: birthday, every: year, at: "10:00"}}\nsteps:\n' + SEND)
    known(lab, at(), birthday="1990-05-17", zone="Asia/Tokyo")
    when = ms("2026-05-17T10:00:00+09:00")
    known(lab, when + 60_000, birthday="1990-05-17T00:00:00")
    # where it is still before ten
    known(lab, when + 120_000, zone="America/New_York")
    lab.until(at(days=300))
    assert lab.sent() == [when]


def test_another_zone_moves_it(lab: Lab) -> None:
    lab.journey("j", BIRTHDAY)
    known(lab, at(), birthday="1990-05-17")
    known(lab, at(days=1), zone="America/New_York")
    lab.until(at(days=300))
    assert lab.sent() == [ms("2026-05-17T00:00:00-04:00")]


def test_repeated_dates_and_limits(lab: Lab) -> None:
    lab.journey("j", "enter: {date: {trait: bought_at, every: 40d}}\nexit: [{event: Bought}]\nsteps:\n" + SEND)
    known(lab, at(), bought_at=at())
    known(lab, at(days=50), bought_at=at(days=50))
    lab.until(at(days=140))
    assert lab.sent() == [at(days=40), at(days=90), at(days=130)]


def test_several_dates_of_one_journey(lab: Lab) -> None:
    lab.journey(
        "j",
        "enter:\n  - {date: {trait: birthday, every: year, before: 7d}}\n  - {date: {trait: birthday, every: year}}\n"
        "steps:\n" + SEND,
    )
    known(lab, at(), birthday="1990-05-17")
    lab.until(at(days=300))
    assert lab.sent() == [ms("2026-05-10T00:00:00+00:00"), ms("2026-05-17T00:00:00+00:00")]


def test_definitions_that_begin_to_ask_for_a_date_find_everybody(lab: Lab) -> None:
    first = parse(lab.files)
    lab.journey("j", BIRTHDAY)
    second = parse(lab.files)
    lab.marker(first.version, at(days=-2))
    lab.source.publish(second)
    for n in range(450):
        known(lab, at(), f"user_id:u{n}", birthday="1990-05-17")
    lab.marker(second.version, at(days=1))
    lab.until(at(days=300))
    assert Counter(lab.sent()) == {ms("2026-05-17T00:00:00+00:00"): 450}


def test_definitions_that_ask_for_another_time_move_it(lab: Lab) -> None:
    lab.journey("j", BIRTHDAY)
    first = parse(lab.files)
    lab.journey("j", 'enter: {date: {trait: birthday, every: year, before: 7d, at: "10:00"}}\nsteps:\n' + SEND)
    second = parse(lab.files)
    lab.journey("j", BIRTHDAY)
    lab.marker(first.version, at(days=-2))
    lab.source.publish(second)
    known(lab, at(), birthday="1990-05-17")
    lab.marker(second.version, at(days=1))
    lab.until(at(days=300))
    assert lab.sent() == [ms("2026-05-10T10:00:00+00:00")]


def test_a_date_goes_with_whoever_a_person_turns_out_to_be(lab: Lab) -> None:
    lab.journey("j", 'enter: {date: {trait: birthday, every: year, at: "10:00"}}\nsteps:\n' + SEND)
    known(lab, at(), "anonymous_id:a1", birthday="1990-05-17")
    lab.customer("user_id:u1")
    lab.event("Seen", at(), "user_id:u1")
    slots = {"anonymous_id:a1": 2}
    lab.move(slots, "anonymous_id:a1", "user_id:u1", at(days=1))
    lab.arrived(slots, "user_id:u1", at(days=1), traits={"birthday": "1990-05-17"})
    lab.until(at(days=300))
    assert [(send.at, send.identifier) for send in lab.sends()] == [
        (ms("2026-05-17T10:00:00+00:00"), "email:u1@example.com")
    ]


def test_whoever_had_it_already_does_not_have_it_again_after_a_merge(lab: Lab) -> None:
    lab.journey("j", 'enter: {date: {trait: birthday, every: year, at: "10:00"}}\nsteps:\n' + SEND)
    known(lab, at(), "anonymous_id:a1", zone="Asia/Tokyo", birthday="1990-05-17")
    lab.customer("user_id:u1")
    lab.event("Seen", at(), "user_id:u1")
    when = ms("2026-05-17T10:00:00+09:00")
    slots = {"anonymous_id:a1": 2}
    lab.move(slots, "anonymous_id:a1", "user_id:u1", when + 60_000)
    lab.arrived(slots, "user_id:u1", when + 60_000, traits={"birthday": "1990-05-17"}, timezone="Europe/Kyiv")
    lab.until(at(days=300))
    assert lab.sent() == [when]


def test_after_downtime_it_begins_late_and_once(lab: Lab) -> None:
    lab.journey("j", BIRTHDAY)
    known(lab, at(), birthday="1990-05-17")
    lab.line._wakes.clear()
    lab.until(ms("2026-05-18T09:00:00+00:00"))
    lab.line.restart([JourneysStage(lab.source, lab.codec)])
    lab.until(at(days=300))
    (sent,) = lab.sent()
    assert ms("2026-05-18T09:00:00+00:00") <= sent < ms("2026-05-18T09:00:05+00:00")


class Oracle:
    """A person's date, minute by minute: whether somebody enters now by what is known now."""

    def __init__(self, before: int, minute: int) -> None:
        self.before, self.minute = before, minute
        self.had: set[date] = set()
        self.entered: list[int] = []

    def minute_passes(self, now: int, day: date | None, since: int, zone: str) -> None:
        if day is None:
            return
        clock = ZoneInfo(zone)
        local = datetime.fromtimestamp(now / 1000, clock)
        previous = datetime.fromtimestamp(now / 1000 - 60, clock).replace(tzinfo=None)
        due = local.replace(hour=self.minute // 60, minute=self.minute % 60, tzinfo=None)
        here = local.replace(tzinfo=None)
        # the clock comes to the time, or jumps over it
        if not (previous < due <= here and previous < here):
            return
        each = local.date() + timedelta(days=self.before)
        known = datetime.fromtimestamp(since / 1000, clock).date()
        comes = (each.month, each.day) == (day.month, day.day) and (each > day or day > known)
        if comes and each not in self.had and (not self.had or each > max(self.had)):
            self.had.add(each)
            self.entered.append(now)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["date", "zone", "nothing"]),
            st.integers(20, 31),
            st.sampled_from(["Europe/Kyiv", "America/New_York", "Asia/Tokyo", "UTC"]),
            st.integers(1, 2_000),
        ),
        max_size=12,
    ),
    st.sampled_from([0, 3]),
    # one that Kyiv skips on March 29th
    st.sampled_from([0, 210, 600]),
)
def test_dates_that_change_with_zones_that_change_are_what_a_watchman_sees(
    happened: list[tuple[str, int, str, int]], before: int, minute: int
) -> None:
    lab = Lab()
    time = f"{minute // 60:02}:{minute % 60:02}"
    lab.journey(
        "j",
        f'enter: {{date: {{trait: day, every: year, before: {before}d, at: "{time}"}}, on_repeat: parallel}}\n'
        "steps:\n  - wait: 1s\n",
    )
    oracle = Oracle(before, minute)
    now = ms("2026-03-19T12:00:30+00:00")
    day: date | None = None
    since, zone = now, "UTC"
    known(lab, now, zone="UTC")
    for what, number, place, minutes in [*happened, ("nothing", 20, "UTC", 20_000)]:
        if what == "date" and day != date(1990, 3, number):
            day, since = date(1990, 3, number), now
        if what == "zone":
            zone = place
        known(lab, now, zone=zone, **({"day": day.isoformat()} if day is not None else {}))
        for passed in range(1, minutes + 1):
            # events happen half a minute behind the full one
            oracle.minute_passes(now - 30_000 + passed * 60_000, day, since, zone)
        now += minutes * 60_000
    lab.until(now)
    assert [d.at for d in lab.decisions() if d.reason == reasons.ENTERED] == oracle.entered
