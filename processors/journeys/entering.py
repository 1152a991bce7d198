"""Which journeys an event, a request or a segment change could start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processors.journeys.admission import Candidate, admit_all, refuse
from processors.journeys.happening import NO_CHAIN, Happening
from processors.journeys.plan import Plan
from processors.journeys.walk import Walk
from processors.journeys.working import Working
from schemas.definitions.model import Requested, Trigger
from schemas.records import Change
from schemas.requests import ENTRY_REQUESTED

#: causes of a segment change that start journeys; the others only those that say `existing: true`
STARTING = frozenset({"event", "timer"})
#: causes that concern single persons, so that saying why nothing started floods nobody
TOLD = frozenset({"merge", "split"})


def enter(
    person: Working,
    plan: Plan,
    walk: Walk,
    slot: str | None,
    changes: Sequence[Change],
    happening: Happening | None = None,
) -> None:
    """Start the journeys that the event at hand (filed under `slot`) and the segment changes start.

    What came of history starts nothing.
    """
    if happening is not None and happening.historical:
        return
    candidates: list[Candidate] = []
    if happening is not None and slot is not None and not happening.of_update:
        candidates += _by_event(person, plan, happening, slot, walk.at)
    leading = person.leading_slot() if changes else None
    if leading is not None:
        candidates += _by_segment(person, plan, changes, leading, walk.at, happening)
    if candidates:
        admit_all(person, plan, walk, candidates)


def _by_event(person: Working, plan: Plan, happening: Happening, slot: str, at: int) -> list[Candidate]:
    why, entrances = f"event {happening.name}", plan.by_event.get(happening.name, ())
    if happening.name == ENTRY_REQUESTED:
        requested, refusal = _requested(plan, happening)
        if refusal:
            refuse(person, at, requested, happening.event_id, refusal)
        why, entrances = "request", (*entrances, *plan.by_request.get(requested, ()))
    if not entrances:
        return []
    names = person.names(at, happening.document)
    found: dict[str, Candidate] = {}
    for entrance in entrances:
        entry = entrance.entry
        match entry.trigger:
            case Trigger() as trigger:
                opens = happening.meets(trigger, names)
            case Requested(where):
                opens = where is None or where.holds(names)
        if opens:
            key = happening.key(entry.key) or ""
            # an event enters a journey once, by the first way that it opens
            cause, chain = happening.event_id, happening.chain
            candidate = Candidate(entrance, cause, why, slot, key, happening, chain=chain)
            found.setdefault(entrance.journey.name, candidate)
    return list(found.values())


def _requested(plan: Plan, happening: Happening) -> tuple[str, str]:
    """The journey that a request names, and why it starts nothing there, "" if it may."""
    properties = happening.document["properties"]
    name = properties.get("journey") if isinstance(properties, Mapping) else None
    if not isinstance(name, str) or name not in plan.project.journeys:
        return name[:100] if isinstance(name, str) else "", "there is no such journey"
    return name, "" if name in plan.by_request else "nobody enters it by request (enter: {api: true})"


def _by_segment(
    person: Working, plan: Plan, changes: Sequence[Change], slot: str, at: int, happening: Happening | None
) -> list[Candidate]:
    found, chain = [], NO_CHAIN if happening is None else happening.chain
    for change in changes:
        for entrance in plan.by_segment.get((change.segment, change.change), ()):
            cause, why = f"{person.id}\0{change.segment}\0{change.at}", f"{change.change} segment {change.segment}"
            if change.cause in STARTING or entrance.entry.existing:
                found.append(Candidate(entrance, cause, why, slot, happening=happening, chain=chain))
            elif change.cause in TOLD:
                refuse(person, at, entrance.journey.name, cause, f"{why} by a {change.cause}")
    return found
