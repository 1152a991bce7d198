"""Scores by recency, frequency and monetary value: what they ask of orders, and where their bounds come from."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions import parse
from schemas.definitions.advice import advice
from schemas.definitions.durations import duration
from schemas.definitions.model import Bounds, Did, Project
from schemas.definitions.scores import fitted, scored, scoring, written
from tests.segments.lab import D, Line, S, event, project

T = 1_700_000_000_000
NAMES = ("recency", "frequency", "monetary")
BOUNDS = Bounds((40, 20, 10, 5), (1, 2, 3, 5), (10.0, 20.0, 30.0, 60.0))
scores = st.frozensets(st.integers(1, 5), min_size=1)


def shop(bounds: str = "", **files: str) -> Project:
    texts = {"segments/best.yaml": "when: {rfm: {recency: [4, 5], monetary: 5}}", **files}
    return parse({"project.yaml": "name: shop", **texts, **({"rfm_bounds.yaml": bounds} if bounds else {})})


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(NAMES), scores, min_size=1),
    st.lists(st.tuples(st.integers(1, 15), st.sampled_from([5, 10, 35])), min_size=1, max_size=6),
    st.sampled_from([None, 30]),
)
def test_at_every_instant_the_scores_are_those_of_the_orders(
    asked: dict[str, frozenset[int]], orders: list[tuple[int, int]], within: int | None
) -> None:
    by = scoring((), None, within, {})
    condition = scored(asked, type(by)(by.events, by.of, by.window, BOUNDS))
    line, now, times = Line(project({"scored": condition})), T, list[tuple[int, int]]()
    line.happen(event("View", T))
    for number, (wait, total) in enumerate(orders):
        now += wait
        times.append((now, total))
        line.happen(event("Order Completed", now, event_id=str(number), properties={"total": total}))
    line.until(now + 100)
    changes = line.story("scored")
    for instant in range(T, now + 60):
        counting = [(at, total) for at, total in times if at <= instant and (within is None or instant - at < within)]
        inside = sum(1 if change == "entered" else -1 for at, change, _ in changes if at <= instant)
        assert bool(inside) == (
            bool(counting) and all(_score(name, counting, instant) in asked[name] for name in asked)
        )


def _score(name: str, orders: list[tuple[int, int]], now: int) -> int:
    if name == "recency":
        return 1 + sum(now - orders[-1][0] < bound for bound in BOUNDS.recency)
    if name == "frequency":
        return 1 + bisect_right(BOUNDS.frequency, len(orders))
    return 1 + bisect_right(BOUNDS.monetary, sum(total for _, total in orders))


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 9), st.floats(0, 10**6)), min_size=5, max_size=40))
def test_bounds_divide_people_into_fifths(people: list[tuple[int, int, float]]) -> None:
    last, counts, sums = zip(*people, strict=True)
    found = fitted([T - age for age in last], counts, sums, T)
    for values, bounds in (
        (counts, found.frequency),
        (sums, found.monetary),
        ([-age for age in last], [1 - b for b in found.recency]),
    ):
        for score, bound in enumerate(bounds, 2):
            least = -(-len(people) * (6 - score) // 5)
            assert sum(value >= bound for value in values) >= min(least, len(people) * (6 - score) // 5)
    for bound in found.recency:
        assert bound % S == 0
    text = written(found, "now")
    again = shop(text).scoring.bounds
    assert again == found


def test_five_different_people_have_five_different_scores() -> None:
    found = fitted([T - days * D for days in (1, 2, 3, 4, 5)], (5, 4, 3, 2, 1), (50.5, 40, 30, 20, 10), T)
    assert found == Bounds(tuple(days * D + S for days in (4, 3, 2, 1)), (2, 3, 4, 5), (20, 30, 40, 50.5))


def test_without_bounds_it_holds_for_nobody_and_check_says_so() -> None:
    made = shop()
    assert made.segments["best"].when == Did(())
    assert [note for note in advice(made) if "pathline rfm fit" in note and "segments/best.yaml" in note]
    branch = "name: j\nenter: {event: A}\nsteps: [{branch: [{when: {rfm: {frequency: 5}}, steps: [{exit: x}]}]}]"
    assert "journeys/j.yaml" in str(advice(shop(**{"journeys/j.yaml": branch})))
    assert not [
        note
        for note in advice(shop("recency: [4d, 3d, 2d, 1d]\nfrequency: [2, 3, 4, 5]\nmonetary: [2, 3, 4, 5]"))
        if "rfm" in note
    ]


def test_what_is_an_order_follows_from_the_project() -> None:
    rules = {"events.yaml": "Paid: {revenue: properties.amount}\nSeen: {same: properties.id}\n"}
    assert (shop(**rules).scoring.events, shop(**rules).scoring.of) == (("Paid",), "properties.amount")
    own = shop(**rules, **{"rfm.yaml": "event: [Bought, Booked]\nof: properties.price\nwithin: 365d\n"}).scoring
    assert (own.events, own.of, own.window.far) == (("Bought", "Booked"), "properties.price", duration("365d"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recency: [1d, 2d, 3d, 4d]\nfrequency: [1, 2, 3, 4]\nmonetary: [1, 2, 3, 4]", "from the longest time"),
        ("recency: [4d, 3d, 2d, 1d]\nfrequency: [4, 2, 3, 4]\nmonetary: [1, 2, 3, 4]", "frequency goes from the least"),
        ("recency: [4d, 3d]\nfrequency: [1, 2, 3, 4]\nmonetary: [1, 2, 3, 4]", "at least 4 expected, there are 2"),
    ],
)
def test_bounds_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shop(text)
