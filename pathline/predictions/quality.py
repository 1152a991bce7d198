"""How good predictions are: fitted to what was known at an instant, held against what people did afterwards.

Beside the model stand what costs nothing: that a person goes on at its own average rate, that it does again what it did
in the time before of the same length, and that all are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.segments.gauges import Orders
from processors.segments.predicting import predicted
from schemas.definitions.model import Habits, Measure, Prediction

Floats = NDArray[np.float64]
_DAY_MS = 86_400_000
_NOTHING = Measure("orders", ())


@dataclass(frozen=True, slots=True)
class Case:
    """A person who had bought by then, what it spent in the time before of the same length, and after (None: it did
    not buy)."""

    bought: Orders
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """One way to predict: `expected` is the mean of what it says, `happened` the mean of what came. The error is, of
    probabilities, the mean square (Brier, *Monthly Weather Review* 78, 1950), of values the mean difference; `ranks` is
    the chance that of two people who differ the right one has the higher prediction (0.5: none better than lots)."""

    what: str
    by: str
    expected: float
    happened: float
    error: float
    ranks: float | None


def cases(bought: Mapping[str, Orders], before: Mapping[str, float], after: Mapping[str, float]) -> list[Case]:
    """What is known of each person who had bought."""
    return [Case(orders, before.get(key), after.get(key)) for key, orders in bought.items()]


def measured(found: Sequence[Case], habits: Habits, now: int, ahead: int) -> Iterator[Quality]:
    """Purchase and value, by the model and by what is naive, the model first."""
    came = np.array([case.after is not None for case in found], np.float64)
    for by, guess in _purchase(found, habits, now, ahead).items():
        yield _quality("purchase", by, guess, came, lambda error: error**2)
    if habits.worth is not None:
        spent = np.array([case.after or 0.0 for case in found])
        for by, guess in _value(found, habits, now, ahead).items():
            yield _quality("value", by, guess, spent, np.abs)


def _purchase(found: Sequence[Case], habits: Habits, now: int, ahead: int) -> dict[str, Floats]:
    before = np.array([case.before is not None for case in found], np.float64)
    return {
        "model": _model("purchase", found, habits, now, ahead),
        "own rate": -np.expm1(-_rates(found, now) * ahead),
        "as before": before,
        "all alike": np.full(len(found), before.mean()),
    }


def _value(found: Sequence[Case], habits: Habits, now: int, ahead: int) -> dict[str, Floats]:
    before = np.array([case.before or 0.0 for case in found])
    each = np.array([case.bought.worth / max(case.bought.valued, 1) for case in found])
    return {
        "model": _model("value", found, habits, now, ahead),
        "own rate": _rates(found, now) * ahead * each,
        "as before": before,
        "all alike": np.full(len(found), before.mean()),
    }


def _model(what: str, found: Sequence[Case], habits: Habits, now: int, ahead: int) -> Floats:
    asked = Prediction("value" if what == "value" else "purchase", ahead, _NOTHING, habits)
    return np.array([predicted(asked, case.bought, now) for case in found], np.float64)


def _rates(found: Sequence[Case], now: int) -> Floats:
    """Days of purchases a millisecond so far; of somebody new as if it had been here for a day."""
    return np.array([case.bought.days / max(now - case.bought.first, _DAY_MS) for case in found])


def _quality(what: str, by: str, guess: Floats, came: Floats, error: Callable[[Floats], Floats]) -> Quality:
    return Quality(
        what, by, float(guess.mean()), float(came.mean()), float(error(guess - came).mean()), _ranks(guess, came)
    )


def _ranks(guess: Floats, came: Floats) -> float | None:
    """Of all pairs of which one did (or spent) more than the median and the other not, the share in the right order;
    equal predictions are half right. For what either came or not it is the area under the ROC curve."""
    high = came > np.median(came) if len(np.unique(came)) > 2 else came > 0
    above, below = int(high.sum()), int((~high).sum())
    if not above or not below:
        return None
    _, place, counts = np.unique(guess, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[high].sum() - above * (above + 1) / 2) / (above * below))
