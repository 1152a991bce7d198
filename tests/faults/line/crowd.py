"""What the people of a campaign do: a pure function of its seed.

Each begins as a visitor, most log in (which joins two persons), some come from a second browser or share a device with
a neighbour; they view, fill carts and order. Some messages come twice and some are about the past.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.line.project import ADDED, ORDERED, TRIED, VIEWED

#: people whose messages are mixed with one another
WAVE = 20
REPEATED, LATE = 0.05, 0.03
DAY_MS = 86_400_000
#: local part of addresses that the mail catcher refuses for good
REFUSED = "bounce"


@dataclass(frozen=True, slots=True)
class Said:
    """A message as a client sends it. It is about an instant `late` milliseconds before it is sent; `web`: it goes
    through the collector, the others straight to Kafka."""

    message: dict[str, Any]
    late: int
    web: bool


def waves(seed: int, events: int, name: str = "c") -> Iterator[list[Said]]:
    """At least so many messages; `name` keeps the people of several crowds apart."""
    number, said = 0, 0
    while said < events:
        chance = random.Random(f"{seed} {name} {number}")
        wave = _mixed([_life(chance, name, number + n) for n in range(WAVE)], chance)
        yield wave
        number += WAVE
        said += len(wave)


def _mixed(lives: list[list[Said]], chance: random.Random) -> list[Said]:
    """The messages of several people at a time, each person's in order, with repetitions further on."""
    placed: list[tuple[float, int, Said]] = []
    for life in lives:
        for at, said in zip(sorted(chance.random() for _ in life), life, strict=True):
            placed.append((at, len(placed), said))
            if chance.random() < REPEATED:
                placed.append((at + chance.random() / 2, len(placed), said))
    return [said for _, _, said in sorted(placed, key=lambda item: item[:2])]


def _life(chance: random.Random, crowd: str, number: int) -> list[Said]:
    """All that one person says, in order. Some neighbours (an even number and the next) share a device."""
    who, web, said, count = f"{crowd}{number}", number % 10 == 0, list[Said](), 0

    def say(kind: str, **fields: Any) -> None:
        nonlocal count
        count += 1
        late = chance.randint(1, 20) * DAY_MS if chance.random() < LATE else 0
        context = {"channel": "web", **fields.pop("context", {})}
        said.append(Said({"type": kind, "messageId": f"{who}-{count}", "context": context, **fields}, late, web))

    def views(most: int, **of: Any) -> None:
        for _ in range(chance.randint(1, most)):
            say("track", event=VIEWED, **of)

    cookie = {"anonymousId": f"cookie-{who}"}
    views(2, **cookie)
    if chance.random() < 0.5:
        say("track", event=TRIED, **cookie)
    if chance.random() < 0.3:
        return said
    user = {"userId": who}
    address = f"{REFUSED if chance.random() < 0.01 else 'buyer'}-{who}@example.com"
    consent = {"consent": {"categoryPreferences": {"email": chance.random() < 0.8}}}
    say("identify", **user, **cookie, traits={"email": address}, context=consent)
    if chance.random() < 0.2:
        second = {"anonymousId": f"second-{who}"}
        views(2, **second)
        say("track", event=VIEWED, **user, **second)
    if number % 20 in (2, 3):
        device = {"externalIds": [{"type": "device_id", "id": f"tablet-{crowd}{number // 2}"}]}
        say("track", event=VIEWED, **user, context=device)
        views(2, context=device)
    if chance.random() < 0.2:
        say("track", event=ADDED, **user, properties={"cart_id": f"cart-{who}"})
    for order in range(chance.randint(0, 6)):
        properties = {"order_id": f"{who}-{order}", "total": 5, "receipt": chance.random() < 0.1}
        say("track", event=ORDERED, **user, properties=properties)
    if chance.random() < 0.3:
        views(2, **user)
    return said
