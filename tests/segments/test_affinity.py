"""Channel affinity: `prefers`, and the order in which `channels: preferred` tries them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.segments.affinity import HALF_LIFE_MS, NEWEST, PURCHASE, best_hour, newest, ranked
from processors.segments.model import Engagement, joined_engagements
from schemas.definitions.model import Best, ComputedTrait, EventRule, Not, Prefers, TraitIs
from schemas.records import Event
from tests.segments.lab import CHANNELS, D, H, Line, event, identify, project

T = 1_700_000_000_000
COOKIE = "anonymous_id:c#0"


def line(*rules: EventRule) -> Line:
    made = project({"mail": Prefers("email"), "texts": Prefers("sms"), "not_mail": Not(Prefers("email"))}, rules)
    return Line(replace(made, channels=CHANNELS))


def told(name: str, at: int, **more: object) -> Event:
    return event(name, at, channel="web", **more)


def test_a_click_outweighs_two_opens_and_a_reply_both_until_they_have_faded() -> None:
    shop = line()
    shop.happen(told("Email Opened", T), told("Email Opened", T + 1), told("SMS Link Clicked", T + 2))
    assert shop.story("mail") == [(T, "entered", "event"), (T + 2, "left", "event")]
    assert shop.profile()["affinity"] == ["sms", "email"]
    shop.happen(told("Email Replied", T + 3))
    assert shop.story("texts") == [(T + 2, "entered", "event"), (T + 3, "left", "event")]
    shop.happen(told("SMS Opened", T + 3 + 2 * HALF_LIFE_MS))
    assert shop.story("texts")[2:] == [(T + 3 + 2 * HALF_LIFE_MS, "entered", "event")]
    shop.until(T + 2_000 * D)
    assert shop.story("mail")[2:] == [(T + 3, "entered", "event"), (T + 3 + 2 * HALF_LIFE_MS, "left", "event")]
    assert shop.changes[-2][1].reason == "SMS Opened; prefers sms, then email"


def test_deliveries_machines_and_visits_say_nothing() -> None:
    shop = line()
    shop.happen(told("Email Delivered", T), told("Email Opened", T + 1, properties={"machine": True}), told("View", T))
    assert shop.profile()["affinity"] == []
    assert shop.story("not_mail") == [(T, "entered", "event")]


def test_a_purchase_counts_for_the_channel_answered_in_within_three_days_before_it_and_once() -> None:
    rule = EventRule("Order", same="properties.order_id", revenue="properties.total")
    shop = line(rule)
    order = {"order_id": 1}
    shop.happen(
        told("SMS Opened", T), told("Email Opened", T + 1), told("Email Opened", T + 2), told("SMS Opened", T + 3)
    )
    assert shop.profile()["affinity"] == ["email", "sms"]
    shop.happen(told("Order", T + 72 * H + 3, properties=order))
    assert shop.profile()["affinity"] == ["sms", "email"]
    shop.happen(told("Order", T + 80 * H, properties={"order_id": "1"}, source="till"))
    shop.happen(event("Order", T + 90 * H, channel="email", properties={"order_id": 2}))
    shop.happen(told("Order Completed", T + 200 * H))
    assert shop.profile()["affinity"] == ["email", "sms"]


def test_an_order_that_several_systems_report_is_one_purchase_and_no_answer_that_others_count_for() -> None:
    shop = line(EventRule("Order", same="properties.order_id", revenue="properties.total"))
    shop.happen(*(told("SMS Replied", T + n) for n in range(3)))
    for hour, order in enumerate((1, "1", 1.0)):
        properties = {"order_id": order}
        shop.happen(event("Order", T + hour * H + H, channel="email", properties=properties), slot=COOKIE)
    assert shop.profile()["affinity"] == ["sms", "email"]
    shop.happen(told("Order", T + 5 * H, properties={"order_id": 2}))
    assert shop.profile()["affinity"] == ["sms", "email"], "who was written to by e-mail did not answer there"


def test_what_another_slot_did_counts_from_the_merge_on_and_goes_with_it() -> None:
    shop = line()
    shop.happen(told("SMS Replied", T), person="C", slot=COOKIE)
    shop.happen(told("Email Opened", T + 1))
    shop.move("C", "P", {COOKIE: 2}, at=T + 2)
    assert shop.profile()["affinity"] == ["sms", "email"]
    shop.move("P", "C", {COOKIE: 3}, at=T + 3, reason="split")
    assert shop.profile()["affinity"] == ["email"]
    assert [c for _, c, _ in shop.story("mail")] == ["entered", "left", "entered"]


def test_an_answer_from_the_future_counts_when_its_time_comes() -> None:
    shop = line()
    shop.happen(told("Email Opened", T), told("SMS Replied", T + H, received_at=T + 1))
    shop.until(T + D)
    assert shop.story("texts") == [(T + H, "entered", "timer")]


def test_nothing_is_kept_when_no_definition_asks() -> None:
    shop = Line(project({}))
    shop.happen(told("Email Opened", T))
    state = shop.person().slots.held["user_id:u1#0"].state
    assert state is not None
    assert state.engagements == ()


engagements = st.lists(
    st.tuples(st.integers(0, 90 * D), st.integers(0, 200), st.sampled_from(["", "email", "sms"]), st.just(3)),
    max_size=2 * NEWEST,
    unique_by=lambda one: one[1],
)


@settings(max_examples=50, deadline=None)
@given(engagements, st.data())
def test_however_they_are_spread_over_slots_the_newest_decide(told: list[Engagement], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(told)))
    slots = [newest(tuple(sorted(part))) for part in (told[:cut], told[cut:])]
    together = newest(tuple(sorted(told)))
    assert newest(joined_engagements(*slots)) == newest(joined_engagements(*reversed(slots))) == together
    assert newest(joined_engagements(together, slots[0])) == together
    assert ranked(together, 91 * D) == ranked(together, 9_000 * D), "time alone changes no order"


# --- the best hour ---------------------------------------------------------------------------------------------------

KYIV = ZoneInfo("Europe/Kyiv")
#: 2024-03-04, a Monday, 0:00 in Kyiv
MONDAY = 1_709_503_200_000


def hours() -> Line:
    segments = {"evening": TraitIs("hour", "at_least", 17)}
    traits = {name: ComputedTrait(name, Best(of)) for name, of in (("hour", "hour"), ("channel", "channel"))}
    return Line(replace(project(segments, timezone="Europe/Kyiv"), traits=traits))


def test_the_best_hour_is_the_one_of_the_own_day_in_which_the_person_answers_most() -> None:
    shop = hours()
    shop.happen(told("View", MONDAY + 3 * H))
    assert shop.profile()["traits"] == {}
    shop.happen(told("Email Opened", MONDAY + 9 * H), told("SMS Opened", MONDAY + 18 * H))
    assert shop.profile()["traits"] == {"hour": 18, "channel": "sms"}, "the newer of two is worth more"
    shop.happen(told("Email Link Clicked", MONDAY + D + 9 * H + H // 2))
    assert shop.profile()["traits"] == {"hour": 9, "channel": "email"}
    shop.happen(told("Order Completed", MONDAY + D + 20 * H), told("Email Delivered", MONDAY + D + 20 * H))
    machine = {"properties": {"machine": True}}
    shop.happen(*(told("Email Opened", MONDAY + D + 20 * H + n, **machine) for n in range(9)))
    assert shop.profile()["traits"]["hour"] == 9, "nobody answered at eight in the evening"
    changed = [(at - MONDAY, change) for at, change, _ in shop.story("evening")]
    assert changed == [(18 * H, "entered"), (D + 9 * H + H // 2, "left")]


def test_hours_are_those_of_the_persons_zone_whatever_it_is_and_summer_or_winter() -> None:
    shop = hours()
    shop.happen(told("Email Opened", MONDAY + 9 * H))
    shop.happen(identify(MONDAY + 10 * H, traits={"timezone": "America/New_York"}))
    assert shop.profile()["traits"]["hour"] == 2
    summer = 1_720_162_800_000  # 2024-07-05, 10:00 in Kyiv, 3:00 in New York
    shop.happen(told("Email Link Clicked", summer))
    assert shop.profile()["traits"]["hour"] == 3
    shop.happen(identify(summer + H, traits={"timezone": None}))
    assert shop.profile()["traits"]["hour"] == 10


def test_a_habit_around_the_full_hour_is_one_and_midnight_is_no_border() -> None:
    minute = 60_000
    answers = [10 * H - minute, 10 * H + minute, 10 * H + minute, 15 * H + 30 * minute, 15 * H + 31 * minute]
    shop = hours()
    shop.happen(*(told("Email Opened", MONDAY + day * D + at) for day, at in enumerate([*answers[3:], *answers[:3]])))
    assert shop.profile()["traits"]["hour"] == 10
    night = tuple((MONDAY + at, n, "email", 1) for n, at in enumerate((23 * H, D, D + 1, D + 5 * H, D + 5 * H + 1)))
    assert best_hour(night, KYIV, MONDAY + 2 * D) == 0


def test_what_another_slot_answered_counts_from_the_merge_on_for_the_hour_too() -> None:
    shop = hours()
    shop.happen(told("SMS Replied", MONDAY + 7 * H), person="C", slot=COOKIE)
    shop.happen(told("Email Opened", MONDAY + 9 * H))
    shop.move("C", "P", {COOKIE: 2}, at=MONDAY + 10 * H)
    assert shop.profile()["traits"] == {"hour": 7, "channel": "sms"}
    shop.happen(told("Email Replied", MONDAY + 22 * H, received_at=MONDAY + 11 * H))
    shop.until(MONDAY + 30 * H)
    assert shop.story("evening") == [(MONDAY + 22 * H, "entered", "timer")]


answered = st.lists(
    st.tuples(
        st.integers(MONDAY, MONDAY + 60 * D),
        st.integers(0, 2**40),
        st.sampled_from(["email", "sms"]),
        st.sampled_from([1, 3, 5, PURCHASE]),
    ),
    max_size=30,
).map(lambda found: tuple(sorted(found)))


@settings(deadline=None)
@given(answered, st.sampled_from(["", "email"]))
def test_the_hour_is_that_of_the_points_counted_one_by_one(engagements: tuple[Engagement, ...], channel: str) -> None:
    now = MONDAY + 40 * D
    points = defaultdict[int, float](float)
    for at, _, where, worth in engagements:
        if at <= now and worth != PURCHASE and (not channel or where == channel):
            hour = datetime.fromtimestamp(at / 1_000, KYIV).hour
            left = worth * 0.5 ** ((now - at) / HALF_LIFE_MS)
            for beside, share in ((0, left), (1, left / 2), (-1, left / 2)):
                points[(hour + beside) % 24] += share
    found = best_hour(engagements, KYIV, now, channel)
    if not points:
        assert found is None
    else:
        assert found is not None
        assert abs(points[found] - max(points.values())) <= 1e-9 * points[found]
    assert found == best_hour(engagements, KYIV, now + 1, channel), "time alone changes no order"
