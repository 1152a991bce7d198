"""How many examples property tests take whose examples are dear: few in `make test`, many with
`--hypothesis-profile explore`."""

from hypothesis import settings

MANY = 20


def few(count: int) -> settings:
    """Settings for so many examples."""
    exploring = settings.get_current_profile_name() == "explore"
    return settings(max_examples=count * MANY if exploring else count, deadline=None)
