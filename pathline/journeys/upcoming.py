"""What falls due for a person: where its running instances wait, until when, and what comes then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from pathline.journeys.words import told
from processors.journeys import positions
from processors.journeys.positions import ON_TIMEOUT, Position
from schemas.definitions.expressions import iso
from schemas.definitions.model import Journey, Project, Send, Step, WaitFor
from schemas.definitions.steps import arms
from schemas.reasons import ENTERED, GOAL
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.journeys import ENDS


@dataclass(frozen=True, slots=True)
class Upcoming:
    """An instance that waits. `due` is when time ends its wait, None when only something else does; `then` is what
    comes then; while its journey is `paused` (`state`) that waits too. Times are UTC in ISO 8601."""

    due: str | None
    journey: str
    state: str
    step: str
    waits: str
    then: str
    entered_at: str
    instance_id: str


def upcoming(warehouse: Warehouse, project: Project, person: UUID, states: Mapping[str, str]) -> list[Upcoming]:
    """What falls due for a person, the first first; what waits for something else than time comes last. `states` are
    those of journeys that do not simply run."""
    rows = warehouse.rows(_WAITING, {"person": person, "ends": sorted(ENDS)})
    found = [_told(row, project.journeys.get(row["journey"]), states.get(row["journey"], "")) for row in rows]
    return sorted(found, key=lambda each: (each.due is None, each.due, each.journey, each.instance_id))


def _told(row: dict[str, object], journey: Journey | None, state: str) -> Upcoming:
    step_id, detail = str(row["step"]), str(row["detail"])
    place = None if journey is None else next((p for p, s in _places(journey.steps) if s.id == step_id), None)
    step = None if journey is None or place is None else positions.step_at(journey, place)
    waits = detail or (" ".join(told(step)) if step is not None else "")
    then = "" if journey is None or place is None or step is None else _after(journey, place, step)
    due = row["due"]
    return Upcoming(
        due=None if due is None else iso(round(due.timestamp() * 1000)),  # type: ignore[attr-defined]
        journey=str(row["journey"]),
        state=state,
        step=step_id,
        waits=waits,
        then=then if due is not None else "",
        entered_at=iso(round(row["entered_at"].timestamp() * 1000)),  # type: ignore[attr-defined]
        instance_id=str(row["instance_id"]),
    )


def _after(journey: Journey, place: Position, step: Step) -> str:
    """What comes when time ends the wait at a step."""
    if isinstance(step, Send):
        return " ".join(told(step))
    onward = positions.into(place, ON_TIMEOUT) if isinstance(step, WaitFor) else positions.after(place)
    settled = positions.settled(journey, onward)
    following = None if settled is None else positions.step_at(journey, settled)
    return "the end" if following is None else " ".join(told(following)).strip()


def _places(steps: tuple[Step, ...], outer: Position = ()) -> Iterator[tuple[Position, Step]]:
    """All steps with where they stand."""
    for number, step in enumerate(steps):
        place = (*outer, number)
        yield place, step
        for arm, inner in enumerate(arms(step)):
            yield from _places(inner, (*place, arm))


_TOLD = f"s.step != '' AND s.reason != '{GOAL}'"
_WAITING = f"""
SELECT s.journey AS journey, s.instance_id AS instance_id, minIf(s.at, s.reason = '{ENTERED}') AS entered_at,
    argMaxIf(s.step, s.number, {_TOLD}) AS step, argMaxIf(s.detail, s.number, {_TOLD}) AS detail,
    argMaxIf(tuple(s.due), s.number, {_TOLD}).1 AS due
FROM pathline.journey_steps AS s
WHERE s.person_id = {{person:UUID}} AND s.instance_id != ''
GROUP BY journey, instance_id
HAVING countIf(s.reason IN {{ends:Array(String)}}) = 0 AND countIf({_TOLD}) > 0
"""
