"""Retention, lifetime value and drop-off, against going through everything one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions.model import EventRule
from schemas.records import Event
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.cohorts import Cohorts
from sinks.clickhouse.paths.dropoff import Silence, dropoff
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.ltv import Worth, ltv
from sinks.clickhouse.paths.orders import Asked
from sinks.clickhouse.paths.retention import Retained, retention
from sinks.clickhouse.paths.touches import Nodes, TouchRules
from tests.examples import few
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, T0, event, fill, update

BUY = "Order Completed"
ORDERS = Asked((BUY,), {BUY: EventRule(BUY, "properties.id")})


def put(warehouse: Warehouse, events: Sequence[Event]) -> None:
    warehouse.command("TRUNCATE TABLE pathline.events_raw")
    fill(warehouse, map(update, events))


def test_a_cohort_is_told_by_its_first_day_and_has_the_periods_that_had_begun(warehouse: Warehouse) -> None:
    # 2026-03-01 is a Sunday
    put(
        warehouse,
        [
            event("Visit", T0, who="user_id:a"),
            event("Visit", T0 + DAY, who="user_id:a"),
            event("Visit", T0 + HOUR, who="user_id:b"),
            event("Visit", T0 + 8 * DAY, who="user_id:b"),
            event("Visit", T0 + 9 * DAY, who="user_id:c"),
        ],
    )
    assert retention(warehouse, Cohorts("week"), "", Filters()) == [
        Retained("2026-02-23", 0, 2, 2),
        Retained("2026-02-23", 1, 2, 1),
        Retained("2026-02-23", 2, 2, 1),
        Retained("2026-03-09", 0, 1, 1),
    ]
    assert [row.cohort for row in retention(warehouse, Cohorts("month"), "", Filters())] == ["2026-03"]
    assert retention(warehouse, Cohorts("week", most=1), "Nothing", Filters())[0] == Retained("2026-02-23", 0, 2, 0)
    assert retention(warehouse, Cohorts("week", start="Nothing"), "", Filters()) == []
    with pytest.raises(BadQuestion, match="--period is day, week, month, not year"):
        retention(warehouse, Cohorts("year"), "", Filters())


def test_the_value_of_a_cohort_grows_with_its_age(warehouse: Warehouse) -> None:
    put(
        warehouse,
        [
            event("Visit", T0, who="user_id:a"),
            event(BUY, T0 + HOUR, who="user_id:a", properties={"id": 1, "total": 10}),
            event(BUY, T0 + 40 * DAY, who="user_id:a", properties={"id": 2, "total": 6}),
            event(BUY, T0 + 41 * DAY, who="user_id:a", properties={"id": 2, "total": 6}),
            event("Visit", T0, who="user_id:b", channel="app"),
        ],
    )
    assert ltv(warehouse, Cohorts("month"), ORDERS, Filters()) == [
        Worth("2026-03", 0, 2, 1, 1, 10),
        Worth("2026-03", 1, 2, 1, 2, 16),
    ]
    by_channel = ltv(warehouse, Cohorts("month", by="channel"), ORDERS, Filters())
    assert {(row.cohort, row.period): row.per_person for row in by_channel} == {
        ("app", 0): 0, ("app", 1): 0, ("web", 0): 10, ("web", 1): 16,
    }  # fmt: skip


PEOPLE = [f"user_id:u{n}" for n in range(5)]
HAPPENED = st.tuples(
    st.integers(0, 60).map(lambda n: T0 - 5 * DAY + n * 31 * HOUR),
    st.sampled_from(PEOPLE),
    st.sampled_from(["Visit", "Visit", BUY, "Other"]),
    st.sampled_from(["web", "app", ""]),
)


def made(happened: Sequence[tuple[int, str, str, str]]) -> list[Event]:
    return [
        event(name, at, id=f"m{n}", who=who, channel=channel, properties={"total": n} if name == BUY else {})
        for n, (at, who, name, channel) in enumerate(happened)
    ]


def number_of(period: str, at: int) -> int:
    day = datetime.fromtimestamp(at / 1000, UTC).date()
    if period == "month":
        return day.year * 12 + day.month - 1
    return (day - date(1970, 1, 5)).days // 7 if period == "week" else (day - date(1970, 1, 1)).days


def name_of(period: str, at: int) -> str:
    day = datetime.fromtimestamp(at / 1000, UTC).date()
    if period == "month":
        return f"{day:%Y-%m}"
    return str(day - timedelta(day.weekday() if period == "week" else 0))


def beginnings(events: Sequence[Event], start: str, by: str, period: str) -> dict[str, tuple[str, int, int]]:
    """Cohort, period and instant in which each person began."""
    found: dict[str, tuple[str, int, int]] = {}
    for happened in sorted(events, key=lambda e: (e.occurred_at, e.event_id)):
        if start in ("", happened.name) and happened.identifiers[0] not in found:
            at = happened.occurred_at
            name = (happened.channel or "(none)") if by else name_of(period, at)
            found[happened.identifiers[0]] = (name, number_of(period, at), at)
    return found


@given(
    happened=st.lists(HAPPENED, min_size=1, max_size=25),
    period=st.sampled_from(["day", "week", "month"]),
    start=st.sampled_from(["", "Visit"]),
    returning=st.sampled_from(["", "Visit", BUY]),
    by=st.sampled_from(["", "channel"]),
    most=st.sampled_from([2, 100]),
)
@few(8, but=[HealthCheck.function_scoped_fixture])
def test_cohorts_are_those_found_one_by_one(
    engine: Warehouse,
    happened: list[tuple[int, str, str, str]],
    period: str,
    start: str,
    returning: str,
    by: str,
    most: int,
) -> None:
    events = made(happened)
    put(engine, events)
    began = beginnings(events, start, by, period)
    of_those = [e for e in events if e.identifiers[0] in began]
    newest = max((number_of(period, e.occurred_at) for e in of_those), default=0)
    kept, worth = [], []
    for name in sorted({cohort for cohort, _, _ in began.values()}):
        for n in range(most):
            there = {who: at for who, (cohort, first, at) in began.items() if cohort == name and first + n <= newest}
            if not there:
                break
            back, bought = set(), []
            for e in of_those:
                who, age = e.identifiers[0], number_of(period, e.occurred_at) - began[e.identifiers[0]][1]
                if who in there and age == n and e.occurred_at >= there[who] and returning in ("", e.name):
                    back.add(who)
                if who in there and e.name == BUY and age <= n:
                    bought.append((who, int(e.message_id[1:])))
            kept.append(Retained(name, n, len(there), len(back)))
            buyers = {who for who, _ in bought}
            worth.append(Worth(name, n, len(there), len(buyers), len(bought), sum(paid for _, paid in bought)))
    cohorts = Cohorts(period, start, by, most=most)
    assert retention(engine, cohorts, returning, Filters()) == kept
    assert ltv(engine, cohorts, ORDERS, Filters()) == worth


@given(happened=st.lists(HAPPENED, min_size=1, max_size=25), silence=st.integers(1, 40).map(lambda n: n * DAY))
@few(6, but=[HealthCheck.function_scoped_fixture])
def test_drop_off_is_that_found_one_by_one(
    engine: Warehouse, happened: list[tuple[int, str, str, str]], silence: int
) -> None:
    events, rules = made(happened), TouchRules(frozenset({"web"}))
    put(engine, events)
    newest = max(e.occurred_at for e in events)
    paths = slow.touches(events, [], rules)
    lasts: dict[str, list[int]] = defaultdict(list)
    for path in paths.values():
        if path and path[-1].at <= newest - silence:
            lasts[path[-1].node].append(newest - path[-1].at)
    gone = sum(map(len, lasts.values()))
    expected = []
    for node in {touch.node for path in paths.values() for touch in path}:
        people, here = sum(any(t.node == node for t in path) for path in paths.values()), lasts[node]
        expected.append(
            Silence(
                node, len(here), people, len(here) / gone if gone else 0, len(here) / people,
                median(here) / 1000 if here else None,
            )
        )  # fmt: skip
    expected.sort(key=lambda row: (-row.silent, -row.people, row.last))
    assert dropoff(engine, Nodes("channel", rules), silence, Filters()) == expected
