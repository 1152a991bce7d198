"""Whether a journey runs, is paused or is drained: said with `pathline journeys`, whatever version is in force."""

from __future__ import annotations

from typing import Final

#: people enter and go on
RUNNING: Final = "running"
#: time goes on, and nothing is done to anybody
PAUSED: Final = "paused"
#: nobody enters any more
DRAINING: Final = "draining"

STATES: Final = frozenset({RUNNING, PAUSED, DRAINING})

_KEY = "journey/"


def key(journey: str) -> str:
    """The key of a journey's state in `definitions`; versions of a project have none with a slash."""
    return f"{_KEY}{journey}"


def is_state(key: bytes | None) -> bool:
    """Whether a record of `definitions` under this key is a journey's state."""
    return key is not None and key.startswith(_KEY.encode())
