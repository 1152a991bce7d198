"""How people buy is found again in what they bought, and the predictions of it come true."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from pathline.commands.predict import as_it_is, for_people
from pathline.errors import UserError
from pathline.predictions import fitting
from pathline.predictions.quality import Quality, cases, measured
from processors.segments.gauges import Orders
from processors.segments.predicting import chance, expected, worth
from schemas.definitions.model import Habits
from tests.predictions.made import DAY_MS, START, bought, people, spent

HABITS = Habits(0.8, 60.0, 0.9, 3.0, (5.0, 4.0, 30.0))
needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="the extra `predict` is not there")


@pytest.fixture(scope="module")
def told() -> dict[str, list[tuple[int, float]]]:
    return people(HABITS, 8_000, 800)


@needs_scipy
def test_the_habits_of_made_people_are_found_again(told: dict[str, Any]) -> None:
    now = START + 500 * DAY_MS
    found = fitting.fitted(bought(told, now).values(), now)
    assert found.worth is not None
    for days, ahead in ((10, 30), (100, 90), (300, 30)):
        for repeats in (0, 3, 9):
            likely = [chance(by, repeats, days / 2 if repeats else 0, days, ahead) for by in (found, HABITS)]
            assert likely[0] == pytest.approx(likely[1], abs=0.03)
            number = [expected(by, repeats, days, ahead) for by in (found, HABITS)]
            assert number[0] == pytest.approx(number[1], rel=0.1)
    for valued, total in ((0, 0.0), (1, 100.0), (5, 300.0)):
        assert worth(found, valued, total) == pytest.approx(worth(HABITS, valued, total), rel=0.05)


@needs_scipy
@pytest.mark.parametrize("ahead", [30, 120])
def test_predictions_of_held_out_time_are_true_on_average_and_better_than_what_is_naive(
    told: dict[str, Any], ahead: int
) -> None:
    now, length = START + 500 * DAY_MS, ahead * DAY_MS
    known = bought(told, now)
    habits = fitting.fitted(known.values(), now)
    held = cases(known, spent(told, now - length, now), spent(told, now, now + length))
    found = list(measured(held, habits, now, length))
    assert [(one.what, one.by) for one in found] == [
        (what, by) for what in ("purchase", "value") for by in ("model", "own rate", "as before", "all alike")
    ]
    for model, *naive in (found[:4], found[4:]):
        assert model.expected == pytest.approx(model.happened, rel=0.07)
        assert all(model.error < one.error for one in naive)
        assert model.ranks is not None
        assert all(model.ranks > (one.ranks or 0) for one in naive)


@needs_scipy
def test_without_amounts_nothing_is_known_of_values(told: dict[str, Any]) -> None:
    now = START + 500 * DAY_MS
    unpriced = [one._replace(valued=0, worth=0.0) for one in bought(told, now).values()]
    assert fitting.fitted(unpriced, now).worth is None
    same = [one._replace(worth=10.0 * one.days) for one in bought(told, now).values()]
    assert fitting.fitted(same, now).worth is None, "of amounts that are all the same nothing can be learnt"


@needs_scipy
def test_of_too_few_people_nothing_is_fitted() -> None:
    once = Orders(START, START, 1, 1, 10.0)
    with pytest.raises(UserError, match="at least 50 people who bought, 10 of them on several days; there are 3 and 0"):
        fitting.fitted([once] * 3, START + DAY_MS)
    with pytest.raises(UserError, match="there are 60 and 0"):
        fitting.fitted([once] * 60, START + DAY_MS)


@needs_scipy
def test_people_who_are_never_lost_and_people_who_all_are_can_be_fitted() -> None:
    now = START + 400 * DAY_MS
    faithful = [Orders(START + n * DAY_MS, now - n % 9 * DAY_MS, 30 + n % 7, 30 + n % 7, 300.0 + n) for n in range(80)]
    assert chance(fitting.fitted(faithful, now), 30, 390, 400, None) > 0.99
    gone = [Orders(START + n * DAY_MS, START + (n + 9) * DAY_MS, 4 + n % 3, 4, 300.0 + n) for n in range(80)]
    assert chance(fitting.fitted(gone, now), 4, 9, 400, None) < 0.05


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "find_spec", lambda name: None)
    with pytest.raises(UserError) as raised:
        fitting.fitted([], START)
    assert str(raised.value) == "Fitting needs SciPy, an extra of Pathline: pip install 'pathline[predict]'"


def test_how_good_a_guess_is() -> None:
    """By hand: four people, of whom two buy again."""
    now, day = START + 10 * DAY_MS, DAY_MS
    known = {name: Orders(START, START + n * day, n + 1, n + 1, 10.0 * (n + 1)) for n, name in enumerate("abcd")}
    held = cases(known, {"b": 4.0, "c": 8.0}, {"c": 20.0, "d": 40.0, "stranger": 9.0})
    found = {(one.what, one.by): one for one in measured(held, HABITS, now, 10 * day)}
    assert found["purchase", "as before"] == Quality("purchase", "as before", 0.5, 0.5, 0.5, 0.5)
    assert found["purchase", "all alike"] == Quality("purchase", "all alike", 0.5, 0.5, 0.25, 0.5)
    assert found["value", "as before"] == Quality("value", "as before", 3.0, 15.0, (4 + 12 + 40) / 4, 2.5 / 4)
    assert found["value", "own rate"].expected == pytest.approx(25.0)
    assert found["value", "own rate"].error == pytest.approx((10 + 20 + 10 + 0) / 4)
    assert found["value", "own rate"].ranks == 1.0, "c and d spent more than half of all, and it is said of them"


def test_probabilities_are_read_as_percentages_and_values_as_amounts() -> None:
    bought, spent = (
        Quality("purchase", "model", 0.53, 0.5604, 0.2476, None),
        Quality("value", "model", 1975.2, 19, 7, 1),
    )
    assert list(for_people(bought).values()) == ["purchase", "model", "53.0%", "56.0%", "0.248", None]
    assert list(for_people(spent).values()) == ["value", "model", "1,975.20", "19.00", "7.00", "1.000"]
    assert as_it_is(bought)["expected"] == 0.53
