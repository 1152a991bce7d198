"""How many examples property tests take whose examples are dear: few in `make test`, many with
`--hypothesis-profile explore`."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import HealthCheck, settings

MANY = 20


def few(count: int, but: Collection[HealthCheck] = ()) -> settings:
    """Settings for so many examples, without these health checks."""
    exploring = settings.get_current_profile_name() == "explore"
    return settings(max_examples=count * MANY if exploring else count, deadline=None, suppress_health_check=list(but))
