"""Predictions as SQL: the formulas of `processors.segments.predicting` over a person's orders up to the instant."""

from __future__ import annotations

from pathline.members.measuring import Values, readings
from pathline.members.query import NOW, Query
from schemas.definitions.model import Habits, Prediction

_DAY_MS = 86_400_000
#: of the chances of 1, 2, ... purchases so many are added at most, as in the stage
_MOST = 1 << 17


def predicted(query: Query, asked: Prediction, rounded: bool = False) -> Values:
    """What is predicted of people who bought; `rounded` as a trait has it. Nothing before anything was fitted."""
    value = "predicted"
    if rounded:
        value = "round_to_digits(predicted)" if asked.what == "value" else "round(predicted, 2)"
    ahead = "ever" if asked.ahead is None else f"{asked.ahead / _DAY_MS:g} days"
    found = f"""
        SELECT person_id, toString({value}) AS value
        FROM (SELECT person_id, {_value(asked)} AS predicted FROM ({_orders(query, asked)}))
        WHERE predicted IS NOT NULL
    """
    return Values(query.part(f"predicted {asked.what}", f"{asked.what}, {ahead}", found, ("predicted", asked, rounded)))


def _orders(query: Query, asked: Prediction) -> str:
    """When people bought, in days: `recency` from the first purchase to the last, `age` from the first to now;
    `repeats` are the days of purchases (in UTC) after the first, `valued` those of which their worth is known."""
    return f"""
        SELECT person_id, days - 1 AS repeats, intDiv(last - first, 1000) / 86400 AS recency,
               intDiv({NOW} - first, 1000) / 86400 AS age, valued, worth
        FROM
        (
            SELECT person_id, min(at) AS first, max(at) AS last, uniqExact(intDiv(at, {_DAY_MS})) AS days,
                   uniqExactIf(intDiv(at, {_DAY_MS}), is_number(reading)) AS valued,
                   as_number(sum_of(groupArrayIf(reading, is_number(reading)))) AS worth
            FROM (SELECT *, toUnixTimestamp64Milli(occurred_at) AS at FROM ({readings(query, asked.orders)}))
            GROUP BY person_id
        )"""


def _value(asked: Prediction) -> str:
    nothing = "CAST(NULL, 'Nullable(Float64)')"
    habits = asked.habits
    if habits is None:
        return nothing
    ahead = None if asked.ahead is None else asked.ahead / _DAY_MS
    odds, silence = f"{habits.a} / ({habits.b} + repeats)", f"(age - recency) / ({habits.alpha} + recency)"
    left = f"here({habits.r} + repeats, {odds}, {silence})"
    if asked.what == "value":
        if habits.worth is None or ahead is None:
            return nothing
        p, q, gamma = habits.worth
        worth = f"{p} * ({gamma} + greatest(worth, 0)) / ({p} * valued + {q} - 1)"
        return f"{left} * {_expected(habits, ahead)} * {worth}"
    chance = left
    if ahead is not None:
        chance = f"{left} * -minus_one_exp(-({habits.r} + repeats) * log1p({ahead} / ({habits.alpha} + age)))"
    return f"1 - {chance}" if asked.what == "churn" else chance


def _expected(habits: Habits, ahead: float) -> str:
    """Days of purchases to be expected of somebody who is not lost: the chance that there are n if nobody were ever
    lost, times how many of n the customer stays for, summed up over n."""
    more, share = f"({habits.r} + repeats)", f"({ahead} / ({habits.alpha} + age + {ahead}))"
    mean = f"({more} * {ahead} / ({habits.alpha} + age))"
    size = f"least({_MOST}, toUInt64(2 * ({mean} + 10 * sqrt({mean} * (1 + {ahead} / ({habits.alpha} + age))) + 64)))"
    ways = f"arrayCumSum(arrayMap(n -> log(({more} + n - 1) / n), range(1, {size} + 1)))"
    staying = f"log(({habits.b} + repeats + n) / ({habits.a + habits.b} + repeats + n))"
    keeps = f"arrayMap(k -> exp(k), arrayCumSum(arrayMap(n -> {staying}, range(1, {size}))))"
    stays = f"arrayCumSum(arrayPushFront({keeps}, 1.))"
    each = f"exp(way + n * log({share}) + {more} * log1p(-{share})) * stay"
    return f"arraySum(arrayMap((way, stay, n) -> {each}, {ways}, {stays}, range(1, {size} + 1)))"
