"""A project's journeys, indexed by what can start or touch them, so that an event looks at nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from processors.journeys.allowance import contended, horizon, said_for
from processors.runtime.definitions import DefinitionsSource
from schemas.definitions.model import Branch, Entry, Journey, Project, Requested, Split, Step, Trigger, Wait, WaitFor

_PLANS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Entrance:
    """One of the ways into a journey, by its place among them."""

    journey: Journey
    number: int

    @property
    def entry(self) -> Entry:
        return self.journey.entries[self.number]


@dataclass(frozen=True, slots=True)
class Plan:
    """`by_event`, `by_segment` (name, change) and `by_request` (journey) are the ways in that these may open, by
    priority; `awaited` are the events that can act on a running instance, `highest` is the highest priority of a
    marketing journey.

    A send matters for caps and receipts for `keeps` milliseconds, for intents for `says` (None: for ever); `contended`
    is whether one can take the place of another.
    """

    project: Project
    by_event: dict[str, tuple[Entrance, ...]]
    by_segment: dict[tuple[str, str], tuple[Entrance, ...]]
    by_request: dict[str, tuple[Entrance, ...]]
    awaited: frozenset[str]
    highest: int
    keeps: int
    says: int | None
    contended: bool


class Plans:
    """Plans by version; those of the versions in use are kept."""

    def __init__(self, source: DefinitionsSource) -> None:
        self._source = source
        self._plans: dict[str, Plan] = {}

    def of(self, version: str) -> Plan:
        """The plan of a published version. Raises LookupError when there is no such version."""
        plan = self._plans.get(version)
        return plan if plan is not None else self._keep(self._source.project(version))

    def latest(self) -> Plan | None:
        """The plan of the project published last, None when there is none."""
        project = self._source.latest()
        if project is None:
            return None
        return self._plans.get(project.version) or self._keep(project)

    def _keep(self, project: Project) -> Plan:
        while len(self._plans) >= _PLANS_KEPT:
            del self._plans[next(iter(self._plans))]
        plan = self._plans[project.version] = _plan(project)
        return plan


def _plan(project: Project) -> Plan:
    by_event: dict[str, list[Entrance]] = defaultdict(list)
    by_segment: dict[tuple[str, str], list[Entrance]] = defaultdict(list)
    by_request: dict[str, list[Entrance]] = defaultdict(list)
    for journey in sorted(project.journeys.values(), key=lambda j: (-j.priority, j.name)):
        for number, entry in enumerate(journey.entries):
            entrance = Entrance(journey, number)
            match entry.trigger:
                case Requested():
                    by_request[journey.name].append(entrance)
                case Trigger(events=names, segment=None):
                    for name in names:
                        by_event[name].append(entrance)
                case Trigger(segment=str(segment), change=change):
                    by_segment[segment, change].append(entrance)
    return Plan(
        project,
        {name: tuple(entrances) for name, entrances in by_event.items()},
        {change: tuple(entrances) for change, entrances in by_segment.items()},
        {name: tuple(entrances) for name, entrances in by_request.items()},
        frozenset(name for journey in project.journeys.values() for name in _awaited(journey)),
        max((journey.priority for journey in project.journeys.values() if journey.category == "marketing"), default=0),
        horizon(project),
        said_for(project),
        contended(project),
    )


def _awaited(journey: Journey) -> Iterator[str]:
    triggers: list[Trigger] = list(journey.exit)
    if journey.goal is not None:
        triggers.append(journey.goal.trigger)
    for step in _all_steps(journey.steps):
        if isinstance(step, WaitFor):
            triggers.extend(step.triggers)
        elif isinstance(step, Wait):
            yield from step.restart_on
    for trigger in triggers:
        yield from trigger.events


def _all_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        match step:
            case WaitFor(then=then, on_timeout=on_timeout):
                yield from _all_steps(then + on_timeout)
            case Branch(arms=arms):
                for arm in arms:
                    yield from _all_steps(arm.steps)
            case Split(arms=shares):
                for _, _, inner in shares:
                    yield from _all_steps(inner)
            case _:
                pass
