"""One person while a turn changes it: memberships follow slots and time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import heapify, heappop, heappush

import msgspec

from processors.runtime.slots import PATIENCE_MS, Slots, with_state
from processors.segments.conditions import answer, explain
from processors.segments.fold import Fold
from processors.segments.keeping import needed, read_from, usable
from processors.segments.model import Person, State
from processors.segments.newborn import newborn
from processors.segments.plan import Plan, named
from processors.segments.profile import digest, profile
from processors.segments.view import View
from schemas.definitions.expressions import document
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import ComputedTrait, Segment
from schemas.records import Change, Event


class Draft:
    """A person in one turn. Every method that takes an instant leaves the person at it; instants never go back."""

    def __init__(self, person_id: str, person: Person, plan: Plan, patience: int = PATIENCE_MS) -> None:
        """`patience` is how long it waits for state on its way, in milliseconds of line time."""
        self.person_id = person_id
        self._before = person
        self.plan = plan
        self.last = person.last
        self.hold = person.hold
        self.waiting = person.waiting
        self._patience = patience
        self.parts = person.parts
        self.asked = person.asked
        self.version = person.version
        self.filling = person.filling
        self._slots = person.slots
        self._member = dict(person.member)
        self._due = dict(person.due)
        self._profile = person.profile
        self._computed = dict(person.computed)
        self._changed = False
        self._view: View | None = None
        #: whether the event applied last reports an occurrence that was known before
        self.repeated = False

    @property
    def slots(self) -> Slots[State]:
        return self._slots

    @slots.setter
    def slots(self, slots: Slots[State]) -> None:
        self._slots, self._view = slots, None

    @property
    def view(self) -> View:
        """The person as the fold of its slots, as they are now."""
        if self._view is None:
            self._view = View(_states(self._slots), self.plan, self._computed)
        return self._view

    @property
    def exists(self) -> bool:
        return self.view.exists

    def reach(self, instant: int) -> int:
        """Go on to an instant; a person never goes back in time, so it may be later than asked for."""
        self.last = max(self.last, instant)
        return self.last

    def apply(self, slot: str, event: Event, now: int) -> list[Change]:
        """Fold an event into a slot that is held here, and what is entered and left because of it."""
        new = not self.exists
        known = self._slots.held[slot]
        folded = Fold(event, known.state, self.view, now)
        self.slots = with_state(self._slots, slot, folded.state)
        self._changed |= folded.profile
        self.repeated = folded.repeated
        if new:
            return self._begin(now, "event", event.name)
        return self.settle(now, "event", event.name, self._readers(folded.keys))

    def check(self, slot: str, event: Event, now: int) -> None:
        """Raises BadRecord for an event that could not be folded into a slot that is held here, also under definitions
        that read more of it."""
        document(event)
        Fold(event, self._slots.held[slot].state, self.view, now)

    def rearrange(self, now: int, cause: str, why: str, before: Slots[State]) -> list[Change]:
        """What is entered and left because slots came, went or were joined; `before` are the slots before that."""
        existed = View(_states(before), self.plan, {}).exists
        ended = self.wait(now, before)
        self._changed = True
        if not existed:
            return self._begin(now, cause, why)
        if ended or not self.exists:
            return self.settle(now, cause, why)
        was, held = _states(before), _states(self._slots)
        moved = (state for name in {*was, *held} for state in _others(was.get(name), held.get(name)))
        return self.settle(now, cause, why, self._readers(self._read_from(moved)))

    def _read_from(self, states: Iterable[State]) -> set[str]:
        return set[str]().union(*(read_from(state, self.plan) for state in states))

    def _readers(self, keys: Iterable[str]) -> set[int]:
        return {position for key in keys for position in self.plan.readers.get(key, ())}

    def _begin(self, now: int, cause: str, why: str) -> list[Change]:
        """What somebody enters who has just begun to exist."""
        if self.hold is not None or self.filling or self._member or not self.exists:
            return self.settle(now, cause, why)
        plan, start = self.plan, newborn(self.plan)
        self._member, self._computed = dict.fromkeys(start.reasons, now), dict(start.computed)
        self._due.clear()
        self._view, self._changed = None, True
        looked = self._readers(self._read_from(_states(self._slots).values())) | set(start.by_time)
        reasons = {change.segment: change.reason for change in self.settle(now, cause, why, looked)}
        entered = list[Change]()
        for name in sorted(self._member, key=plan.positions.__getitem__):
            reason = reasons.get(name)
            if reason is None:
                position = plan.positions[name]
                segment = plan.order[position]
                assert isinstance(segment, Segment)
                seen = (
                    explain(segment.when, self.view, self._member, now) if position in looked else start.reasons[name]
                )
                reason = f"{why}; {seen}" if why else seen
            entered.append(Change(segment=name, change="entered", cause=cause, reason=reason, at=now))
        return entered

    @property
    def whole(self) -> bool:
        """Whether nothing is on its way any more that was waited for until now."""
        return self.hold is not None and self._slots.complete and not self.parts

    def expect(self, handoff: str, more: bool) -> None:
        """A part of a handoff has come; `more` of it is on its way. Parts of others may come in between."""
        others = [known for known in self.parts.split("\n") if known not in ("", handoff)]
        self.parts = "\n".join([*others, handoff] if more else others)

    def wait(self, now: int, before: Slots[State]) -> bool:
        """Begin, go on with or end waiting for state on its way here; whether it ended just now.

        `before` are the slots before this turn: each further slot that is incomplete is worth waiting for.
        """
        if self._slots.complete and not self.parts:
            ended, self.hold = self.hold is not None, None
            return ended
        missing = {name for name, slot in self._slots.held.items() if not slot.complete}
        waiting = self.parts and self.hold is None
        if waiting or missing - {name for name, slot in before.held.items() if not slot.complete}:
            self.hold = now + self._patience
        return False

    def wait_anew(self, now: int) -> None:
        """Go on waiting: nobody was there to take what has come meanwhile."""
        self.hold = max(now, self.last) + self._patience

    def next_instant(self) -> int | None:
        """When something may happen here by time alone."""
        return self.hold if self.hold is not None else min(self._due.values(), default=None)

    def pass_time(self, instant: int) -> list[Change]:
        """What is entered and left at an instant that `next_instant` gave."""
        self.reach(instant)
        if self.hold is not None:
            self.hold, self.parts = None, ""
            return self.settle(instant, "merge", "what was on its way here did not come in time")
        positions = [self.plan.positions[name] for name, due in self._due.items() if due <= instant]
        return self.settle(instant, "timer", "", positions)

    def adopt(self, plan: Plan, now: int, filling: Collection[str]) -> list[Change]:
        """Go over to another version of the definitions: segments that it does not have are left, those that lack
        history stay as they are."""
        before, self.plan, self.version = self.plan, plan, plan.version
        self._keep(lambda state: usable(state, plan, before))
        self.filling = tuple(sorted(filling))
        self._computed = {name: v for name, v in self._computed.items() if f"trait:{name}" in plan.positions}
        self._view = None
        self._changed = True
        return self.settle(now, "definition", "definitions changed")

    def filled(self, now: int) -> list[Change]:
        """The history that the definitions lacked is there: the segments that waited for it answer."""
        positions = [self.plan.positions[name] for name in self.filling if name in self.plan.positions]
        self.filling = ()
        self._changed = True
        return self.settle(now, "backfill", "history was filled in", positions)

    def drop(self) -> None:
        """Drop state that the definitions do not need."""
        self._keep(lambda state: needed(state, self.plan))

    def _keep(self, of: Callable[[State], State]) -> None:
        held, changed = dict(self._slots.held), False
        for name, slot in held.items():
            if slot.state is not None and (state := of(slot.state)) is not slot.state:
                held[name], changed = msgspec.structs.replace(slot, state=state), True
        if changed:
            self.slots = Slots(held, self._slots.redirects)
        self._view = None

    def settle(self, now: int, cause: str, why: str, positions: Iterable[int] | None = None) -> list[Change]:
        """Changes of what is worked out at these positions, and of what refers to it; None looks at all.

        Nothing changes while state is on its way here, and what lacks history does not, unless nothing is left of the
        person. Computed traits and segments are taken in an order in which each stands after those it refers to, so
        each is looked at once.
        """
        if self.hold is not None and (self.exists or not self._member):
            return []
        plan, changes = self.plan, list[Change]()
        if positions is None:
            self._due.clear()
            changes += [self._leave(name, now, "definition", "not defined any more") for name in self._unknown()]
        still = {plan.positions.get(name) for name in self.filling} if self.exists else set()
        queue = list(set(range(len(plan.order)) if positions is None else positions) - still)
        heapify(queue)
        queued = {*queue, *still}
        while queue:
            one = plan.order[heappop(queue)]
            if isinstance(one, ComputedTrait):
                changed = self._compute(one, now)
            else:
                change = self._look(one, now, cause, why)
                changed = change is not None
                changes += [change] if change is not None else []
            if not changed:
                continue
            for position in plan.readers.get(named(one) if isinstance(one, ComputedTrait) else f"in:{one.name}", ()):
                if position not in queued:
                    queued.add(position)
                    heappush(queue, position)
        return changes

    def publishable(self, always: bool = False) -> bytes | None:
        """The profile if it is another than the one published last, or `always`."""
        if not self.exists and not self._profile:
            return None
        if not (always or self._changed or not self._profile):
            return None
        data = profile(self.person_id, self.view, self._member, self.last)
        known, self._profile, self._changed = self._profile, digest(data), False
        return data if always or known != self._profile else None

    def person(self) -> Person:
        """The state to keep."""
        return msgspec.structs.replace(
            self._before,
            slots=self._slots,
            member=self._member,
            due=self._due,
            last=self.last,
            asked=self.asked,
            hold=self.hold,
            waiting=self.waiting,
            parts=self.parts,
            version=self.version,
            filling=self.filling,
            profile=self._profile,
            computed=self._computed,
        )

    def touch(self) -> None:
        """Slots went: the profile may be another."""
        self._changed = True

    def _compute(self, trait: ComputedTrait, now: int) -> bool:
        """Whether a computed trait has another value now."""
        value, until = self.view.compute(trait.measure, now) if self.exists else (None, None)
        self._wait_for(named(trait), until)
        if self._computed.get(trait.name) == value:
            return False
        self._computed[trait.name] = value
        if value is None:
            del self._computed[trait.name]
        self._changed = True
        return True

    def _wait_for(self, name: str, until: int | None) -> None:
        """When this may change by time alone."""
        if until is None:
            self._due.pop(name, None)
        else:
            self._due[name] = until

    def _look(self, segment: Segment, now: int, cause: str, why: str) -> Change | None:
        """The change of one segment, if it changes."""
        name, condition = segment.name, segment.when
        exists = self.view.exists
        counts = exists and (EXCLUDED not in self._member or name == EXCLUDED)
        holds, until = answer(condition, self.view, self._member, now) if counts else (False, None)
        self._wait_for(name, until)
        if holds == (name in self._member):
            return None
        if counts:
            reason = explain(condition, self.view, self._member, now)
        else:
            reason = "excluded by project.yaml" if exists else "nothing left here"
        reason = f"{why}; {reason}" if why else reason
        if not holds:
            return self._leave(name, now, cause, reason)
        self._member[name] = now
        self._changed = True
        return Change(segment=name, change="entered", cause=cause, reason=reason, at=now)

    def _leave(self, name: str, now: int, cause: str, reason: str) -> Change:
        del self._member[name]
        self._changed = True
        return Change(segment=name, change="left", cause=cause, reason=reason, at=now)

    def _unknown(self) -> list[str]:
        return sorted(name for name in self._member if name not in self.plan.positions)


def _states(slots: Slots[State]) -> dict[str, State]:
    return {name: slot.state for name, slot in slots.held.items() if slot.state is not None}


def _others(before: State | None, after: State | None) -> Iterator[State]:
    """Both states where they are not the same."""
    if before is not after:
        yield from (state for state in (before, after) if state is not None)
