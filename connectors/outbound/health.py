"""Whether a provider works: a circuit breaker, as a value.

After some failures in a row nothing is handed over for a while; then one message is tried, and as long as that fails
the pauses grow. A provider that says how long it wants to be left alone is left alone for so long.
"""

from __future__ import annotations

from msgspec.structs import replace

from connectors.outbound.channel import Outcome
from connectors.outbound.state import Health

#: failures in a row that open the breaker
FAILURES = 5
#: wall seconds it stays open, time after time
OPEN_SECONDS = (5, 15, 30, 60, 120, 300)


def after(health: Health, outcome: Outcome, now: int, wall: float) -> Health:
    """The provider's health after an outcome at line time `now`; `wall` is line milliseconds per wall millisecond."""
    if outcome.kind not in ("away", "ambiguous"):
        # a message that went out before the pause says nothing about the provider now
        return health if health.until > now else Health()
    if outcome.retry_after:
        until = max(health.until, now + int(outcome.retry_after * 1000 * wall))
        return replace(health, until=until, why=outcome.detail)
    if health.until > now:
        return health
    failures = health.failures + 1
    if failures < FAILURES and not health.trips:
        return replace(health, failures=failures, why=outcome.detail)
    seconds = OPEN_SECONDS[min(health.trips, len(OPEN_SECONDS) - 1)]
    return Health(failures, now + int(seconds * 1000 * wall), health.trips + 1, outcome.detail)
