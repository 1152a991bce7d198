"""Attribution: each model against a slow obvious form of it: fractions for the chain, all orders for Shapley."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.definitions.expressions import compile as cel
from schemas.definitions.model import EventRule
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.files import load_text
from sinks.clickhouse.paths.attribution import Credit, Question, attribution
from sinks.clickhouse.paths.costs import Prices
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.models import CONVERSION, MODELS, NULL, START, Edges, removal_shares
from sinks.clickhouse.paths.orders import Asked
from sinks.clickhouse.paths.touches import Nodes, TouchRules
from tests.examples import few
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, T0, event, fill, send, update

ORDERS = Asked(("Order Completed",))
MONTH = Question(30 * DAY)


def credits_of(
    warehouse: Warehouse,
    model: str,
    question: Question = MONTH,
    filters: Filters | None = None,
    asked: Nodes | None = None,
    prices: Prices | None = None,
) -> list[Credit]:
    found = attribution(
        warehouse, (model,), asked or Nodes(), ORDERS, question, filters or Filters(), prices or Prices()
    )
    return found[model]


def shares(*arguments: object, **options: object) -> dict[str, float]:
    return {row.node: pytest.approx(row.conversions) for row in credits_of(*arguments, **options)}  # type: ignore[arg-type]


HITS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.sampled_from(["email", "ads", "direct", "store", "buy"])),
    max_size=20,
)


@given(
    hits=HITS,
    lookback=st.sampled_from([1, HOUR, 3 * HOUR, 30 * DAY]),
    steps=st.sampled_from([None, 1, 2]),
    nulls=st.booleans(),
    half_life=st.sampled_from([HOUR, 7 * DAY]),
)
@few(8, but=[HealthCheck.function_scoped_fixture])
def test_each_model_gives_what_its_slow_form_gives(
    engine: Warehouse,
    hits: list[tuple[int, int, str]],
    lookback: int,
    steps: int | None,
    nulls: bool,
    half_life: int,
) -> None:
    events = [
        event(
            "Order Completed" if channel == "buy" else "Touched",
            T0 + at * HOUR,
            id=f"m{number}",
            who=f"user_id:{who}",
            channel="store" if channel == "buy" else channel,
            properties={"total": number} if channel == "buy" else {},
        )
        for number, (who, at, channel) in enumerate(hits)
    ]
    engine.command("TRUNCATE TABLE pathline.events_raw")
    fill(engine, map(update, events))
    touched = slow.touches(events, [], TouchRules())
    converted: dict[str, list[slow.Conversion]] = {}
    for number, e in enumerate(events):
        if e.name == "Order Completed":
            converted.setdefault(e.identifiers[0], []).append(slow.Conversion(e.occurred_at, e.event_id, number))
    question = Question(lookback, steps, nulls, half_life)
    found = attribution(engine, MODELS, Nodes(), ORDERS, question, Filters(), Prices())
    for model in MODELS:
        number, worth = slow.credit(model, touched, converted, question, frozenset({"direct"}))
        for row in found[model]:
            assert row.conversions == pytest.approx(number.pop(row.node, 0.0)), model
            assert row.revenue == pytest.approx(worth.get(row.node, 0.0)), model
        assert not any(number.values())
        assert sum(row.conversions for row in found[model]) == pytest.approx(sum(map(len, converted.values())))


@pytest.fixture
def shop(warehouse: Warehouse) -> Warehouse:
    """Ann: ads, web, email, order of 100. Bob: ads, then nothing."""
    fill(
        warehouse,
        [
            update(event("Ad Clicked", T0, who="user_id:ann", channel="ads")),
            update(event("Page Viewed", T0 + DAY, who="user_id:ann", channel="web")),
            update(event("Called", T0 + 8 * DAY, who="user_id:ann", channel="call_centre")),
            update(event("Order Completed", T0 + 9 * DAY, who="user_id:ann", channel="", properties={"total": 100})),
            update(event("Ad Clicked", T0, who="user_id:bob", channel="ads")),
        ],
    )
    return warehouse


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("first", {"ads": 1, "web": 0, "call_centre": 0}),
        ("last", {"ads": 0, "web": 0, "call_centre": 1}),
        ("linear", {"ads": 1 / 3, "web": 1 / 3, "call_centre": 1 / 3}),
        ("position", {"ads": 0.4, "web": 0.2, "call_centre": 0.4}),
        ("time_decay", {"ads": 2 ** (-8 / 7) / (1.5 + 2 ** (-8 / 7)), "web": 0.5 / (1.5 + 2 ** (-8 / 7))}),
        ("markov", {"ads": 1 / 3, "web": 1 / 3, "call_centre": 1 / 3}),
        ("shapley", {"ads": 1 / 3, "web": 1 / 3, "call_centre": 1 / 3}),
    ],
)
def test_the_models_on_a_path_of_three(shop: Warehouse, model: str, expected: dict[str, float]) -> None:
    found = shares(shop, model)
    assert {name: found[name] for name in expected} == expected


def test_the_last_touch_that_is_not_direct(warehouse: Warehouse) -> None:
    rules = TouchRules(frozenset({"web"}))
    fill(
        warehouse,
        [
            send("s1", T0),
            update(event("Email Link Clicked", T0, channel="email", send_id="s1")),
            update(event("Page Viewed", T0 + HOUR)),
            update(event("Order Completed", T0 + 2 * HOUR, channel="")),
        ],
    )
    assert shares(warehouse, "last", asked=Nodes(rules=rules)) == {"web": 1, "email": 0}
    assert shares(warehouse, "last_non_direct", asked=Nodes(rules=rules)) == {"email": 1, "web": 0}
    tagged = TouchRules(rules.sessions, source="'newsletter'")
    assert shares(warehouse, "last_non_direct", asked=Nodes(rules=tagged)) == {"web": 1, "email": 0}
    assert shares(warehouse, "last", asked=Nodes("campaign", rules)) == {"(none)": 1, "welcome": 0}


def test_the_chain_of_a_textbook() -> None:
    """Paths a b c > won, a > lost, b c > lost: removal effects 1/2 for a, 1 for b and c, so 20, 40 and 40 %."""
    a, b, c = 1, 2, 3
    chain = Edges()
    for path in ([START, a, b, c, CONVERSION], [START, a, NULL], [START, b, c, NULL]):
        chain.update(pairwise(path))
    assert removal_shares(chain) == pytest.approx({a: 0.2, b: 0.4, c: 0.4})


@given(st.lists(st.tuples(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), st.booleans()), max_size=6))
@settings(max_examples=200, deadline=None)
def test_removal_effects_are_those_of_solving_the_chain_without_each_node(paths: list[tuple[list[str], bool]]) -> None:
    chain = Edges()
    for path, won in paths:
        chain.update(pairwise([START, *map(ord, path), CONVERSION if won else NULL]))
    expected = slow.removal([path for path, won in paths if won], [path for path, won in paths if not won], True)
    if expected:
        assert {chr(node): share for node, share in removal_shares(chain).items()} == pytest.approx(expected)
    else:
        assert not any(removal_shares(chain).values())


def test_paths_without_a_conversion_enter_the_chain_unless_told_not_to(warehouse: Warehouse) -> None:
    line = {"ann": "ab", "bob": "b", "eve": "ba"}
    fill(
        warehouse,
        [
            update(event("T", T0 + n * HOUR, who=f"user_id:{who}", channel=channel))
            for who, channels in line.items()
            for n, channel in enumerate(channels)
        ],
    )
    fill(
        warehouse, [update(event("Order Completed", T0 + DAY, who=f"user_id:{w}", channel="")) for w in ("ann", "bob")]
    )
    with_nulls = slow.removal([["a", "b"], ["b"]], [["b", "a"]], True)
    without = slow.removal([["a", "b"], ["b"]], [], False)
    assert with_nulls != without
    assert shares(warehouse, "markov") == {node: 2 * share for node, share in with_nulls.items()}
    assert shares(warehouse, "markov", Question(30 * DAY, nulls=False)) == {
        n: 2 * share for n, share in without.items()
    }


def test_dates_are_about_conversions_and_touches_reach_back_before_them(shop: Warehouse) -> None:
    assert shares(shop, "first", filters=Filters(since=T0 + 9 * DAY)) == {"ads": 1, "web": 0, "call_centre": 0}
    assert shares(shop, "first", Question(8 * DAY), Filters(since=T0 + 9 * DAY)) == {"call_centre": 1}
    assert credits_of(shop, "first", filters=Filters(until=T0 + 9 * DAY)) == []
    assert shares(shop, "last", Question(1)) == {"(none)": 1}


def test_an_expression_narrows_conversions_and_touches(shop: Warehouse) -> None:
    cheap = Filters(
        since=T0, until=T0 + 10 * DAY, where=cel("event.name != 'Order Completed' || event.properties.total > 200")
    )
    assert shares(shop, "last", filters=cheap) == {}
    no_calls = Filters(since=T0 + DAY, where=cel("event.name != 'Called'"))
    assert shares(shop, "last", filters=no_calls) == {"web": 1, "ads": 0}


def test_costs_and_what_they_bring(shop: Warehouse) -> None:
    fill(shop, [send("s1", T0), send("s2", T0)], first=100)
    found = credits_of(shop, "linear", prices=Prices("UAH", {"email": 10.0}, {}))
    assert [(row.node, row.cost, row.roas) for row in found] == [
        ("ads", None, None),
        ("call_centre", None, None),
        ("web", None, None),
        ("email", 20.0, 0.0),
    ]


def test_costs_go_by_the_clean_names(shop: Warehouse) -> None:
    load_text(shop, "day,channel,amount\n2026-03-01,ads,7\n2026-03-01,ads 2,3\n2026-03-01,web,9\n", "c.csv")
    asked = Nodes(clean=(("^ads.*", "search"),), exclude=frozenset({"web"}))
    assert {row.node: row.cost for row in credits_of(shop, "last", asked=asked)} == {"search": 10, "call_centre": None}


def test_orders_count_once_and_refunds_are_taken_off(warehouse: Warehouse) -> None:
    rule = EventRule("Order Completed", same="properties.order_id", undo=("Order Refunded",))
    fill(
        warehouse,
        [
            update(event("T", T0, channel="ads")),
            *(
                update(event(name, T0 + n * HOUR, channel="", properties={"order_id": "o1", "total": total}))
                for n, (name, total) in enumerate(
                    [("Order Completed", 50), ("Order Completed", 50), ("Order Refunded", 20)], start=1
                )
            ),
        ],
    )
    asked = Asked(("Order Completed",), {"Order Completed": rule})
    found = attribution(warehouse, ("last",), Nodes(), asked, MONTH, Filters(), Prices())
    assert found["last"] == [Credit("ads", 1.0, 30.0, None, None)]


def test_paths_are_expanded_in_several_goes(shop: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(shop, [update(event("Order Completed", T0 + n * DAY, who="user_id:ann", channel="")) for n in range(1, 9)], 50)
    at_once = attribution(shop, MODELS, Nodes(), ORDERS, MONTH, Filters(), Prices())
    monkeypatch.setattr("sinks.clickhouse.paths.attribution._MOST_TOUCHES", 2)
    in_goes = attribution(shop, MODELS, Nodes(), ORDERS, MONTH, Filters(), Prices())
    for model in MODELS:
        assert [row.conversions for row in in_goes[model]] == pytest.approx([row.conversions for row in at_once[model]])


@pytest.mark.parametrize(
    ("model", "question", "told"),
    [
        ("best", MONTH, "linear"),
        ("last", Question(0), "longer than nothing"),
        ("last", Question(DAY, steps=0), "at least 1"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_would(
    warehouse: Warehouse, model: str, question: Question, told: str
) -> None:
    with pytest.raises(BadQuestion, match=told):
        credits_of(warehouse, model, question)
