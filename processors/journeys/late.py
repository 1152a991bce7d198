"""Timers that fire too late, as the line was down or far behind.

A late timer does not act at once: it is released, in the order of such timers' times, at a bounded rate, and so after
the events that waited for the line meanwhile. What then happens, happens at that instant: quiet hours, caps and consent
are those of now, and an exit that came in time counts.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from processors.journeys import ids, positions
from processors.journeys.model import PAUSED, RELEASES, Instance, Release
from processors.journeys.working import Working
from processors.runtime.contract import Turn
from schemas.definitions.model import Timers, Wait

#: releases of one instant in all partitions and workers are spread over so long (wall time)
JITTER_MS = 1_000


class Lateness:
    """What is late at the turn at hand; `speed` is line milliseconds a wall millisecond."""

    def __init__(self, turn: Turn, speed: float) -> None:
        self._turn = turn
        self._speed = speed

    def postpone(self, person: Working, before: int) -> None:
        """If one of the person's timers due before an instant is late, give all that are late their turn, together."""
        late = [i for i in person.instances() if self._is_late(person, i) and not person.paused(i)]
        if not any(i.due is not None and i.due < before for i in late):
            return
        turn = self.turn_for(person)
        for instance in late:
            person.keep(instance := msgspec.structs.replace(instance, due=turn, missed=instance.due))
            person.wake(instance)

    def release(self, person: Working) -> None:
        """Give what was held back while its journey was paused its turn, together."""
        held = [i for i in person.instances() if not person.paused(i) and _held_back(person, i)]
        turn = self.turn_for(person) if held else 0
        for instance in held:
            # another worker's clock may be behind
            due = max(turn, person.standing(instance.journey).since)
            missed = instance.due if instance.missed is None else instance.missed
            person.keep(instance := msgspec.structs.replace(instance, due=due, missed=missed))
            person.wake(instance)

    def at(self, person: Working, due: int, timers: Iterable[Instance]) -> int:
        """When timers that fire happen: when they were due, or now if they are late although they were released: to put
        such off again could go on for ever."""
        released = any(timer.missed is not None for timer in timers)
        return self._turn.now if released and self.is_late(person, due) else due

    def is_late(self, person: Working, due: int) -> bool:
        """Whether what was due then, and is no wait with rules of its own, comes too late."""
        return self._turn.now - due > _rules(person).late_after * self._speed

    def _is_late(self, person: Working, instance: Instance) -> bool:
        if instance.due is None or instance.missed is not None:
            return False
        return self._turn.now - instance.due > tolerance(person, instance) * self._speed

    def turn_for(self, person: Working) -> int:
        """When the person is released, if it is now given its turn behind all others that are late."""
        rules = _rules(person)
        known = self._turn.get(RELEASES, "")
        first = self._turn.now * 1_000
        place = first if known is None else max(first, known.next)
        self._turn.put(RELEASES, "", Release(place + round(1_000_000 * self._speed / rules.per_second)))
        return place // 1_000 + int(ids.share("release", person.id) * JITTER_MS * self._speed)


def tolerance(person: Working, instance: Instance) -> int:
    """How much later than its time a timer of an instance may fire and not be late, in milliseconds."""
    step = positions.step_at(person.journey(instance), instance.position)
    if isinstance(step, Wait) and step.late_after is not None:
        return step.late_after
    return _rules(person).late_after


def _held_back(person: Working, instance: Instance) -> bool:
    if instance.due is None:
        return instance.phase == PAUSED
    return instance.due < person.standing(instance.journey).since


def _rules(person: Working) -> Timers:
    return person.plan.project.timers if person.plan is not None else Timers()
