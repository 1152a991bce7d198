"""What a person who bought will do next, from its orders and from how people buy.

A customer buys at random, at a rate of its own, and after each day of purchases (the first one too) it may be lost for
good, with a probability of its own: the MBG/NBD model of Batislam, Denizel and Filiztekin, *Empirical validation and
comparison of models for customer base analysis* (IJRM 24, 2007), and Hoppe and Wagner (*Marketing ZFP* 29, 2007). What
a day of purchases is worth is the Gamma-Gamma model of Fader and Hardie (2013). As in these papers the purchases of one
day (in UTC here) are one, and `T` is the time since the first.

While orders neither come nor go, all three predictions go one way: the purchase becomes less likely and the value less,
churn more likely. So the instant at which one of them reaches a number is found by bisection. Time goes by in whole
seconds since the first order: within a second nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import exp, expm1, floor, log, log1p, log10

import numpy as np
from numpy.typing import NDArray

from processors.segments.gauges import Orders, whole
from processors.segments.measures import Live, amount
from schemas.definitions.model import Habits, Prediction
from schemas.records import LATEST

_SECOND = 1_000
_DAY_MS = 86_400_000
_DAY = _DAY_MS // _SECOND
#: Of the chances of 1, 2, ... purchases so many are added at most: beyond it nothing is left of any horizon.
_MOST = 1 << 17
_NEGLIGIBLE = 1e-16


def orders(asked: Prediction, live: Iterable[Live], now: int) -> tuple[Orders | None, int | None]:
    """(the orders at `now`, None of somebody who did not buy; the next instant at which some come or go)."""
    return amount(asked.orders, live, now, lambda gauge: gauge.value)


def predicted(asked: Prediction, bought: Orders | None, now: int) -> float | None:
    """The prediction at an instant; None of somebody who did not buy, and when nothing was fitted."""
    return None if bought is None else _predicted(asked, bought, _age(bought, now))


def told(asked: Prediction, value: float | None) -> float | None:
    """A prediction as a trait has it: probabilities in hundredths, values to two digits, none below a hundredth."""
    if value is None:
        return None
    digits = 2 if asked.what != "value" or value < 10 else 1 - floor(log10(value))
    return whole(round(value, digits))


def changing(asked: Prediction, bought: Orders | None, now: int, seen: Callable[[float | None], object]) -> int | None:
    """The first instant after `now` at which `seen` of the prediction is another by time alone; None when it never is.

    `seen` goes one way where the prediction does: a comparison, a rounded number.
    """
    if bought is None or asked.habits is None:
        return None
    low, high = _age(bought, now), (LATEST - bought.first) // _SECOND
    present = seen(_predicted(asked, bought, low))
    if seen(_predicted(asked, bought, high)) == present:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if seen(_predicted(asked, bought, middle)) == present:
            low = middle
        else:
            high = middle
    return bought.first + high * _SECOND


def chance(habits: Habits, repeats: int, recency: float, age: float, ahead: float | None) -> float:
    """Probability of a purchase in the next `ahead` days (None: ever, which is that the customer is not lost).

    `repeats` are the days of purchases after the first, `recency` is from the first to the last, `age` from the first
    to now, both in days.
    """
    more = habits.r + repeats
    odds = log(habits.a / (habits.b + repeats)) + more * log1p((age - recency) / (habits.alpha + recency))
    left = 1 / (1 + exp(odds)) if odds < 700 else 0.0
    return left if ahead is None else left * -expm1(-more * log1p(ahead / (habits.alpha + age)))


def expected(habits: Habits, repeats: int, age: float, ahead: float) -> float:
    """Expected days of purchases in the next `ahead` days of a customer who is not lost.

    If nobody were ever lost, their number would be negative binomial. The chance that there are n, times how many of n
    the customer stays for, summed up over n: all terms are positive, so nothing cancels out, as it does in the formula
    with hypergeometric functions where a is near 1.
    """
    more, share = habits.r + repeats, ahead / (habits.alpha + age + ahead)
    mean = more * ahead / (habits.alpha + age)
    size = 1 << int(mean + 10 * (mean * (1 + ahead / (habits.alpha + age))) ** 0.5 + 64).bit_length()
    while True:
        ways, stays, numbers = _ladder(habits, repeats, size := min(size, _MOST))
        terms = np.exp(ways + numbers * log(share) + more * log1p(-share)) * stays
        total = float(terms.sum())
        if size == _MOST or terms[-1] * size <= total * _NEGLIGIBLE:
            return total
        size *= 2


def worth(habits: Habits, valued: int, total: float) -> float:
    """What a day of purchases is expected to be worth, of a person who bought for `total` on `valued` days."""
    assert habits.worth is not None
    p, q, gamma = habits.worth
    return p * (gamma + max(total, 0.0)) / (p * valued + q - 1)


def _age(bought: Orders, now: int) -> int:
    return (now - bought.first) // _SECOND


def _predicted(asked: Prediction, bought: Orders, age: int) -> float | None:
    habits = asked.habits
    if habits is None:
        return None
    repeats, recency, days = bought.days - 1, (bought.last - bought.first) // _SECOND / _DAY, age / _DAY
    ahead = None if asked.ahead is None else asked.ahead / _DAY_MS
    if asked.what == "purchase":
        return chance(habits, repeats, recency, days, ahead)
    if asked.what == "churn":
        return 1 - chance(habits, repeats, recency, days, ahead)
    if habits.worth is None or ahead is None:
        return None
    left = chance(habits, repeats, recency, days, None)
    return left * expected(habits, repeats, days, ahead) * worth(habits, bought.valued, bought.worth)


_Floats = NDArray[np.float64]


@lru_cache(maxsize=512)
def _ladder(habits: Habits, repeats: int, size: int) -> tuple[_Floats, _Floats, _Floats]:
    """For n = 1, 2, ...: logarithm of the ways to n purchases, how many of n a customer stays for, and n."""
    numbers = np.arange(1, size + 1, dtype=np.float64)
    ways = np.cumsum(np.log((habits.r + repeats + numbers - 1) / numbers))
    keeps = habits.b + repeats + numbers[:-1]
    stays = np.cumsum(np.concatenate(([1.0], np.cumprod(keeps / (habits.a + keeps)))))
    return ways, stays, numbers
