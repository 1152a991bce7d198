"""Who enters a journey: by an event or a segment change, within the limits of the journey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processors.journeys import ids
from processors.journeys.happening import Happening
from processors.journeys.model import Instance
from processors.journeys.plan import Entrance, Plan
from processors.journeys.walk import Walk
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.durations import spoken
from schemas.definitions.model import Entry, Journey, Requested, Trigger
from schemas.records import Change
from schemas.requests import ENTRY_REQUESTED

#: causes of a segment change that start journeys; the others only those that say `existing: true`
STARTING = frozenset({"event", "timer"})
#: causes that concern single persons, so that saying why nothing started floods nobody
TOLD = frozenset({"merge", "split"})


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A journey that something could start; `cause` names it for the id of the instance, `why` for people."""

    entrance: Entrance
    cause: str
    why: str
    slot: str
    key: str = ""

    @property
    def journey(self) -> Journey:
        return self.entrance.journey


def enter(
    person: Working,
    plan: Plan,
    walk: Walk,
    slot: str | None,
    changes: Sequence[Change],
    happening: Happening | None = None,
) -> None:
    """Start the journeys that the event at hand (filed under `slot`) and the segment changes start.

    A journey whose running instance has a send to make at this instant waits for it: the instance may end by it. What
    came of history starts nothing.
    """
    if happening is not None and happening.historical:
        return
    candidates: list[_Candidate] = []
    if happening is not None and slot is not None and not happening.by_journey:
        candidates += _by_event(person, plan, happening, slot, walk.at)
    leading = person.leading_slot() if changes else None
    if leading is not None:
        candidates += _by_segment(person, plan, changes, leading, walk.at)
    if not candidates:
        return
    candidates.sort(key=lambda candidate: (-candidate.journey.priority, candidate.journey.name))
    busy = walk.pending() & {candidate.journey.name for candidate in candidates}
    for candidate in candidates:
        if candidate.journey.name not in busy:
            _try(person, plan, walk, candidate, happening)
    walk.flush(busy)
    for candidate in candidates:
        if candidate.journey.name in busy:
            _try(person, plan, walk, candidate, happening)
    walk.flush()


def _by_event(person: Working, plan: Plan, happening: Happening, slot: str, at: int) -> list[_Candidate]:
    why, entrances = f"event {happening.name}", plan.by_event.get(happening.name, ())
    if happening.name == ENTRY_REQUESTED:
        requested, refusal = _requested(plan, happening)
        if refusal:
            _refuse(person, at, requested, happening.event_id, refusal)
        why, entrances = "request", (*entrances, *plan.by_request.get(requested, ()))
    if not entrances:
        return []
    names = person.names(at, happening.document)
    found: dict[str, _Candidate] = {}
    for entrance in entrances:
        entry = entrance.entry
        match entry.trigger:
            case Trigger() as trigger:
                opens = happening.meets([trigger], names) is not None
            case Requested(where):
                opens = where is None or where.holds(names)
        if opens:
            key = happening.key(entry.key) or ""
            # an event enters a journey once, by the first way that it opens
            found.setdefault(entrance.journey.name, _Candidate(entrance, happening.event_id, why, slot, key))
    return list(found.values())


def _requested(plan: Plan, happening: Happening) -> tuple[str, str]:
    """The journey that a request names, and why it starts nothing there, "" if it may."""
    properties = happening.document["properties"]
    name = properties.get("journey") if isinstance(properties, Mapping) else None
    if not isinstance(name, str) or name not in plan.project.journeys:
        return name[:100] if isinstance(name, str) else "", "there is no such journey"
    return name, "" if name in plan.by_request else "nobody enters it by request (enter: {api: true})"


def _by_segment(person: Working, plan: Plan, changes: Sequence[Change], slot: str, at: int) -> list[_Candidate]:
    found = []
    for change in changes:
        for entrance in plan.by_segment.get((change.segment, change.change), ()):
            cause, why = f"{person.id}\0{change.segment}\0{change.at}", f"{change.change} segment {change.segment}"
            if change.cause in STARTING or entrance.entry.existing:
                found.append(_Candidate(entrance, cause, why, slot))
            elif change.cause in TOLD:
                _refuse(person, at, entrance.journey.name, cause, f"{why} by a {change.cause}")
    return found


def _try(person: Working, plan: Plan, walk: Walk, candidate: _Candidate, happening: Happening | None) -> None:
    """Start an instance, unless a limit or an instance inside is in the way."""
    journey, rules, at = candidate.journey, candidate.entrance.entry, walk.at
    inside = [i for i in person.instances() if i.journey == journey.name and i.key == candidate.key]
    repeat = rules.on_repeat if inside else None
    obstacle = _obstacle(person, journey, rules, at, happening, repeat)
    if obstacle:
        _refuse(person, at, journey.name, candidate.cause, obstacle)
        return
    id_ = ids.instance_id(journey.name, candidate.cause)
    if any(instance.id == id_ for instance in inside):
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
        entry=happening.json if happening is not None else b"{}",
        acted=happening.event_id if happening is not None else "",
    )
    person.start(instance, candidate.slot)
    person.decide(at, reasons.ENTERED, candidate.why, journey=journey.name, instance=instance)
    if person.held_out(plan.project, journey, at):
        person.decide(at, reasons.ARM, reasons.HELD_OUT, journey=journey.name, instance=instance)
    walk.begin(instance)


def _obstacle(
    person: Working, journey: Journey, rules: Entry, at: int, happening: Happening | None, repeat: str | None
) -> str:
    """Why the person may not enter now, "" when nothing is in the way."""
    if person.excluded:
        return reasons.EXCLUDED
    by_event = isinstance(rules.trigger, Trigger) and rules.trigger.events
    if happening is not None and happening.repeated and by_event:
        return f"this {happening.name} was reported before"
    if rules.max_age is not None and happening is not None:
        age = at - int(happening.document["occurred_at"])
        if age > rules.max_age:
            return f"the event is {spoken(age)} old, at most {spoken(rules.max_age)} is allowed"
    if repeat == "ignore":
        return "already inside"
    if repeat == "restart":
        return ""  # the same visit begins again, it is no further one
    last = person.last_entry(journey.name)
    if last is not None and rules.once:
        return "was inside once"
    if last is not None and rules.at_most_every is not None and at - last < rules.at_most_every:
        return f"last entered {spoken(at - last)} ago, at most every {spoken(rules.at_most_every)}"
    return ""


def _refuse(person: Working, at: int, journey: str, cause: str, detail: str) -> None:
    person.decide(at, reasons.NOT_ENTERED, detail, journey=journey, subject=cause)
