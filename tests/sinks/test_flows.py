"""Flows: paths from, to, between and without anchors, against walking along each path."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions.expressions import compile as cel
from schemas.identifiers import person_id
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.flows import Flow, Follower, flows, followers
from sinks.clickhouse.paths.touches import Nodes, TouchRules
from sinks.clickhouse.paths.walks import Question
from tests.examples import few
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, MINUTE, T0, event, fill, update

HITS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8), st.sampled_from("ABCD")), max_size=25)


@given(
    hits=HITS,
    start=st.sampled_from(["", "A"]),
    end=st.sampled_from(["", "B"]),
    depth=st.integers(1, 4),
    top=st.sampled_from([1, 2, 10]),
    gap=st.sampled_from([None, HOUR, 2 * HOUR]),
    within=st.sampled_from([None, 1, 3 * HOUR]),
    collapse=st.booleans(),
    every=st.booleans(),
)
@few(10, but=[HealthCheck.function_scoped_fixture])
def test_flows_are_those_found_by_walking(
    engine: Warehouse,
    hits: list[tuple[int, int, str]],
    start: str,
    end: str,
    depth: int,
    top: int,
    gap: int | None,
    within: int | None,
    collapse: bool,
    every: bool,
) -> None:
    events = [event(name, T0 + at * HOUR, id=f"m{n}", who=f"user_id:{who}") for n, (who, at, name) in enumerate(hits)]
    engine.command("TRUNCATE TABLE pathline.events_raw")
    fill(engine, map(update, events))
    paths: dict[str, list[slow.Touch]] = {}
    for e in sorted(events, key=lambda e: (e.occurred_at, e.event_id)):
        paths.setdefault(e.identifiers[0], []).append(slow.Touch(e.occurred_at, e.event_id, e.name))
    question = Question(start, end, depth, top, gap, within, collapse, every)
    assert flows(engine, Nodes("event"), question, Filters()) == slow.flows(paths, question)


def test_people_are_read_in_several_goes(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(warehouse, [update(event(name, T0 + n, who=f"user_id:u{n % 7}")) for n, name in enumerate("ABCABDABE" * 3)])
    at_once = flows(warehouse, Nodes("event"), Question("A", depth=3, top=2), Filters())
    behind = followers(warehouse, Nodes("event"), Question("A", depth=3), Filters(), 1, "A", "B")
    monkeypatch.setattr("sinks.clickhouse.paths.reading.MOST_ROWS", 5)
    assert flows(warehouse, Nodes("event"), Question("A", depth=3, top=2), Filters()) == at_once
    assert followers(warehouse, Nodes("event"), Question("A", depth=3), Filters(), 1, "A", "B") == behind != []


@pytest.fixture
def shop(warehouse: Warehouse) -> Warehouse:
    fill(
        warehouse,
        [
            update(event("Mailed", T0, who="user_id:a", channel="mail")),
            update(event("Page Viewed", T0 + HOUR, who="user_id:a")),
            update(event("Page Viewed", T0 + HOUR + MINUTE, who="user_id:a")),
            update(event("Order Completed", T0 + DAY, who="user_id:a", channel="store")),
            update(event("Mailed", T0, who="user_id:b", channel="mail")),
            update(event("Order Completed", T0 + HOUR, who="user_id:b", channel="store")),
            update(event("Page Viewed", T0, who="user_id:c")),
        ],
    )
    return warehouse


WEB = Nodes(rules=TouchRules(frozenset({"web"})))


def test_an_anchor_stands_by_its_own_name_among_channels(shop: Warehouse) -> None:
    assert flows(shop, WEB, Question(end="Order Completed", depth=2), Filters()) == [
        Flow(1, "(start)", "mail", 1, 1, None),
        Flow(1, "mail", "web", 1, 1, 3600.0),
        Flow(2, "mail", "Order Completed", 1, 1, 3600.0),
        Flow(2, "web", "Order Completed", 1, 1, 23 * 3600.0),
    ]
    assert flows(shop, WEB, Question(start="mail", depth=1), Filters()) == [
        Flow(1, "mail", "store", 1, 1, 3600.0),
        Flow(1, "mail", "web", 1, 1, 3600.0),
    ]


def test_without_anchors_paths_are_told_from_their_start_to_their_end(shop: Warehouse) -> None:
    assert [(flow.step, flow.origin, flow.target, flow.count) for flow in flows(shop, WEB, Question(), Filters())] == [
        (1, "(start)", "mail", 2),
        (1, "(start)", "web", 1),
        (2, "mail", "store", 1),
        (2, "mail", "web", 1),
        (2, "web", "(end)", 1),
        (3, "store", "(end)", 1),
        (3, "web", "store", 1),
        (4, "store", "(end)", 1),
    ]


def test_a_window_excludes_its_end(shop: Warehouse) -> None:
    def seen(question: Question) -> set[str]:
        return {flow.origin for flow in flows(shop, WEB, question, Filters()) if flow.people}

    assert "web" not in seen(Question(end="Order Completed", within=23 * HOUR))
    assert "web" in seen(Question(end="Order Completed", within=23 * HOUR + 1))
    assert "web" not in seen(Question(start="Mailed", within=HOUR))
    assert "web" in seen(Question(start="Mailed", within=HOUR + 1))


def test_filters_hold_for_anchors_and_touches(shop: Warehouse) -> None:
    filters = Filters(since=T0, until=T0 + 2 * HOUR, where=cel("event.name != 'Page Viewed'"))
    assert flows(shop, WEB, Question(start="Mailed", depth=1), filters) == [
        Flow(1, "Mailed", "(end)", 1, 1, None),
        Flow(1, "Mailed", "store", 1, 1, 3600.0),
    ]


def test_the_people_behind_a_step(shop: Warehouse) -> None:
    asked = Question(start="Mailed")
    found = followers(shop, WEB, asked, Filters(), 1, "Mailed", "web")
    assert found == [Follower(person_id("user_id:a"), 1, T0 + HOUR)]
    assert followers(shop, WEB, asked, Filters(), 2, "Mailed", "web") == []


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(depth=0), "at least 1"),
        (Question(start="A", end="A"), "two different"),
        (Question(within=0), "longer than nothing"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_would(
    warehouse: Warehouse, question: Question, told: str
) -> None:
    with pytest.raises(BadQuestion, match=told):
        flows(warehouse, Nodes("event"), question, Filters())
