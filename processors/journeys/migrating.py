"""Instances go over to a newer version of their journey, as the map says that was published with it.

What an instance waits for goes on from when it began to wait, by the rules of the new step. A message that waits to go
out goes on waiting if the step is the same; any other step begins at the instant of the change.
"""

from __future__ import annotations

import orjson
from msgspec.structs import replace

from processors.journeys import positions, waits
from processors.journeys.happening import key_in
from processors.journeys.model import Instance
from processors.journeys.plan import Plan
from processors.journeys.positions import ON_TIMEOUT
from processors.journeys.walk import Walk
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.model import Journey, Project, Send, Wait, WaitFor


def concerned(person: Working, plan: Plan, since: int) -> list[Instance]:
    """Instances that a version, in force since an instant, has a map for and that have not followed it.

    A map belongs to the publication that changes its journey's file: to whom entered by the same file it says nothing.
    """
    project = plan.project
    return [
        instance
        for instance in person.instances()
        if instance.journey in plan.migrates
        and instance.followed < since
        and person.text(instance) != project.files.get(project.journeys[instance.journey].path)
    ]


def migrate(person: Working, plan: Plan, since: int, walk: Walk) -> None:
    """Take over to a version whom it has a place for; the others stay or leave, as it says."""
    for instance in concerned(person, plan, since):
        instance = replace(instance, followed=since)
        journey = plan.project.journeys[instance.journey]
        assert journey.migrate is not None  # it concerns the instance
        step = positions.step_at(person.journey(instance), instance.position)
        target = journey.migrate.steps.get(step.id) if step is not None else None
        if target is not None:
            _take_over(person, walk, instance, plan.project, target)
        elif journey.migrate.others == "exit":
            walk.exit(instance, f"version {plan.project.version} has no place for it")
        else:
            person.keep(instance)
    walk.flush()


def _take_over(person: Working, walk: Walk, instance: Instance, project: Project, target: str) -> None:
    journey, before = project.journeys[instance.journey], person.journey(instance)
    position = positions.find(journey, target, positions.rounds(before, instance.position))
    assert position is not None  # the map was checked
    old, new = positions.step_at(before, instance.position), positions.step_at(journey, position)
    assert old is not None
    assert new is not None
    number = _entrance(before, instance.entrance, journey)
    entry = orjson.loads(instance.entry)
    moved = replace(
        instance,
        version=project.version,
        position=position,
        visit=positions.visit(journey, position),
        entrance=number,
        key=key_in(entry, journey.entries[number].key) or "",
    )
    person.keep(moved)
    person.decide(
        walk.at,
        reasons.MIGRATED,
        f"from step {old.id} of version {instance.version}",
        journey=journey.name,
        instance=moved,
        step=new.id,
    )
    same_send = isinstance(old, Send) and isinstance(new, Send) and old.id == new.id
    if same_send or not moved.begun:
        person.wake(moved)
    elif isinstance(old, Wait | WaitFor) and isinstance(new, Wait | WaitFor):
        _go_on_waiting(person, walk, moved, new)
    else:
        walk.begin(moved)


def _go_on_waiting(person: Working, walk: Walk, instance: Instance, step: Wait | WaitFor) -> None:
    if isinstance(step, WaitFor):
        inside = walk.already(step)
        if inside is not None:
            walk.passed(instance, step, inside)
            return
        due = None if step.timeout is None else instance.since + step.timeout
    else:
        zone = person.zone(person.project(instance))
        due = waits.due(step, instance.since, orjson.loads(instance.entry), person.profile.traits, zone, instance.clock)
    if due is None or due > walk.at:
        walk.stay(replace(instance, due=due, missed=None))
    elif isinstance(step, WaitFor):
        walk.onward(instance, positions.into(instance.position, ON_TIMEOUT))
    else:
        # the change has brought its end, nothing came too late
        walk.onward(instance, positions.after(instance.position))


def _entrance(before: Journey, number: int, journey: Journey) -> int:
    """The way in of a version that is the one by which somebody entered an earlier one, else the first."""
    trigger = before.entries[number].trigger
    return next((n for n, entry in enumerate(journey.entries) if entry.trigger == trigger), 0)
