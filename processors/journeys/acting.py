"""What an event, a segment change or a new profile does to running instances: goals first, then ends, then waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import orjson

from processors.journeys import receipts, waits
from processors.journeys.happening import Happening, Names
from processors.journeys.model import Instance
from processors.journeys.walk import Walk
from processors.journeys.withdrawing import withdraw
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.durations import spoken
from schemas.definitions.model import Send, Trigger, Wait, WaitFor
from schemas.receipts import DEPTHS, depth, lost, tells
from schemas.records import Change

#: instances an event or change may act on
Concerned = Callable[[Instance], bool]


def act(person: Working, walk: Walk, changes: Sequence[Change], concerned: Concerned = lambda _: True) -> None:
    """Let the event at hand, if it is not history, and the segment changes act on running instances."""
    happening = walk.happening
    if happening is not None and happening.historical:
        happening = None
    if happening is None and not changes:
        return
    for instance in person.awaiting_goal(walk.at):
        if concerned(instance):
            _count_goal(person, walk, instance, happening, changes)
    for phase in (_end, _satisfy):
        for instance in person.instances():
            if concerned(instance):
                phase(person, walk, instance, happening, changes)


def follow_profile(person: Working, walk: Walk) -> None:
    """Move the ends of waits that hang on traits or on the time zone to where the profile puts them now."""
    for instance in person.instances():
        step = walk.step(instance) if instance.begun else None
        if not isinstance(step, Wait) or not (waits.follows_traits(step) or waits.follows_zone(step)):
            continue
        over = instance.due is not None and instance.due < walk.at
        if instance.missed is None and not over:  # else it has a turn already, or gets one when its journey goes on
            _wait_until(person, walk, instance, step)


def _count_goal(
    person: Working, walk: Walk, instance: Instance, happening: Happening | None, changes: Sequence[Change]
) -> None:
    goal = person.journey(instance).goal
    assert goal is not None  # it is awaited
    why = _met([goal.trigger], walk, instance, person, happening, changes)
    if why is None:
        return
    sent = person.newest_send(instance)
    person.reached_goal(instance, walk.at)
    person.decide(
        walk.at,
        reasons.GOAL,
        f"{why[1]}, {spoken(walk.at - instance.entered_at)} after entering",
        journey=instance.journey,
        instance=instance,
        step=sent.step if sent is not None else "",
        channel=sent.channel if sent is not None else "",
        send_id=sent.send_id if sent is not None else None,
    )
    withdraw(person, instance, walk.at, f"goal: {why[1]}")


def _end(
    person: Working, walk: Walk, instance: Instance, happening: Happening | None, changes: Sequence[Change]
) -> None:
    why = _met(person.journey(instance).exit, walk, instance, person, happening, changes)
    if why is None and person.excluded:
        walk.exit(instance, reasons.EXCLUDED)
    if why is not None:
        walk.exit(instance, why[1])


def _satisfy(
    person: Working, walk: Walk, instance: Instance, happening: Happening | None, changes: Sequence[Change]
) -> None:
    match walk.step(instance) if instance.begun else None:
        case WaitFor(triggers=triggers) as step:
            why = _met(triggers, walk, instance, person, happening, changes)
            if why is not None and (not why[0].events or _own_receipt(person, walk, instance, happening)):
                walk.passed(instance, step, why[0])
        case Wait(restart_on=names) as step if happening is not None and happening.name in names:
            if _concerns(person, instance, happening):
                instance = msgspec.structs.replace(instance, since=walk.at, acted=happening.event_id, missed=None)
                person.keep(instance)
                _wait_until(person, walk, instance, step)
        case Send(until=str(until)) as step if instance.tried and happening is not None:
            _hear(person, walk, instance, step, until, happening)
        case _:
            pass


def _hear(person: Working, walk: Walk, instance: Instance, step: Send, until: str, happening: Happening) -> None:
    """A receipt of what a cascade has sent: the one it waits for, or one that says that this can't come any more."""
    reached = depth(happening.document) >= DEPTHS[until]
    if not reached and not lost(happening.document):
        return
    sent = receipts.send_of(happening.document, person.sends(), walk.at)
    own = (instance.id, step.id, instance.visit)
    if sent is None or (sent.instance_id, sent.step, sent.visit) != own:
        return
    if reached:
        walk.received(instance, f"event {happening.name}")
    elif instance.phase == "receipt" and sent == person.newest_send(instance):
        walk.gave_way(instance, f"event {happening.name}")


def _wait_until(person: Working, walk: Walk, instance: Instance, step: Wait) -> None:
    """The wait ends when it would end if it began now."""
    zone = person.zone(person.project(instance))
    due = waits.due(step, walk.at, orjson.loads(instance.entry), person.profile.traits, zone, instance.clock)
    if due == instance.due:
        return
    if due <= walk.at:
        walk.waited(instance, due)
    else:
        walk.stay(msgspec.structs.replace(instance, due=due))


def _met(
    triggers: Iterable[Trigger],
    walk: Walk,
    instance: Instance,
    person: Working,
    happening: Happening | None,
    changes: Sequence[Change],
) -> tuple[Trigger, str] | None:
    """The first trigger that the event or a change satisfies for an instance, and in words what did."""
    if happening is not None and not _concerns(person, instance, happening):
        happening = None
    names: Names | None = None
    for trigger in triggers:
        if happening is not None and happening.name in trigger.events:
            names = walk.names(instance) if names is None else names
            if happening.meets(trigger, names):
                return trigger, f"event {happening.name}"
        if happening is not None and trigger.receipt and _answers(person, walk, instance, happening, trigger):
            return trigger, f"event {happening.name}"
        for change in changes:
            if trigger.segment is not None and (trigger.segment, trigger.change) == (change.segment, change.change):
                return trigger, f"{change.change} segment {change.segment}"
    return None


def _concerns(person: Working, instance: Instance, happening: Happening) -> bool:
    """Whether an event can act on an instance: not the one that started it or brought it here, nor one of another
    key."""
    if instance.acted == happening.event_id:
        return False
    key = happening.key(person.entry(instance).key)
    return key is None or key == instance.key


def _own_receipt(person: Working, walk: Walk, instance: Instance, happening: Happening | None) -> bool:
    """A receipt satisfies an instance that has sent something only if it counts for one of its sends."""
    if happening is None or not depth(happening.document):
        return True
    sends = person.sends()
    if not any(sent.instance_id == instance.id for sent in sends):
        return True
    sent = receipts.send_of(happening.document, sends, walk.at)
    return sent is not None and sent.instance_id == instance.id


def _answers(person: Working, walk: Walk, instance: Instance, happening: Happening, trigger: Trigger) -> bool:
    """Whether an event is the receipt a trigger names, of what the instance sent at the step it names."""
    if not tells(happening.document, trigger.receipt):
        return False
    sent = receipts.send_of(happening.document, person.sends(), walk.at)
    return sent is not None and sent.instance_id == instance.id and trigger.of in ("", sent.step)
