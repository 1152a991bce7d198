"""What goes wrong in a campaign, and when: a schedule is a pure function of its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A way in which a process, its disk or the broker fails."""

    KILL = "kill -9"
    BURST = "burst of kills"
    FREEZE = "frozen and thawed"
    TERMINATE = "asked to stop"
    SCALE = "a worker joins, one leaves"
    WIPE = "state folder deleted"
    DISK_FULL = "disk full"
    BROKER_FROZEN = "broker frozen"
    BROKER_KILLED = "broker killed"
    CRASH = "crash point"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `calm` seconds pass before it. `victims` are draws in [0, 1), one for each process that is hit.

    `lasts` is how long a freeze takes, the broker stays away or the extra worker works, in seconds; `gaps` are seconds
    between the kills of a burst; `point` names the crash point.
    """

    kind: Kind
    calm: float
    victims: tuple[float, ...]
    lasts: float = 0.0
    gaps: tuple[float, ...] = ()
    point: str = ""

    def __str__(self) -> str:
        if self.kind is Kind.BURST:
            return f"{self.kind} ({len(self.victims)})"
        if self.point:
            return f"{self.kind}: {self.point}"
        return f"{self.kind} {self.lasts:.1f} s" if self.lasts else str(self.kind)


def schedule(
    seed: int,
    count: int,
    *,
    session_seconds: float,
    calm_seconds: float,
    kinds: Sequence[Kind] = tuple(Kind),
    points: Sequence[str] = (),
) -> list[Fault]:
    """At least `count` faults in an order of chance: every kind as often as any other, every crash point once.

    `session_seconds` is the session timeout of the workers (freezes take 0.5 to 2 times as long); `calm_seconds` is the
    mean time between faults.
    """
    chance = random.Random(seed)
    planned = [_fault(Kind.CRASH, chance, session_seconds, calm_seconds, point) for point in points]
    others = [kind for kind in kinds if kind is not Kind.CRASH]
    for _ in range(max(1, -(-(count - len(planned)) // max(1, len(others))))):
        planned += [_fault(kind, chance, session_seconds, calm_seconds) for kind in others]
    chance.shuffle(planned)
    return planned


def _fault(kind: Kind, chance: random.Random, session: float, calm: float, point: str = "") -> Fault:
    victims, gaps, lasts = 1, 0, 0.0
    if kind is Kind.BURST:
        victims = chance.randint(3, 5)
        gaps = victims - 1
    elif kind is Kind.FREEZE:
        lasts = chance.uniform(0.5, 2.0) * session
    elif kind is Kind.BROKER_FROZEN:
        lasts = chance.uniform(2.0, 5.0)
    elif kind is Kind.BROKER_KILLED:
        lasts = chance.uniform(0.0, 3.0)
    elif kind is Kind.SCALE:
        lasts = chance.uniform(1.0, 2.0) * session
    return Fault(
        kind,
        calm=chance.uniform(0.0, 2.0) * calm,
        victims=tuple(chance.random() for _ in range(victims)),
        lasts=lasts,
        gaps=tuple(chance.uniform(0.1, 1.0) for _ in range(gaps)),
        point=point,
    )
