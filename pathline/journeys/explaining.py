"""Why a person got what it got from a journey, or why nothing: its decisions, and what its ways in ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pathline.journeys.known import events_of
from pathline.journeys.words import entrance, told, trigger
from schemas.definitions.expressions import Expression, document, iso
from schemas.definitions.model import Entry, Journey, Project, Requested, Schedule, Trigger
from schemas.definitions.steps import all_steps
from schemas.journey_states import DRAINING, PAUSED
from schemas.reasons import GOAL, NOT_ENTERED
from schemas.records import Event
from schemas.requests import ENTRY_REQUESTED
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.journeys import ENDS

#: what the state of a journey means for people
_STATES = {
    PAUSED: "the journey is paused: what falls due waits for `pathline journeys resume`",
    DRAINING: "the journey is drained: nobody enters it any more",
}
#: so many of the newest events are looked at for whether they fit
_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, in words. `instance` counts the times the person was inside, 0 for what let it not in. Times are UTC
    in ISO 8601."""

    at: str
    instance: int
    step: str
    does: str
    channel: str
    reason: str
    detail: str
    due: str | None
    send_id: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`verdict` says where the person stands in one sentence each."""

    person_id: str
    journey: str
    verdict: list[str]
    decisions: list[Decided]


def explain(warehouse: Warehouse, project: Project, journey: Journey, person: UUID, state: str = "") -> Explanation:
    """All that a journey decided about a person, oldest first, and what follows; `state` is that of a
    journey that does not simply run."""
    rows = warehouse.rows(_DECISIONS, {"person": person, "journey": journey.name})
    does = {step.id: " ".join(told(step)).strip() for step in all_steps(journey.steps)}
    numbers: dict[str, int] = {}
    decisions = []
    for row in rows:
        inside = row["instance_id"]
        number = numbers.setdefault(inside, len(numbers) + 1) if inside else 0
        decisions.append(
            Decided(
                at=_iso(row["at"]),
                instance=number,
                step=row["step"],
                does=does.get(row["step"], ""),
                channel=row["channel"],
                reason=row["reason"],
                detail=row["detail"],
                due=None if row["due"] is None else _iso(row["due"]),
                send_id=row["send_id"],
            )
        )
    verdict = [_standing(number, decisions) for number in numbers.values()]
    if not verdict:
        verdict = ["was never inside", *_never(warehouse, journey, person, decisions)]
    if state in _STATES:
        verdict.append(_STATES[state])
    return Explanation(str(person), journey.name, verdict, decisions)


def _standing(number: int, decisions: list[Decided]) -> str:
    """Where an instance is, or how it ended."""
    own = [decided for decided in decisions if decided.instance == number]
    entered = own[0].at
    ends = [decided for decided in own if decided.reason in ENDS]
    if ends:
        end = ends[-1]
        return f"inside from {entered}, {end.reason} {end.at}" + (f": {end.detail}" if end.detail else "")
    last = next((d for d in reversed(own) if d.step and d.reason != GOAL), own[-1])
    until = f" until {last.due}" if last.due else ""
    return f"inside since {entered}, at step {last.step} ({last.does or last.reason}){until}"


def _never(warehouse: Warehouse, journey: Journey, person: UUID, decisions: list[Decided]) -> Iterator[str]:
    refused = [decided for decided in decisions if decided.reason == NOT_ENTERED]
    if refused:
        yield f"was not let in {_times(len(refused))}, last {refused[-1].at}: {refused[-1].detail}"
    since = warehouse.rows(_IN_FORCE, {"file": journey.path})[0]
    if since["known"]:
        yield f"the journey is in force since {_iso(since['at'])}"
    for entry in journey.entries:
        yield from _way_in(warehouse, journey, entry, person)


def _way_in(warehouse: Warehouse, journey: Journey, entry: Entry, person: UUID) -> Iterator[str]:
    match entry.trigger:
        case Trigger(segment=str(segment), change=change):
            yield f"enters when somebody {trigger(entry.trigger)}: {_membership(warehouse, segment, change, person)}"
        case Trigger(events=names):
            happened = events_of(warehouse, person, list(names), _LOOKED_AT)
            yield f"enters by {trigger(entry.trigger)}: {_events(entry.trigger.where, happened)}"
        case Requested(where=where):
            asked = events_of(warehouse, person, [ENTRY_REQUESTED], _LOOKED_AT)
            named = [event for event in asked if json.loads(event.properties).get("journey") == journey.name]
            yield f"enters by {entrance(entry)}: {_events(where, named)}"
        case Schedule(segment=segment):
            yield f"enters by {entrance(entry)}: {_membership(warehouse, segment, 'entered', person)}"
        case _:
            yield f"enters by {entrance(entry)}"


def _membership(warehouse: Warehouse, segment: str, change: str, person: UUID) -> str:
    rows = warehouse.rows(_INTERVALS, {"person": person, "segment": segment})
    if not rows:
        return "was never in it"
    last = rows[-1]
    if change == "left":
        if last["left_at"] is None:
            return f"is in it since {_iso(last['entered_at'])}"
        return f"left {_iso(last['left_at'])}, cause {last['left_cause']}"
    state = "is in it since" if last["left_at"] is None else "was in it from"
    return f"{state} {_iso(last['entered_at'])}, cause {last['entered_cause']}"


def _events(where: Expression | None, found: list[Event]) -> str:
    """Of events that could let somebody in, the newest first: how many did."""
    if not found:
        return "never happened"
    if where is None or where.roots - {"event"}:
        return f"happened {_times(len(found))}, last {iso(found[0].occurred_at)}{_historical(found[0])}"
    fitting = [event for event in found if where.holds({"event": document(event)})]
    if not fitting:
        return f"happened {_times(len(found))}, last {iso(found[0].occurred_at)}, never so that {where.source}"
    return f"happened so {_times(len(fitting))}, last {iso(fitting[0].occurred_at)}{_historical(fitting[0])}"


def _historical(event: Event) -> str:
    return ", loaded as history, which starts nothing" if event.historical else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _iso(at: datetime) -> str:
    return iso(round(at.timestamp() * 1000))


_DECISIONS = """
SELECT at, instance_id, step, channel, reason, detail, due, send_id FROM pathline.journey_steps
WHERE person_id = {person:UUID} AND journey = {journey:String} ORDER BY at, entered_at, instance_id, number
"""
_IN_FORCE = """
SELECT count() > 0 AS known, min(published_at) AS at FROM pathline.definitions WHERE mapContains(files, {file:String})
"""
_INTERVALS = """
SELECT entered_at, left_at, entered_cause, left_cause FROM pathline.membership_intervals
WHERE person_id = {person:UUID} AND segment = {segment:String} ORDER BY entered_at
"""
