"""Funnels: what counts as getting through, against trying every way to choose events."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.expressions import compile as cel
from schemas.records import Change
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Rows
from sinks.clickhouse.paths.attempts import Question, attempts
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.funnel import Breakdown, Drop, FunnelStep, Took, funnel
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, MINUTE, T0, event, fill, update

# few instants and many events, so that most coincide
HITS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ABCX")), min_size=1, max_size=6)


def asked_at_once(question: Question, people: list[list[slow.Hit]]) -> list[list[int] | None]:
    """The attempts of people, all found at once, as places among the hits of each."""
    span = 5
    keys = [person * span + hit.at for person, hits in enumerate(people) for hit in hits]
    names = [question.names.index(hit.name) + 1 if hit.name in question.names else 0 for hits in people for hit in hits]
    key = np.array(keys)
    rows = Rows(key, span, 0, key < 0, np.empty((len(people), 2), np.uint64), {"step": np.array(names)})
    first = np.cumsum([0, *map(len, people)])
    found: list[list[int] | None] = [None] * len(people)
    for attempt in attempts(question, rows):
        person = int(rows.person[attempt[0]])
        found[person] = [int(row - first[person]) if row >= 0 else -1 for row in attempt]
    return found


@given(
    people=st.lists(HITS, min_size=1, max_size=4),
    steps=st.lists(st.sampled_from("ABC"), min_size=2, max_size=3),
    within=st.integers(1, 5),
    order=st.sampled_from(["ordered", "strict", "any"]),
    exclude=st.booleans(),
)
@settings(max_examples=600, deadline=None)
def test_the_best_attempt_is_the_best_of_all_ways(
    people: list[list[tuple[int, str]]], steps: list[str], within: int, order: str, exclude: bool
) -> None:
    question = Question(tuple(steps), within, order, frozenset("X") if exclude else frozenset())
    in_order = [[slow.Hit(*hit) for hit in sorted(hits, key=lambda hit: hit[0])] for hits in people]
    for hits, attempt in zip(in_order, asked_at_once(question, in_order), strict=True):
        expected = slow.best(question, hits)
        if attempt is None:
            assert expected is None
            continue
        rows = [row for row in attempt if row >= 0]
        assert slow.Attempt(tuple(hits[row].at for row in rows), rows[0]) == expected
        taken = [hits[row].name for row in rows]
        assert len(set(rows)) == len(rows)
        assert not Counter(taken) - Counter(steps) if order == "any" else taken == steps[: len(taken)]


@given(
    people=st.lists(HITS, min_size=1, max_size=3),
    steps=st.permutations("ABC"),
    optional=st.sampled_from([{1}, {2}, {1, 2}]),
    within=st.integers(1, 5),
    exclude=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_optional_steps_are_taken_between_the_required_ones(
    people: list[list[tuple[int, str]]], steps: list[str], optional: set[int], within: int, exclude: bool
) -> None:
    chosen = frozenset(steps[index] for index in optional)
    question = Question(tuple(steps), within, "ordered", frozenset("X") if exclude else frozenset(), chosen)
    in_order = [[slow.Hit(*hit) for hit in sorted(hits, key=lambda hit: hit[0])] for hits in people]
    for hits, attempt in zip(in_order, asked_at_once(question, in_order), strict=True):
        times = None if attempt is None else [hits[row].at if row >= 0 else None for row in attempt]
        assert times == slow.best_with_optional(question, hits)


def test_a_strict_attempt_may_leave_other_events_of_its_first_instant_before_it() -> None:
    hits = [slow.Hit(0, "A"), slow.Hit(0, "B"), slow.Hit(1, "B"), slow.Hit(2, "C")]
    assert asked_at_once(Question(("A", "B", "C"), 10, "strict"), [hits]) == [[0, 2, 3]]


def test_another_event_at_an_instant_ends_a_strict_attempt_there() -> None:
    hits = [slow.Hit(0, "A"), slow.Hit(1, "B"), slow.Hit(1, "X"), slow.Hit(2, "C")]
    assert asked_at_once(Question(("A", "B", "C"), 10, "strict"), [hits]) == [[0, 1, -1]]


def rows(warehouse: Warehouse, question: Question, filters: Filters | None = None) -> list[FunnelStep]:
    return funnel(warehouse, question, filters or Filters()).steps


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
    found = funnel(warehouse, Question(("View", "Buy"), DAY), Filters(), Breakdown("channel")).steps
    assert [(row.value, row.step, row.people) for row in found] == [
        ("app", 1, 1),
        ("app", 2, 0),
        ("web", 1, 1),
        ("web", 2, 1),
    ]


def test_a_breakdown_by_the_first_the_last_or_any_step(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            update(event("View", T0, who="user_id:a", properties={"plan": "free"})),
            update(event("Buy", T0 + HOUR, who="user_id:a", properties={"plan": 2})),
            update(event("View", T0, who="user_id:b", properties={"plan": "free"})),
        ],
    )

    def found(of: str) -> list[tuple[str, int]]:
        asked = funnel(warehouse, Question(("View", "Buy"), DAY), Filters(), Breakdown("property:plan", of))
        return [(row.value, row.people) for row in asked.steps]

    assert found("first") == [("free", 2), ("free", 1)]
    assert found("last") == [("2", 1), ("2", 1), ("free", 1), ("free", 0)]
    assert found("step:2") == [("(none)", 1), ("(none)", 0), ("2", 1), ("2", 1)]


def test_times_and_where_the_others_went(warehouse: Warehouse) -> None:
    lines = {
        "a": [("View", 0), ("Note", 1), ("Buy", 30)],
        "b": [("View", 0), ("Buy", 45 * 60)],
        "c": [("View", 0), ("Search", 1), ("View", 2)],
        "d": [("View", 0)],
        "e": [("Search", 0)],
    }
    fill(
        warehouse,
        [
            update(event(name, T0 + at * 1000, id=f"{who}{at}", who=f"user_id:{who}"))
            for who, line in lines.items()
            for name, at in line
        ],
    )
    found = funnel(warehouse, Question(("View", "Buy"), DAY), Filters(), drops=True)
    assert found.took == [Took(0, 60, 1, 0.5), Took(600, 3600, 1, 0.5)]
    assert found.drops == [Drop(1, "View", "(end)", 1, 0.5), Drop(1, "View", "Search", 1, 0.5)]


def test_an_optional_step_counts_for_itself_only(warehouse: Warehouse) -> None:
    lines = {"a": "VCB", "b": "VB", "c": "VC", "d": "V"}
    names = {"V": "View", "C": "Coupon", "B": "Buy"}
    fill(
        warehouse,
        [
            update(event(names[letter], T0 + at * 1000, who=f"user_id:{who}"))
            for who, line in lines.items()
            for at, letter in enumerate(line)
        ],
    )
    asked = Question(("View", "Coupon", "Buy"), DAY, optional=frozenset({"Coupon"}))
    assert rows(warehouse, asked) == [
        FunnelStep(1, "View", 4, 1.0, 1.0, None),
        FunnelStep(2, "Coupon", 2, 0.5, 0.5, 1.0),
        FunnelStep(3, "Buy", 2, 0.5, 0.5, 1.0),
    ]


def test_people_are_read_in_several_goes(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    far = [event("A", T0 - 60 * 365 * DAY, who="user_id:u1")]
    made = [event(name, T0 + n * HOUR, who=f"user_id:u{n % 7}") for n in range(50) for name in "AB"]
    fill(warehouse, map(update, [*far, *made]))
    asked = Question(("A", "B"), DAY)
    at_once = funnel(warehouse, asked, Filters(), Breakdown("channel"), drops=True)
    monkeypatch.setattr("sinks.clickhouse.paths.reading.MOST_ROWS", 20)
    monkeypatch.setattr("sinks.clickhouse.paths.arrays._LARGEST_KEY", 3 * 60 * 365 * DAY)
    assert funnel(warehouse, asked, Filters(), Breakdown("channel"), drops=True) == at_once


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
        (Question(("A", "B"), DAY, optional=frozenset("A")), "can't be optional"),
        (Question(("A", "B"), DAY, "any", optional=frozenset("B")), "ordered funnel only"),
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
