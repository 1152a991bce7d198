"""An instance goes from step to step until it waits or ends.

At one instant several instances of a person may come to a send; the sends are made in order of priority, so walking
stops at a send and `flush` goes on from there. A send that a higher priority could still come before waits for its
turn: as a timer due at once, which comes after all events of its instant and among the timers by priority.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from typing import Any

import msgspec
import orjson

from processors.journeys import admission, calling, effects, positions, promos, waits
from processors.journeys.conditions import holds
from processors.journeys.happening import Happening
from processors.journeys.late import tolerance
from processors.journeys.lots import Lots
from processors.journeys.model import PAUSED, QUEUED, Instance
from processors.journeys.positions import ON_TIMEOUT, Position
from processors.journeys.sending import WAITS, Done, Later, decide
from processors.journeys.withdrawing import withdraw
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.durations import SECOND_MS, spoken
from schemas.definitions.model import (
    Branch,
    Call,
    Effect,
    Exit,
    Issue,
    Repeat,
    Send,
    Split,
    Start,
    Step,
    Task,
    Trigger,
    UpdateTraits,
    Wait,
    WaitFor,
)
from schemas.definitions.templates import TemplateError

#: what a send that waits tells beside the decision that made it wait: the rest is over within moments
_TOLD = {"quiet": "for the end of quiet hours", "receipt": "for a receipt", "moment": "for its time of day"}


class Walk:
    """Moves a person's instances at one instant `at`, with the event at hand if there is one."""

    def __init__(
        self, person: Working, at: int, happening: Happening | None = None, *, of_timers: bool = False
    ) -> None:
        self.person = person
        self.at = at
        self.happening = happening
        self._of_timers = of_timers
        self._sends: list[tuple[int, str, str]] = []

    def begin(self, instance: Instance) -> None:
        """An instance is at the beginning of the step at its position, or behind the last of a list."""
        journey = self.person.journey(instance)
        while True:
            position = positions.settled(journey, instance.position)
            if position is None:
                self.finish(instance)
                return
            visit = positions.visit(journey, position)
            instance = msgspec.structs.replace(
                instance, position=position, visit=visit, since=self.at, due=None, phase="", tried=(), missed=None
            )
            step, onward = self.step(instance), None
            if self.person.paused(instance) and not isinstance(step, Wait | WaitFor):
                self.stay(msgspec.structs.replace(instance, phase=PAUSED), "while the journey is paused")
                return
            if isinstance(step, Issue):
                instance, onward = promos.issue(self.person, instance, step, self.at), positions.after(position)
            else:
                onward = self._step(instance, step)
            if onward is None:
                return
            if isinstance(step, Wait):
                instance = self._left(instance, step)
            instance = msgspec.structs.replace(instance, position=onward)

    def step(self, instance: Instance) -> Step:
        """The step an instance is at."""
        step = positions.step_at(self.person.journey(instance), instance.position)
        assert step is not None
        return step

    def queue(self, instance: Instance, due: int) -> None:
        """The instance begins its step when it is its turn."""
        self.stay(msgspec.structs.replace(instance, phase=QUEUED, due=due), "for its turn to begin")

    def timed_out(self, instance: Instance) -> None:
        """The instance is due."""
        if self.person.paused(instance):
            return
        if instance.phase == QUEUED and self.person.came_twice(instance):
            self.exit(instance, "came twice, as two persons who are one", reasons.MERGED)
            return
        if not instance.begun:
            self.begin(instance)
            return
        match self.step(instance):
            case WaitFor():
                self.onward(instance, positions.into(instance.position, ON_TIMEOUT))
            case Send():
                self._queue(instance)
            case Wait():
                self.waited(instance, self.at if instance.missed is None else instance.missed)
            case _:
                self.onward(instance, positions.after(instance.position))

    def waited(self, instance: Instance, due: int) -> None:
        """The wait of an instance is over, since `due`."""
        step = self.step(instance)
        assert isinstance(step, Wait)
        position = self._end_of_wait(instance, step, due)
        if position is not None:
            self.onward(self._left(instance, step), position)

    def passed(self, instance: Instance, step: WaitFor, trigger: Trigger) -> None:
        """What a `wait_for` waits for has happened; the event at hand is kept under its name."""
        if trigger.name and self.happening is not None:
            caught = {**instance.caught, trigger.name: self.happening.json}
            instance = msgspec.structs.replace(instance, caught=caught)
        self.onward(instance, positions.into(instance.position, positions.arm_of(step, step.triggers.index(trigger))))

    def received(self, instance: Instance, why: str) -> None:
        """The receipt a cascade waits for has come."""
        self._record(instance, reasons.DONE, f"no further channel: {why}", self.step(instance))
        self.onward(instance, positions.after(instance.position))

    def gave_way(self, instance: Instance, why: str) -> None:
        """The receipt a cascade waits for can't come any more: its time is over now, behind what else happens now."""
        if instance.due is not None and instance.due > self.at:
            self.stay(msgspec.structs.replace(instance, due=self.at), f"for its next channel: {why}")

    def onward(self, instance: Instance, position: Position) -> None:
        """Leave the current step for another position."""
        if self.happening is not None:
            instance = msgspec.structs.replace(instance, acted=self.happening.event_id)
        self.begin(msgspec.structs.replace(instance, position=position))

    def finish(self, instance: Instance) -> None:
        """The instance has come to the end of its journey."""
        self.person.end(instance, self.at)
        self._record(instance, reasons.FINISHED, "")

    def exit(self, instance: Instance, why: str, reason: str = reasons.EXITED) -> None:
        """The instance ends before the end of its journey."""
        if reason == reasons.EXITED:
            withdraw(self.person, instance, self.at, why)
        if reason == reasons.MERGED:
            self.person.forget_occasion(instance)
        self.person.end(instance, self.at, goal_counts=reason != reasons.MERGED)
        self._record(instance, reason, why, positions.step_at(self.person.journey(instance), instance.position))

    def stay(self, instance: Instance, why: str = "") -> None:
        """The instance stays at its step until it is due, or, if it never is, until something happens."""
        self.person.keep(instance)
        self.person.wake(instance)
        self._record(instance, reasons.WAITING, why, self.step(instance), due=instance.due)

    def pending(self) -> set[str]:
        """Journeys that have an instance at a send not made yet."""
        return {name for _, name, _ in self._sends}

    def flush(self, at_once: Collection[str] = ()) -> None:
        """Make the sends of this instant, the highest priority first, and what follows from them; those that have to
        wait for their turn are left to it, but for those of the journeys `at_once`."""
        while self._sends:
            _, journey, id_ = heappop(self._sends)
            instance = self.person.instance(id_)
            if instance is None:
                continue
            if journey not in at_once and self._may_give_way(instance):
                self._later(instance, self.at, "turn")
            else:
                self._send(instance)

    def names(self, instance: Instance) -> dict[str, Any]:
        """Names in CEL and Liquid for an instance."""
        event = self.happening.document if self.happening is not None else None
        if event is None and instance.event:
            event = orjson.loads(instance.event)
        return self.person.names(self.at, event, instance)

    # --- steps --------------------------------------------------------------------------------------------------

    def _step(self, instance: Instance, step: Step) -> Position | None:
        """Take a step; where to go on at once, None if the instance stays or has ended."""
        position = instance.position
        match step:
            case Wait():
                due = self._end_of(instance, step)
                if due <= self.at:
                    self._record(instance, reasons.WAITING, "nothing to wait for", step, due=self.at)
                    return self._end_of_wait(instance, step, due)
                self._stay_until(instance, due)
                return None
            case WaitFor():
                return self._wait_for(instance, step)
            case Branch():
                return self._branch(instance, step)
            case Split():
                return self._split(instance, step)
            case Send():
                self.person.keep(instance)
                self._queue(instance)
                return None
            case Repeat():
                self._record(instance, reasons.DONE, f"{step.times} rounds begin", step)
                return positions.into(position, 0)
            case Issue():
                raise AssertionError("it changes the instance, so it is taken in `begin`")
            case Exit(reason=reason):
                self.exit(instance, reason or "exit step")
                return None
            case _:
                self._effect(instance, step)
                # what was started may have ended this one
                return positions.after(position) if self.person.instance(instance.id) is not None else None

    def _effect(self, instance: Instance, step: Effect) -> None:
        try:
            if isinstance(step, Start):
                self._record(instance, reasons.DONE, f"start {step.journey}", step)
                admission.start(self.person, self, instance, step, self.names(instance))
            elif isinstance(step, Call | Task):
                calling.ask(self.person, instance, step, self.names(instance), self.at)
            else:
                done = effects.take(self.person, instance, step, self.names(instance), self.at)
                reason = reasons.UPDATED if isinstance(step, UpdateTraits) else reasons.DONE
                self._record(instance, reason, done, step)
        except TemplateError as error:
            self._record(instance, reasons.TEMPLATE_ERROR, str(error), step)

    def _end_of(self, instance: Instance, step: Wait) -> int:
        zone = self.person.zone(self.person.project(instance))
        return waits.due(step, self.at, orjson.loads(instance.entry), self.person.profile.traits, zone, instance.clock)

    def _left(self, instance: Instance, step: Wait) -> Instance:
        """The instance leaves a wait."""
        return msgspec.structs.replace(instance, clock=waits.told(step, self.at) or instance.clock)

    def _end_of_wait(self, instance: Instance, step: Wait, due: int) -> Position | None:
        """A wait ended at `due`, perhaps long ago; where to go on at once, None if the instance stays or has ended."""
        behind = positions.after(instance.position)
        if step.late == "now" or self.at - due <= tolerance(self.person, instance):
            return behind
        late = f"{spoken((self.at - due) // SECOND_MS * SECOND_MS)} late"
        if step.late == "exit":
            self._record(instance, reasons.LATE, late, step)
            self.exit(instance, late)
            return None
        if step.late == "skip":
            left_out = positions.step_at(self.person.journey(instance), behind)
            self._record(instance, reasons.LATE, f"{late}, the step behind the wait is left out", left_out or step)
            return behind if left_out is None else positions.after(behind)
        window = waits.next_window(step, due, self.at, self.person.zone(self.person.project(instance)))
        self._record(instance, reasons.LATE, f"{late}, waits {spoken(window - self.at)} for the next time", step)
        self._stay_until(instance, window)
        return None

    def _stay_until(self, instance: Instance, due: int) -> None:
        self.stay(msgspec.structs.replace(instance, due=due, event=b"", missed=None))

    def _wait_for(self, instance: Instance, step: WaitFor) -> Position | None:
        inside = self.already(step)
        if inside is not None:
            self._record(instance, reasons.WAITING, f"already in segment {inside.segment}", step, due=self.at)
            return positions.into(instance.position, positions.arm_of(step, step.triggers.index(inside)))
        due = None if step.timeout is None else self.at + step.timeout
        self.stay(msgspec.structs.replace(instance, due=due, event=b""))
        return None

    def already(self, step: WaitFor) -> Trigger | None:
        """The first of the segments a step waits for that the person is in."""
        segments = self.person.profile.segments
        waited = (t for t in step.triggers if t.segment is not None and t.change == "entered")
        return next((trigger for trigger in waited if trigger.segment in segments), None)

    def _branch(self, instance: Instance, step: Branch) -> Position:
        project, names = self.person.project(instance), self.names(instance)
        for number, arm in enumerate(step.arms):
            if arm.when is None or holds(arm.when, self.person.profile, project, names):
                self._record(instance, reasons.BRANCH, "otherwise" if arm.when is None else str(number + 1), step)
                return positions.into(instance.position, number)
        self._record(instance, reasons.BRANCH, "none", step)
        return positions.after(instance.position)

    def _split(self, instance: Instance, step: Split) -> Position:
        """Into the person's arm, which is recorded: one that gets nothing leaves no other trace to be measured by. Who
        got the winner's arm as the winner was known is none of those who are compared."""
        lots, where = Lots(step), f"{instance.journey}/{step.id}"
        winner = self._winner(step, where)
        draw = self.person.draw(where, self.at, lambda value: lots.moved(value, winner))
        arm = lots.arm(draw.value)
        name = step.arms[arm][0]
        self._record(instance, reasons.WINNER if draw.given else reasons.ARM, name, step)
        if name == reasons.HELD_OUT:
            self._record(instance, reasons.HOLDOUT, "in the arm that gets nothing", step)
        return positions.into(instance.position, arm)

    def _winner(self, step: Split, where: str) -> str:
        """The arm of a split that has won by the definitions in force, "" while none has."""
        if step.winner_after is None or self.person.plan is None:
            return ""
        return self.person.plan.project.winners.get(where, "")

    # --- sends --------------------------------------------------------------------------------------------------

    def _queue(self, instance: Instance) -> None:
        heappush(self._sends, (-self.person.journey(instance).priority, instance.journey, instance.id))

    def _may_give_way(self, instance: Instance) -> bool:
        """Whether a send of a higher priority at this very instant could take this one's place."""
        plan, journey = self.person.plan, self.person.journey(instance)
        if self._of_timers or self.person.joining or plan is None or journey.category != "marketing":
            return False
        return journey.priority < plan.highest and (bool(journey.intent) or plan.contended)

    def _send(self, instance: Instance) -> None:
        step = self.step(instance)
        assert isinstance(step, Send)
        match decide(self.person, instance, step, self.names(instance), self.at):
            case Done():
                self.begin(msgspec.structs.replace(instance, position=positions.after(instance.position)))
            case Later(due=due, phase=phase, tried=tried):
                self._later(msgspec.structs.replace(instance, tried=tried), due, phase)

    def _later(self, instance: Instance, due: int, phase: str) -> None:
        """A send goes on at `due`; what it says of the event at hand it says then as well."""
        since = instance.since if {instance.phase, phase} <= WAITS else self.at
        event = instance.event if self.happening is None else self.happening.json
        instance = msgspec.structs.replace(instance, due=due, phase=phase, since=since, event=event)
        if phase in _TOLD:
            self.stay(instance, _TOLD[phase])
        else:
            self.person.keep(instance)
            self.person.wake(instance)

    def _record(
        self, instance: Instance, reason: str, detail: str, step: Step | None = None, due: int | None = None
    ) -> None:
        if instance.goal_at is not None and reason in (reasons.FINISHED, reasons.EXITED):
            detail = f"{detail}; goal reached" if detail else "goal reached"
        self.person.decide(
            self.at,
            reason,
            detail,
            journey=instance.journey,
            instance=instance,
            step=step.id if step is not None else "",
            due=due,
        )
