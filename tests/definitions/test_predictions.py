"""What a project says of predictions, and what is missing while nothing was fitted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions import parse
from schemas.definitions.advice import advice
from schemas.definitions.durations import UNITS
from schemas.definitions.model import Best, Habits, Measure, Prediction, Predicts, Project
from schemas.definitions.predictions import written

LIKELY = {"segments/likely.yaml": "when: {predicts: {purchase: 30d, at_least: 0.6}}"}
DEAR = {"traits/dear.yaml": "predicts: {value: 90d}"}
PURCHASES, VALUES = "purchases: {r: 0.5, alpha: 20, a: 0.8, b: 2}\n", "values: {p: 4, q: 3.5, gamma: 30}\n"
FITTED = {"predict_parameters.yaml": PURCHASES + VALUES}
DAY = UNITS["d"]


def shop(*parts: dict[str, str], **files: str) -> Project:
    texts = {"project.yaml": "name: shop"}
    for part in (*parts, files):
        texts |= part
    return parse(texts)


def notes(project: Project) -> str:
    return str([note for note in advice(project) if "predict" in note])


def test_what_is_predicted_follows_from_the_project() -> None:
    rules = {"events.yaml": "Paid: {revenue: properties.amount}\nSeen: {same: properties.id}\n"}
    made = shop(LIKELY, DEAR, FITTED, rules)
    orders, habits = Measure("orders", ("Paid",), "properties.amount"), Habits(0.5, 20, 0.8, 2, (4, 3.5, 30))
    asked = Prediction("purchase", 30 * DAY, orders, habits)
    assert made.segments["likely"].when == Predicts(asked, (("at_least", 0.6),))
    assert made.traits["dear"].measure == Prediction("value", 90 * DAY, orders, habits)
    own = shop(LIKELY, rules, {"predict.yaml": "event: [Bought, Booked]\nof: properties.price\n"}).predicting
    assert (own.events, own.of, own.habits) == (("Bought", "Booked"), "properties.price", None)
    assert shop(LIKELY).predicting.events == ("Order Completed",)


def test_ever_is_a_time_ahead_too() -> None:
    made = shop({"segments/lost.yaml": "when: {predicts: {churn: ever, at_least: 0.5, at_most: 0.9}}"})
    when = made.segments["lost"].when
    assert isinstance(when, Predicts)
    assert (when.prediction.ahead, when.tests) == (None, (("at_least", 0.5), ("at_most", 0.9)))


def test_check_says_what_was_not_fitted_and_which_files_ask_for_it() -> None:
    branch = "enter: {event: A}\nsteps: [{branch: [{when: {predicts: {churn: 60d, at_least: 0.7}}, steps: []}]}]"
    told = notes(shop(LIKELY, DEAR, {"journeys/j.yaml": branch}))
    assert "until how people buy is known: run `pathline predict fit`" in told
    assert "(journeys/j.yaml, segments/likely.yaml, traits/dear.yaml)" in told
    assert notes(shop(LIKELY, DEAR, FITTED)) == "[]"
    assert notes(shop()) == "[]"
    without = {"predict_parameters.yaml": PURCHASES}
    assert "until what purchases are worth is known" in notes(shop(LIKELY, DEAR, without))
    assert "(traits/dear.yaml)" in notes(shop(LIKELY, DEAR, without))


def test_the_best_hour_and_channel_are_computed_traits() -> None:
    made = shop({"traits/hour.yaml": "best: hour", "traits/channel.yaml": "best: channel"})
    assert {name: trait.measure for name, trait in made.traits.items()} == {
        "hour": Best("hour"),
        "channel": Best("channel"),
    }


positive = st.floats(1e-6, 1e6)


@given(st.builds(Habits, positive, positive, positive, positive, st.none() | st.tuples(positive, positive, positive)))
def test_what_was_fitted_is_read_as_it_was_written(habits: Habits) -> None:
    if habits.worth is not None:
        habits = Habits(*(getattr(habits, n) for n in ("r", "alpha", "a", "b")), (1.0, 1 + habits.worth[1], 2.0))
    assert shop({"predict_parameters.yaml": written(habits, "now of 7 people")}).predicting.habits == habits
