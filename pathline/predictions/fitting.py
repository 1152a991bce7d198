"""How people buy, found by maximum likelihood in what they bought.

MBG/NBD: Batislam, Denizel and Filiztekin (IJRM 24, 2007); Gamma-Gamma: Fader and Hardie, *The Gamma-Gamma Model of
Monetary Value* (2013). SciPy maximises the likelihoods of these papers; `processors.segments.predicting` says what
follows from the result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from pathline.errors import UserError
from processors.segments.gauges import Orders
from schemas.definitions.model import Habits

Floats = NDArray[np.float64]

#: Of fewer people, and of fewer who came back, nothing can be said of others.
LEAST, LEAST_AGAIN = 50, 10
MISSING = "Fitting needs SciPy, an extra of Pathline: pip install 'pathline[predict]'"
_DAY_MS = 86_400_000
#: Parameters are logarithms while they are looked for. Beyond these bounds people are all alike, or never lost.
_LOW, _HIGH = -12.0, 12.0


def fitted(buyers: Collection[Orders], now: int) -> Habits:
    """How these people buy, as it shows at an instant. Raises UserError when they are too few, or without SciPy."""
    installed()
    again = sum(one.days > 1 for one in buyers)
    if len(buyers) < LEAST or again < LEAST_AGAIN:
        raise UserError(
            f"predictions need at least {LEAST} people who bought, {LEAST_AGAIN} of them on several days; "
            f"there are {len(buyers)} and {again}"
        )
    first, last, days = (np.array([getattr(one, name) for one in buyers], np.float64) for name in Orders._fields[:3])
    purchases = _purchases(days - 1, (last - first) / _DAY_MS, np.maximum(now - first, 0) / _DAY_MS)
    priced = [(one.valued, one.worth) for one in buyers if one.worth > 0]
    return Habits(*purchases, _worth(*np.array(priced, np.float64).T) if _tell(priced) else None)


def _tell(priced: Collection[tuple[int, float]]) -> bool:
    """Whether amounts say how they differ within and between people."""
    several = [(valued, worth) for valued, worth in priced if valued > 1]
    return len(several) >= LEAST_AGAIN and len({worth / valued for valued, worth in priced}) > LEAST_AGAIN


def _purchases(repeats: Floats, recency: Floats, age: Floats) -> tuple[float, float, float, float]:
    """r, alpha, a, b."""
    from scipy.special import betaln, gammaln

    # in units in which people come back after about 1, so that all four are looked for on one scale
    unit = float(age.sum() / (repeats.sum() + len(repeats)))
    recency, age = recency / unit, age / unit

    def misfit(logarithms: Floats) -> float:
        r, alpha, a, b = np.exp(logarithms)
        rate = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
        stayed = betaln(a, b + repeats + 1) - (r + repeats) * np.log(alpha + age)
        went = betaln(a + 1, b + repeats) - (r + repeats) * np.log(alpha + recency)
        return -float(np.mean(rate + np.logaddexp(stayed, went) - betaln(a, b)))

    r, alpha, a, b = np.exp(_smallest(misfit, np.log([1.0, 1.0, 1.0, 5.0])))
    return float(r), float(alpha * unit), float(a), float(b)


def _worth(valued: Floats, worth: Floats) -> tuple[float, float, float]:
    """p, q, gamma; q above 1, without which a mean would not exist."""
    from scipy.special import gammaln

    unit = float(worth.sum() / valued.sum())
    total = worth / unit

    def misfit(logarithms: Floats) -> float:
        p, more, gamma = np.exp(logarithms)
        q, shape = 1 + more, p * valued
        fit = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(gamma)
        return -float(np.mean(fit + shape * np.log(total) - (shape + q) * np.log(gamma + total)))

    p, more, gamma = np.exp(_smallest(misfit, np.log([1.0, 2.0, 1.0])))
    return float(p), float(1 + more), float(gamma * unit)


def installed() -> None:
    """Raises UserError when SciPy is not installed."""
    if find_spec("scipy") is None:
        raise UserError(MISSING)


def _smallest(misfit: Callable[[Floats], float], start: Floats) -> Floats:
    """Where a function is smallest. Raises UserError when it is nowhere finite."""
    from scipy.optimize import minimize

    found = minimize(misfit, start, method="L-BFGS-B", bounds=[(_LOW, _HIGH)] * len(start))
    if not np.isfinite(found.fun):
        raise UserError(f"no parameters fit these orders: {found.message}")
    return np.asarray(found.x, np.float64)
