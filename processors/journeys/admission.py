"""Who is let into a journey, and who not: its limits, and what is inside already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from processors.journeys import ids
from processors.journeys.effects import filled
from processors.journeys.happening import MOST_HOPS, NO_CHAIN, Chain, Happening, Names, key_in
from processors.journeys.model import Instance
from processors.journeys.plan import Entrance, Plan
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.durations import spoken
from schemas.definitions.model import Journey, Requested, Start, Trigger
from schemas.journey_states import DRAINING

if TYPE_CHECKING:
    from processors.journeys.walk import Walk


@dataclass(frozen=True, slots=True)
class Candidate:
    """A journey that something could start; `cause` names it for the id of the instance, `why` for people. `happening`
    is the event that does, `entry` (JSON) the entry event where it is another. The first step is taken at `begin_at`,
    by default at once. `occasion` is the date or the occurrence that time has brought."""

    entrance: Entrance
    cause: str
    why: str
    slot: str
    key: str = ""
    happening: Happening | None = None
    entry: bytes = b"{}"
    chain: Chain = NO_CHAIN
    begin_at: int | None = None
    occasion: str = ""

    @property
    def journey(self) -> Journey:
        return self.entrance.journey


def admit_all(person: Working, plan: Plan, walk: Walk, candidates: list[Candidate]) -> None:
    """Start what may start of these, the highest priority first, and make the sends that follow.

    A journey whose running instance has a send to make at this instant waits for it: the instance may end by it.
    """
    candidates = sorted(candidates, key=lambda candidate: (-candidate.journey.priority, candidate.journey.name))
    busy = walk.pending() & {candidate.journey.name for candidate in candidates}
    for candidate in candidates:
        if candidate.journey.name not in busy:
            admit(person, plan, walk, candidate)
    walk.flush(busy)
    for candidate in candidates:
        if candidate.journey.name in busy:
            admit(person, plan, walk, candidate)
    walk.flush()


def admit(person: Working, plan: Plan, walk: Walk, candidate: Candidate) -> None:
    """Start an instance, unless a limit or an instance inside is in the way; what has started one starts no other."""
    journey, rules, at = candidate.journey, candidate.entrance.entry, walk.at
    id_ = ids.instance_id(journey.name, candidate.cause)
    if person.has_begun(id_):
        return
    inside = [i for i in person.instances() if i.journey == journey.name and i.key == candidate.key]
    repeat = rules.on_repeat if inside else None
    obstacle = _obstacle(person, candidate, at, repeat)
    if obstacle:
        refuse(person, at, journey.name, candidate.cause, obstacle)
        return
    if repeat == "restart":
        for instance in inside:
            walk.exit(instance, f"restarted by {candidate.why}")
    instance = Instance(
        id=id_,
        journey=journey.name,
        version=plan.project.version,
        entrance=candidate.entrance.number,
        key=candidate.key,
        entered_at=at,
        since=at,
        entry=candidate.entry if candidate.happening is None else candidate.happening.json,
        acted=walk.happening.event_id if walk.happening is not None else "",
        hops=candidate.chain.hops,
        chained_at=candidate.chain.since,
        occasion=candidate.occasion,
        followed=person.since,
    )
    person.start(instance, candidate.slot)
    person.decide(at, reasons.ENTERED, candidate.why, journey=journey.name, instance=instance)
    if person.held_out(plan.project, journey, at):
        person.decide(at, reasons.ARM, reasons.HELD_OUT, journey=journey.name, instance=instance)
    if candidate.begin_at is not None and candidate.begin_at > at:
        walk.queue(instance, candidate.begin_at)
    else:
        walk.begin(instance)


def start(person: Working, walk: Walk, instance: Instance, step: Start, names: Names) -> None:
    """Let the person of an instance into the journey that a step names. Raises TemplateError."""
    plan = person.plan
    journey = plan.project.journeys.get(step.journey) if plan is not None else None
    cause = f"{instance.id}\0{step.id}\0{instance.visit}"
    if plan is None or journey is None:
        refuse(person, walk.at, step.journey, cause, "there is no such journey any more")
        return
    entry = orjson.loads(instance.entry)
    if step.properties is not None:
        zone = person.zone(person.project(instance)).key
        entry = {**entry, "properties": filled(step.properties, names, zone)}
    # the rules of whoever asks for it, if there are any
    number = next((n for n, one in enumerate(journey.entries) if isinstance(one.trigger, Requested)), 0)
    candidate = Candidate(
        Entrance(journey, number),
        cause,
        f"started by {instance.journey}",
        person.slot_of(instance),
        key_in(entry, journey.entries[number].key) or "",
        entry=orjson.dumps(entry),
        chain=Chain(instance.hops, instance.chained_at).next(walk.at),
    )
    admit(person, plan, walk, candidate)


def _obstacle(person: Working, candidate: Candidate, at: int, repeat: str | None) -> str:
    """Why the person may not enter now, "" when nothing is in the way."""
    rules, happening = candidate.entrance.entry, candidate.happening
    if person.excluded:
        return reasons.EXCLUDED
    if person.standing(candidate.journey.name).state == DRAINING:
        return "nobody enters it any more"
    by_event = isinstance(rules.trigger, Trigger) and rules.trigger.events
    if happening is not None and happening.repeated and by_event:
        return f"this {happening.name} was reported before"
    if rules.max_age is not None and happening is not None:
        age = at - int(happening.document["occurred_at"])
        if age > rules.max_age:
            return f"the event is {spoken(age)} old, at most {spoken(rules.max_age)} is allowed"
    if candidate.chain.too_long:
        return f"{MOST_HOPS} journeys in a row have started each other"
    if repeat == "ignore":
        return "already inside"
    if repeat == "restart":
        return ""  # the same visit begins again, it is no further one
    last = person.last_entry(candidate.journey.name)
    if last is not None and rules.once:
        return "was inside once"
    if last is not None and rules.at_most_every is not None and at - last < rules.at_most_every:
        return f"last entered {spoken(at - last)} ago, at most every {spoken(rules.at_most_every)}"
    return ""


def refuse(person: Working, at: int, journey: str, cause: str, detail: str) -> None:
    """Record why something starts a journey for nobody."""
    person.decide(at, reasons.NOT_ENTERED, detail, journey=journey, subject=cause)
