"""Funnels: what counts as getting through, against trying every way to choose events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.expressions import compile as cel
from schemas.records import Change
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.funnel import FunnelStep, Hit, Question, best, funnel
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, MINUTE, T0, event, fill, update

NAMES = "ABCX"
# few instants and many events, so that most coincide
HITS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(NAMES), st.sampled_from("pq")), min_size=3, max_size=6)


@given(
    hits=HITS,
    steps=st.lists(st.sampled_from("ABC"), min_size=2, max_size=3),
    within=st.integers(1, 5),
    order=st.sampled_from(["ordered", "strict", "any"]),
    exclude=st.booleans(),
)
@settings(max_examples=600, deadline=None)
def test_the_best_attempt_is_the_best_of_all_ways(
    hits: list[tuple[int, str, str]], steps: list[str], within: int, order: str, exclude: bool
) -> None:
    question = Question(tuple(steps), within, order, frozenset("X") if exclude else frozenset())
    in_order = [Hit(*hit) for hit in sorted(hits, key=lambda hit: hit[0])]
    assert best(question, in_order) == slow.best(question, in_order)


def test_a_strict_attempt_may_leave_other_events_of_its_first_instant_before_it() -> None:
    hits = [Hit(0, "A", "web"), Hit(0, "B", "web"), Hit(1, "B", "web"), Hit(2, "C", "web")]
    attempt = best(Question(("A", "B", "C"), 10, "strict"), hits)
    assert attempt is not None
    assert attempt.times == (0, 1, 2)


def rows(warehouse: Warehouse, question: Question, filters: Filters | None = None) -> list[FunnelStep]:
    return funnel(warehouse, question, filters or Filters())


def people(warehouse: Warehouse, question: Question, filters: Filters | None = None) -> list[int]:
    return [row.people for row in rows(warehouse, question, filters)]


def test_a_funnel_tells_people_shares_and_times(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            update(event("View", T0, who="user_id:a")),
            update(event("Add", T0 + HOUR, who="user_id:a")),
            update(event("Buy", T0 + 2 * HOUR, who="user_id:a")),
            update(event("View", T0, who="user_id:b")),
            update(event("Add", T0 + 3 * HOUR, who="user_id:b")),
            update(event("View", T0, who="user_id:c")),
            update(event("Buy", T0 + HOUR, who="user_id:c")),
            update(event("Add", T0, who="user_id:d")),
        ],
    )
    assert rows(warehouse, Question(("View", "Add", "Buy"), 7 * DAY)) == [
        FunnelStep(1, "View", 3, 1.0, 1.0, None),
        FunnelStep(2, "Add", 2, 2 / 3, 2 / 3, 7200.0),
        FunnelStep(3, "Buy", 1, 1 / 3, 1 / 2, 3600.0),
    ]
    assert people(warehouse, Question(("View", "Add", "Buy"), 7 * DAY, "any")) == [4, 3, 1]
    assert people(warehouse, Question(("View", "Buy"), 7 * DAY, "strict")) == [3, 1]
    assert people(warehouse, Question(("View", "Buy"), 7 * DAY, exclude=frozenset({"Add"}))) == [3, 1]


def test_the_window_opens_at_the_first_step_and_excludes_its_end(warehouse: Warehouse) -> None:
    fill(warehouse, [update(event("A", T0)), update(event("B", T0 + DAY)), update(event("C", T0 + 2 * DAY))])
    assert people(warehouse, Question(("A", "B"), DAY)) == [1, 0]
    assert people(warehouse, Question(("A", "B"), DAY + 1)) == [1, 1]
    assert people(warehouse, Question(("A", "B", "C"), 2 * DAY)) == [1, 1, 0]


def test_nobody_is_no_division_by_zero(warehouse: Warehouse) -> None:
    assert rows(warehouse, Question(("A", "B"), DAY)) == [
        FunnelStep(1, "A", 0, None, None, None),
        FunnelStep(2, "B", 0, None, None, None),
    ]


def test_by_channel_each_person_stands_where_its_attempt_began(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            update(event("View", T0, who="user_id:a", channel="web")),
            update(event("Buy", T0 + HOUR, who="user_id:a", channel="store")),
            update(event("View", T0, who="user_id:b", channel="app")),
        ],
    )
    found = rows(warehouse, Question(("View", "Buy"), DAY, by_channel=True))
    assert [(row.channel, row.step, row.people) for row in found] == [
        ("app", 1, 1),
        ("app", 2, 0),
        ("web", 1, 1),
        ("web", 2, 1),
    ]


def test_filters_by_date_segment_and_expression(warehouse: Warehouse) -> None:
    entered = Change(segment="vip", change="entered", cause="event", at=T0)
    fill(
        warehouse,
        [
            update(event("View", T0, who="user_id:a"), [entered]),
            update(event("Buy", T0 + MINUTE, who="user_id:a", properties={"total": 30})),
            update(event("View", T0 + DAY, who="user_id:b")),
            update(event("Buy", T0 + DAY + MINUTE, who="user_id:b", properties={"total": 10})),
        ],
    )
    asked = Question(("View", "Buy"), DAY)
    assert people(warehouse, asked) == [2, 2]
    assert people(warehouse, asked, Filters(segment="vip")) == [1, 1]
    assert people(warehouse, asked, Filters(since=T0 + DAY)) == [1, 1]
    assert people(warehouse, asked, Filters(until=T0 + DAY)) == [1, 1]
    dear = cel("event.name != 'Buy' || event.properties.total > 20")
    assert people(warehouse, asked, Filters(where=dear)) == [2, 1]
    assert people(warehouse, asked, Filters(since=T0 + DAY, where=dear)) == [1, 0]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(("A",), DAY), "at least twice"),
        (Question(("A", "B"), DAY, "sideways"), "ordered, strict, any"),
        (Question(("A", "B"), 0), "longer than nothing"),
        (Question(("A", "B"), DAY, exclude=frozenset("B")), "can't be excluded"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_would(
    warehouse: Warehouse, question: Question, told: str
) -> None:
    with pytest.raises(BadQuestion, match=told):
        rows(warehouse, question)


def test_an_expression_about_something_else_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(BadQuestion, match="about event"):
        people(warehouse, Question(("A", "B"), DAY), Filters(where=cel("person.traits.city == 'Kyiv'")))
