"""People who buy as the models say: at a rate of their own, until they are lost."""

from __future__ import annotations

import random

from processors.segments.gauges import Orders
from schemas.definitions.model import Habits

DAY_MS = 86_400_000
START = 1_700_006_400_000  # midnight, UTC


def people(habits: Habits, count: int, days: int, seed: int = 7) -> dict[str, list[tuple[int, float]]]:
    """(when, worth) of the orders of people who first bought in the first half of so many days; in order of time."""
    assert habits.worth is not None
    p, q, gamma = habits.worth
    chance, found = random.Random(seed), dict[str, list[tuple[int, float]]]()
    for number in range(count):
        rate, lost = chance.gammavariate(habits.r, 1 / habits.alpha), chance.betavariate(habits.a, habits.b)
        scale, day = chance.gammavariate(q, 1 / gamma), chance.uniform(0, days / 2)
        orders = []
        while day < days:
            orders.append((START + round(day * DAY_MS), round(chance.gammavariate(p, 1 / scale), 2)))
            if chance.random() < lost:
                break
            day += chance.expovariate(rate)
        found[f"user_id:u{number}"] = orders
    return found


def until(orders: list[tuple[int, float]], now: int) -> Orders | None:
    known = [(at, worth) for at, worth in orders if at <= now]
    if not known:
        return None
    days = len({at // DAY_MS for at, _ in known})
    return Orders(known[0][0], known[-1][0], days, days, sum(worth for _, worth in known))


def bought(told: dict[str, list[tuple[int, float]]], now: int) -> dict[str, Orders]:
    """What was bought up to an instant by everybody who had bought by then."""
    return {key: orders for key, of in told.items() if (orders := until(of, now)) is not None}


def spent(told: dict[str, list[tuple[int, float]]], after: int, upto: int) -> dict[str, float]:
    return {
        key: sum(worth for at, worth in of if after < at <= upto)
        for key, of in told.items()
        if any(after < at <= upto for at, _ in of)
    }
