"""Predictions: the instant at which time alone changes an answer, exact to the second, through merges and refunds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.segments.model import PEOPLE
from processors.segments.predicting import chance, expected, told, worth
from schemas.definitions.model import (
    All,
    EventRule,
    Habits,
    InSegment,
    Measure,
    Not,
    Prediction,
    Predicts,
    Project,
    TraitIs,
)
from tests.examples import few
from tests.segments import buying
from tests.segments.buying import Told, score
from tests.segments.lab import D, H, Line, S, event, project

T = 1_700_000_000_000
HABITS = Habits(0.6, 20.0, 0.8, 2.5, (4.0, 3.5, 30.0))
ORDERS = Measure("orders", ("Order",), "properties.total")
RULE = EventRule("Order", same="properties.order_id", revenue="properties.total", undo=("Refund",))
SLOTS = {"user_id:u#0": "U", "anonymous_id:a#0": "A", "anonymous_id:b#0": "B"}


def prediction(what: Any, ahead: int | None = 30 * D, habits: Habits | None = HABITS) -> Prediction:
    return Prediction(what, ahead, ORDERS, habits)


LIKELY = Predicts(prediction("purchase"), (("at_least", 0.3),))


def shop(**segments: Any) -> Line:
    return Line(project(segments, [RULE]))


def order(at: int, number: int | None = None, total: float | None = 30, name: str = "Order", **more: Any) -> Any:
    said = {"order_id": number, "total": total}
    return event(name, at, properties={key: value for key, value in said.items() if value is not None}, **more)


# --- the formulas ----------------------------------------------------------------------------------------------------

habits = st.builds(
    Habits,
    st.floats(0.1, 5),
    st.floats(5, 60),
    st.floats(0.02, 3).filter(lambda a: abs(a - 1) > 0.01),
    st.floats(0.5, 20),
)


@settings(deadline=None)
@given(habits, st.integers(0, 60), st.floats(0, 300), st.floats(0, 500), st.floats(1, 90))
def test_chance_and_number_of_purchases_are_those_of_the_papers(
    by: Habits, repeats: int, recency: float, silence: float, ahead: float
) -> None:
    age = recency + silence
    likely = chance(by, repeats, recency, age, ahead)
    assert likely == pytest.approx(float(buying.purchase(by, repeats, recency, age, ahead)), rel=1e-9)
    left = chance(by, repeats, recency, age, None)
    assert left == pytest.approx(float(buying.purchase(by, repeats, recency, age, None)), rel=1e-9)
    number = left * expected(by, repeats, age, ahead)
    assert number == pytest.approx(float(buying.purchases(by, repeats, recency, age, ahead)), rel=1e-9)
    assert likely <= min(left, number) * (1 + 1e-12)
    assert chance(by, repeats, recency, age + 1, ahead) <= likely, "it becomes less likely with time"


def test_the_customer_of_the_paper() -> None:
    """CDNOW, in weeks: with the estimates of Batislam et al. (2007) for MBG/NBD the customer with 2 repeat purchases,
    the last in week 30.43 of 38.86, is expected to buy about as often in 39 more weeks as Fader, Hardie and Lee (2005)
    find by BG/NBD: 1.226 times."""
    cdnow = Habits(0.525, 6.183, 0.891, 1.614)
    number = chance(cdnow, 2, 30.43, 38.86, None) * expected(cdnow, 2, 38.86, 39)
    assert number == pytest.approx(1.226, abs=0.05)


def test_the_number_has_no_hole_where_a_is_1_and_ends_where_nobody_buys_so_often() -> None:
    around = [expected(Habits(1, 10, a, 3), 4, 50, 90) for a in (1 - 1e-9, 1, 1 + 1e-9)]
    assert around[0] == pytest.approx(around[1], rel=1e-8)
    assert around[2] == pytest.approx(around[1], rel=1e-8)
    never_lost = Habits(2, 10, 1e-9, 5)
    assert expected(never_lost, 700, 40, 3_650) == pytest.approx(702 / 50 * 3_650, rel=1e-5)


def test_what_is_expected_of_a_purchase_lies_between_the_own_mean_and_that_of_all() -> None:
    everybody = worth(HABITS, 0, 0)
    assert everybody == pytest.approx(4 * 30 / 2.5)
    assert everybody < worth(HABITS, 1, 100) < worth(HABITS, 10, 1_000) < 100
    assert worth(HABITS, 3, -5) == worth(HABITS, 3, 0) > 0


def test_as_a_trait_a_prediction_has_two_digits() -> None:
    value, likely = prediction("value"), prediction("purchase")
    assert [told(value, v) for v in (1_234.5, 99.6, 12.5, 9.994, 0.126, 0.001)] == [1_200, 100, 12, 9.99, 0.13, 0]
    assert [told(likely, v) for v in (0.6249, 1.0, 0.0049, None)] == [0.62, 1, 0, None]


# --- in the stage ----------------------------------------------------------------------------------------------------


def test_a_purchase_becomes_unlikely_at_the_second_and_likely_again_with_the_next_order() -> None:
    line = shop(likely=LIKELY)
    line.happen(event("View", T), order(T + H + 7, 1), order(T + D, 2))
    line.until(T + 100 * D)
    line.happen(order(T + 100 * D, 3))
    entered, left, again = line.story("likely")
    assert entered == (T + H + 7, "entered", "event")
    assert again == (T + 100 * D, "entered", "event")
    at, change, cause = left
    assert (change, cause) == ("left", "timer")
    assert (at - T - H - 7) % S == 0, "a whole second after the first order"
    events = [Told("", "Order", T + H + 7, T, 1, "1", 30), Told("", "Order", T + D, T, 2, "2", 30)]
    before, after = (score(LIKELY.prediction, events, instant) for instant in (at - 1, at))
    assert before is not None
    assert after is not None
    assert before >= 0.3 > after
    reasons = [c.reason for _, c in line.changes]
    assert reasons[0].startswith("Order; purchase within 30d: 0.")
    assert reasons[1] == "purchase within 30d: 0.3"


def test_churn_and_value_turn_to_the_second_too_and_who_never_bought_is_in_none() -> None:
    line = shop(
        lost=Predicts(prediction("churn", None), (("at_least", 0.7),)),
        silent=Predicts(prediction("churn", 60 * D), (("at_least", 0.7),)),
        dear=Predicts(prediction("value", 90 * D), (("at_least", 40),)),
        cheap=Predicts(prediction("value", 90 * D), (("at_most", 5), ("at_least", 1))),
    )
    line.happen(event("View", T))
    line.until(T + 100 * D)
    assert line.changes == []
    line.happen(order(T + 100 * D, 1), order(T + 120 * D, 2), order(T + 130 * D, 3, 80))
    line.until(T + 5_000 * D)
    events = [Told("", "Order", T + d * D, T, n, str(n), a) for n, d, a in ((1, 100, 30), (2, 120, 30), (3, 130, 80))]
    for name, condition in (("lost", "churn"), ("silent", "churn"), ("dear", "value"), ("cheap", "value")):
        at, _, cause = line.story(name)[-1]
        assert cause == "timer", name
        asked = next(s.when for s in line.source.latest().segments.values() if s.name == name)
        assert isinstance(asked, Predicts)
        assert asked.prediction.what == condition
        sides = [_holds(asked, events, instant) for instant in (at - 1, at)]
        assert sides[0] != sides[1], name
    assert [change for _, change, _ in line.story("cheap")] == ["entered", "left"]


def test_nothing_is_predicted_before_it_was_fitted_and_a_new_fit_asks_for_no_history() -> None:
    def asking(by: Habits | None, version: str) -> Project:
        segments = {"likely": Predicts(prediction("purchase", habits=by), (("at_least", 0.3),))}
        return project(segments, [RULE], version=version)

    line = Line(asking(None, "v1"), asking(HABITS, "v2"), asking(replace(HABITS, alpha=400.0), "v3"), history=True)
    line.apply("v1", T)
    line.happen(order(T + 1, 1), order(T + D, 2))
    assert line.story("likely") == []
    line.apply("v2", T + 2 * D)
    line.until(T + 2 * D + 1)
    line.apply("v3", T + 2 * D + 2)
    line.until(T + 2 * D + 3)
    assert line.story("likely") == [(T + 2 * D, "entered", "definition"), (T + 2 * D + 2, "left", "definition")]


def test_as_a_trait_it_changes_at_the_second_and_conditions_ask_it() -> None:
    traits: Any = {"chance": prediction("purchase"), "worth": prediction("value", 90 * D)}
    line = Line(project({"hot": TraitIs("chance", "at_least", 0.4)}, [RULE], traits=traits))
    line.happen(event("View", T))
    assert line.profile()["traits"] == {}
    line.happen(order(T + D, 1), order(T + 4 * D, 2))
    line.until(T + 400 * D)
    events = [Told("", "Order", T + d * D, T, n, str(n), 30) for n, d in ((1, 1), (2, 4))]
    profiles = [(u.at, orjson.loads(u.profile)["traits"]) for u in line.updates if u.profile is not None]
    assert len(profiles) > 20
    for at, values in profiles[3:]:
        for name, asked in traits.items():
            assert values[name] == told(asked, score(asked, events, at)), (name, at)
        before = {name: told(asked, score(asked, events, at - 1)) for name, asked in traits.items()}
        assert before != values, "the profile travels only when it changed"
    changed = [change for _, change, _ in line.story("hot")]
    assert changed == ["entered", "left"]
    assert line.profile()["traits"]["chance"] < 0.05


def test_only_orders_are_kept_and_only_when_something_is_predicted() -> None:
    for asked, kept in (({"likely": LIKELY}, 2), ({}, 0)):
        line = Line(project(asked, [EventRule("Order", revenue="properties.total")]))
        line.happen(event("View", T), order(T + 1, total=5), order(T + 2, total=None))
        state = line.person().slots.held["user_id:u1#0"].state
        assert state is not None
        assert [len(readings) for readings in state.measured.values()] == ([kept] if kept else [])


# --- against the raw events ------------------------------------------------------------------------------------------

predictions = st.one_of(
    st.builds(prediction, st.sampled_from(["purchase", "churn"]), st.sampled_from([5 * D, 30 * D, 90 * D, None])),
    st.builds(prediction, st.just("value"), st.sampled_from([10 * D, 60 * D])),
)


@st.composite
def compared(draw: st.DrawFn) -> Predicts:
    asked = draw(predictions)
    numbers = [2, 10, 25, 60, 120] if asked.what == "value" else [0.05, 0.2, 0.35, 0.5, 0.8]
    low, high = sorted(draw(st.lists(st.sampled_from(numbers), min_size=2, max_size=2, unique=True)))
    tests = {
        "least": (("at_least", low),),
        "most": (("at_most", high),),
        "both": (("at_least", low), ("at_most", high)),
    }
    return Predicts(asked, tests[draw(st.sampled_from(sorted(tests)))])


@st.composite
def histories(draw: st.DrawFn, moves: bool = True) -> tuple[dict[str, Any], Prediction, list[dict[str, Any]]]:
    one, two = draw(compared()), draw(compared())
    step = st.fixed_dictionaries(
        {
            "slot": st.sampled_from(sorted(SLOTS)),
            "name": st.sampled_from(["Order", "Order", "Order", "Refund", *(["Move"] if moves else [])]),
            "to": st.sampled_from(sorted(set(SLOTS.values()))),
            "late": st.sampled_from([0, 0, 0, 3 * H, 9 * D, -2 * D]),
            "order": st.sampled_from(["1", "2", "3", None]),
            "amount": st.sampled_from([30, 12.5, 60, None]),
            "wait": st.sampled_from([0, 1, 999, 7 * H, 3 * D, 20 * D + 1, 70 * D]),
        }
    )
    segments = {"one": one, "two": All((two, Not(InSegment("one"))))}
    return segments, draw(predictions), draw(st.lists(step, min_size=2, max_size=12))


class Story:
    """Plays steps on the stage, and remembers who had what from when on."""

    def __init__(self, segments: dict[str, Any], trait: Prediction) -> None:
        self.segments, self.trait = segments, trait
        traits: Any = {"predicted": trait}
        self.line = Line(project(segments, [RULE], traits=traits))
        self.now = T
        self.homes = dict(SLOTS)
        self.versions = dict.fromkeys(SLOTS, 1)
        self.events: list[Told] = []
        self.epochs: list[tuple[int, dict[str, list[Told]]]] = []

    def play(self, script: list[dict[str, Any]]) -> None:
        for number, step in enumerate(script):
            self.now += step["wait"]
            if step["name"] == "Move":
                self.move(step["slot"], step["to"])
            else:
                self._event(number, step)
            self._remember()
        self.line.until(self.now + 300 * D)

    def move(self, slot: str, to: str) -> None:
        if self.homes[slot] == to:
            return
        self.versions[slot] += 1
        self.line.until(self.now - 1)
        self.line.move(self.homes[slot], to, {slot: self.versions[slot]}, at=self.now)
        self.homes[slot] = to

    def _event(self, number: int, step: dict[str, Any]) -> None:
        slot, at = step["slot"], self.now - step["late"]
        named = step["order"] if step["name"] == "Order" else step["order"] or "1"
        self.events.append(Told(slot, step["name"], at, self.now, number, named, step["amount"]))
        said = order(at, named, step["amount"], step["name"], received_at=self.now, event_id=f"{number:03d}")
        self.line.happen(
            replace_identifiers(said, slot), person=self.homes[slot], slot=slot, version=self.versions[slot]
        )

    def _remember(self) -> None:
        owned: dict[str, list[Told]] = defaultdict(list)
        for one in self.events:
            owned[self.homes[one.slot]].append(one)
        self.epochs.append((self.now, owned))

    def owned(self, person: str, instant: int) -> list[Told]:
        return next((owned[person] for since, owned in reversed(self.epochs) if since <= instant), [])

    def check(self) -> None:
        for person in set(SLOTS.values()):
            changes = [(c.at, c.segment, c.change) for who, c in self.line.changes if who == person]
            profiles = [
                (u.at, orjson.loads(u.profile)["traits"])
                for u in self.line.updates
                if u.person_id == person and u.profile is not None
            ]
            # a rounded trait changes hundreds of times: every fourth of them
            edges = {at for at, *_ in [*changes, *profiles[::4]]} | {since for since, _ in self.epochs}
            edges |= {one.at for one in self.events} | {self.now + d * D for d in (1, 9, 40, 160, 299)}
            for instant in sorted({at + side for at in edges if at >= T for side in (-1, 0, S)}):
                events = [e for e in self.owned(person, instant) if e.received_at <= instant]
                if not events:
                    continue
                inside = set[str]()
                for at, segment, change in changes:
                    if at <= instant:
                        (inside.add if change == "entered" else inside.remove)(segment)
                assert inside == _members(self.segments, events, instant), f"{person} at {instant - T}"
                shown = [traits for at, traits in profiles if at <= instant][-1].get("predicted")
                assert shown == told(self.trait, score(self.trait, events, instant)), f"{person} at {instant - T}"


def replace_identifiers(said: Any, slot: str) -> Any:
    said.identifiers[:] = [slot.partition("#")[0]]
    return said


def _members(segments: dict[str, Any], events: list[Told], instant: int) -> set[str]:
    one, two = segments["one"], segments["two"].of[0]
    found = {"one"} if _holds(one, events, instant) else set[str]()
    return found | ({"two"} if not found and _holds(two, events, instant) else set())


def _holds(asked: Predicts, events: list[Told], instant: int) -> bool:
    value = score(asked.prediction, events, instant)
    return value is not None and all(value >= n if op == "at_least" else value <= n for op, n in asked.tests)


@few(5)
@given(histories())
def test_at_every_instant_that_matters_the_answer_is_that_of_the_raw_events(
    drawn: tuple[dict[str, Any], Prediction, list[dict[str, Any]]],
) -> None:
    segments, trait, script = drawn
    story = Story(segments, trait)
    story.play(script)
    story.check()


@few(8)
@given(histories(moves=False))
def test_a_history_over_linked_identifiers_ends_like_the_same_history_under_one(
    drawn: tuple[dict[str, Any], Prediction, list[dict[str, Any]]],
) -> None:
    segments, trait, script = drawn
    spread, single = Story(segments, trait), Story(segments, trait)
    for number, step in enumerate(script):
        for story, slot in ((spread, step["slot"]), (single, "user_id:u#0")):
            story.now += step["wait"]
            story._event(number, {**step, "slot": slot})
    spread.now += 1
    for slot in SLOTS:
        spread.move(slot, "U")
    for after in (2, D, 30 * D, 300 * D):
        for story in (spread, single):
            story.line.until(spread.now + after)
        ends = [story.line.line.state("segments", PEOPLE, "U") for story in (spread, single)]
        assert all(ends)
        assert {(*end.member, *sorted(end.computed.items())) for end in ends if end is not None} == {
            (*ends[1].member, *sorted(ends[1].computed.items()))
        }
