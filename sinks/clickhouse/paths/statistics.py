"""Tests and intervals for shares of people. Sources stand at each."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, gamma, sqrt

#: 95 % of a normal distribution lie within so many deviations
Z = 1.959963984540054


def interval(successes: int, trials: int) -> tuple[float, float]:
    """The share's 95 % interval by its score: Wilson, JASA 22 (1927). (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    middle = share + Z * Z / (2 * trials)
    reach = Z * sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    scale = 1 + Z * Z / trials
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def difference(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """95 % interval of how much more the first share (successes, trials) is than the second, from their Wilson
    intervals: Newcombe, Statistics in Medicine 17 (1998), method 10. (-1, 1) without trials."""
    if not (first[1] and second[1]):
        return -1.0, 1.0
    a, b = first[0] / first[1], second[0] / second[1]
    (low_a, high_a), (low_b, high_b) = interval(*first), interval(*second)
    return a - b - sqrt((a - low_a) ** 2 + (high_b - b) ** 2), a - b + sqrt((high_a - a) ** 2 + (b - low_b) ** 2)


def p_value(first: tuple[int, int], second: tuple[int, int]) -> float | None:
    """How probable so large a difference of two shares is when there is none: the pooled two-proportion z-test, two
    sides (Fleiss, Statistical Methods for Rates and Proportions, ch. 3). None where nothing can be told."""
    trials = first[1] + second[1]
    if not (first[1] and second[1]):
        return None
    pooled = (first[0] + second[0]) / trials
    deviation = sqrt(pooled * (1 - pooled) * (1 / first[1] + 1 / second[1]))
    if not deviation:
        return None
    return erfc(abs(first[0] / first[1] - second[0] / second[1]) / deviation / sqrt(2))


def ratio_p_value(counts: Sequence[int], shares: Sequence[float]) -> float | None:
    """How probable it is that counts are so far from the shares they were drawn by: Pearson's chi-square, used as the
    sample-ratio check of Fabijan et al., KDD 2019. None for fewer than two arms, or nobody."""
    total, whole = sum(counts), sum(shares)
    if len(counts) < 2 or not total:
        return None
    expected = [total * share / whole for share in shares]
    distance = sum((count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))
    return _chi_square_tail(distance, len(counts) - 1)


def _chi_square_tail(x: float, degrees: int) -> float:
    """P(X > x) by the recurrence Q(a + 1, y) = Q(a, y) + y^a e^-y / gamma(a + 1): Abramowitz and Stegun, 6.5.21."""
    y = x / 2
    a, tail = (0.5, erfc(sqrt(y))) if degrees % 2 else (1.0, exp(-y))
    while a < degrees / 2:
        tail += y**a * exp(-y) / gamma(a + 1)
        a += 1
    return tail
