"""People at the end of a dry run as the segments stage sees them, to ask what no file tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pathline.simulation.run import simulate
from processors.segments.model import PEOPLE
from processors.segments.plan import prepare
from processors.segments.view import View
from schemas.definitions.model import Condition, Project, Segment
from schemas.records import Event


def views(project: Project, asking: Condition, events: Iterable[Event], until: int) -> Iterator[tuple[str, View]]:
    """(person, what is known of it) after the events, in order of time; known is what this condition asks for."""
    segment = Segment("asking", asking)
    alone = replace(project, segments={segment.name: segment}, journeys={}, traits={}, exclude=None)
    plan = prepare(alone)
    for key, person in simulate(alone, events, until).states("segments", PEOPLE):
        held = {name: slot.state for name, slot in person.slots.held.items() if slot.state is not None}
        yield key, View(held, plan, {})
