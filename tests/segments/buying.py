"""The slow, obvious evaluator of predictions: all raw events of a person, and the formulas as the papers have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from schemas.definitions.model import Habits, Prediction

DAY_MS, SECOND = 86_400_000, 1_000


@dataclass(frozen=True)
class Told:
    """An order (or what takes it back) as it was received; `order` is None when it has no name."""

    slot: str
    name: str
    at: int
    received_at: int
    number: int
    order: str | None = None
    amount: float | None = None


def score(asked: Prediction, events: Sequence[Told], now: int) -> float | None:
    """The prediction at an instant, from everything that was told until then."""
    orders = _orders(events, now)
    if not orders or asked.habits is None:
        return None
    first, last = min(at for at, _ in orders), max(at for at, _ in orders)
    days = len({at // DAY_MS for at, _ in orders})
    recency, age = ((last - first) // SECOND / 86_400, (now - first) // SECOND / 86_400)
    ahead = None if asked.ahead is None else asked.ahead / DAY_MS
    with localcontext() as context:
        context.prec = 40
        if asked.what != "value":
            chance = purchase(asked.habits, days - 1, recency, age, ahead)
            return float(chance if asked.what == "purchase" else 1 - chance)
        assert asked.habits.worth is not None
        assert ahead is not None
        p, q, gamma = (Decimal(value) for value in asked.habits.worth)
        valued = {at // DAY_MS for at, amount in orders if amount is not None}
        total = max(Decimal(0), sum((Decimal(str(a)) for _, a in orders if a is not None), Decimal(0)))
        each = p * (gamma + total) / (p * len(valued) + q - 1)
        return float(purchases(asked.habits, days - 1, recency, age, ahead) * each)


def purchase(habits: Habits, x: int, tx: float, age: float, ahead: float | None) -> Decimal:
    """1 - the likelihood of no purchase in the time ahead too, over the likelihood of what happened."""
    stayed = _stayed(habits, x, age)
    went = _went(habits, x, tx)
    later = Decimal(0) if ahead is None else _stayed(habits, x, age + ahead)
    return 1 - (later + went) / (stayed + went)


def purchases(habits: Habits, x: int, tx: float, age: float, ahead: float) -> Decimal:
    """The expected number with the hypergeometric function, as derived for MBG/NBD."""
    r, alpha, a, b = _numbers(habits)
    t, passed = Decimal(ahead), Decimal(age)
    left = _stayed(habits, x, age) / (_stayed(habits, x, age) + _went(habits, x, tx))
    z = t / (alpha + passed + t)
    series = hypergeometric(r + x, b + x + 1, a + b + x, z)
    return left * (a + b + x) / (a - 1) * (1 - (1 - z) ** (r + x) * series)


def hypergeometric(a: Decimal, b: Decimal, c: Decimal, z: Decimal) -> Decimal:
    """2F1 by its series, 0 <= z < 1."""
    term = total = Decimal(1)
    n = 0
    while abs(term) > Decimal("1e-30") * abs(total):
        term *= (a + n) * (b + n) / (c + n) / (n + 1) * z
        total += term
        n += 1
    return total


def _stayed(habits: Habits, x: int, age: float) -> Decimal:
    """Of the likelihood what belongs to a customer who is still there, without what both have: the chance to stay after
    each of x + 1 purchases, B(a, b + x + 1)/B(a, b), over (alpha + T)^(r + x)."""
    r, alpha, a, b = _numbers(habits)
    stays = Decimal(1)
    for n in range(x + 1):
        stays *= (b + n) / (a + b + n)
    return stays / (alpha + Decimal(age)) ** (r + x)


def _went(habits: Habits, x: int, tx: float) -> Decimal:
    """And of one who was lost at the last purchase: B(a + 1, b + x)/B(a, b) over (alpha + tx)^(r + x)."""
    r, alpha, a, b = _numbers(habits)
    stays = a / (a + b + x)
    for n in range(x):
        stays *= (b + n) / (a + b + n)
    return stays / (alpha + Decimal(tx)) ** (r + x)


def _numbers(habits: Habits) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return Decimal(habits.r), Decimal(habits.alpha), Decimal(habits.a), Decimal(habits.b)


def _orders(events: Sequence[Told], now: int) -> list[tuple[int, float | None]]:
    """(when, what is left of its amount) of the orders that stand at an instant."""
    known = [e for e in events if e.received_at <= now]
    found: list[tuple[int, float | None]] = []
    for e in known:
        if e.name == "Order" and e.order is None and e.at <= now:
            found.append((e.at, e.amount))
    for order in {e.order for e in known if e.name == "Order" and e.order is not None}:
        reports = sorted((e for e in known if e.name == "Order" and e.order == order), key=lambda e: (e.at, e.number))
        worth = next((e.amount for e in reports if e.amount is not None), None)
        undone = [e for e in known if e.name == "Refund" and e.order == order and e.at <= now]
        taken = sum(e.amount or 0 for e in undone)
        gone = undone and (worth is None or any(e.amount is None for e in undone) or taken >= worth)
        if reports[0].at <= now and not gone:
            found.append((reports[0].at, None if worth is None else worth - taken))
    return found
