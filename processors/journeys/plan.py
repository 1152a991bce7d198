"""A project's journeys, indexed by what can start or touch them, so that an event looks at nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from processors.journeys.allowance import contended, horizon, said_for
from processors.runtime.definitions import DefinitionsSource
from schemas.definitions.model import (
    Channel,
    Entry,
    Journey,
    OnDate,
    Project,
    Promo,
    Requested,
    Schedule,
    Send,
    Trigger,
    Wait,
    WaitFor,
)
from schemas.definitions.steps import all_steps, sends
from schemas.receipts import is_receipt

_PLANS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Entrance:
    """One of the ways into a journey, by its place among them."""

    journey: Journey
    number: int

    @property
    def entry(self) -> Entry:
        return self.journey.entries[self.number]

    @property
    def name(self) -> str:
        """Its name in what is remembered of it."""
        return f"{self.journey.name}/{self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`by_event`, `by_segment` (name, change) and `by_request` (journey) are the ways in that these may open, by
    priority, `by_schedule` and `by_date` those that time opens, by their names. `awaited` are the events that can act
    on a running instance, and receipts if `receipts`; `highest` is the highest priority of a marketing journey.

    A send matters for caps and receipts for `keeps` milliseconds, for intents for `says` (None: for ever); `contended`
    is whether one can take the place of another, `reads` whether it matters who reads what. `redeems` are the
    promos whose codes an event of a name may show as used. `migrates` are the journeys that take people over from
    earlier versions; `syncs` the audiences of a segment.
    """

    project: Project
    by_event: dict[str, tuple[Entrance, ...]]
    by_segment: dict[tuple[str, str], tuple[Entrance, ...]]
    by_request: dict[str, tuple[Entrance, ...]]
    by_schedule: dict[str, Entrance]
    by_date: dict[str, Entrance]
    awaited: frozenset[str]
    receipts: bool
    highest: int
    keeps: int
    says: int | None
    contended: bool
    reads: bool
    redeems: dict[str, tuple[Promo, ...]]
    migrates: frozenset[str]
    syncs: dict[str, tuple[Channel, ...]]

    @property
    def timed(self) -> bool:
        """Whether time opens a way in."""
        return bool(self.by_schedule or self.by_date)

    def awaits(self, name: str) -> bool:
        """Whether an event of this name can act on a running instance."""
        return name in self.awaited or (self.receipts and is_receipt(name))


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
    by_schedule: dict[str, Entrance] = {}
    by_date: dict[str, Entrance] = {}
    for journey in sorted(project.journeys.values(), key=lambda j: (-j.priority, j.name)):
        for number, entry in enumerate(journey.entries):
            entrance = Entrance(journey, number)
            match entry.trigger:
                case Requested():
                    by_request[journey.name].append(entrance)
                case Schedule():
                    by_schedule[entrance.name] = entrance
                case OnDate():
                    by_date[entrance.name] = entrance
                case Trigger(events=names, segment=None):
                    for name in names:
                        by_event[name].append(entrance)
                case Trigger(segment=str(segment), change=change):
                    by_segment[segment, change].append(entrance)
    journeys = project.journeys.values()
    return Plan(
        project,
        by_event={name: tuple(entrances) for name, entrances in by_event.items()},
        by_segment={change: tuple(entrances) for change, entrances in by_segment.items()},
        by_request={name: tuple(entrances) for name, entrances in by_request.items()},
        by_schedule=by_schedule,
        by_date=by_date,
        awaited=frozenset(name for journey in journeys for name in _awaited(journey)),
        receipts=any(_awaits_receipts(journey) for journey in journeys),
        highest=max((journey.priority for journey in journeys if journey.category == "marketing"), default=0),
        keeps=horizon(project),
        says=said_for(project),
        contended=contended(project),
        redeems={
            name: tuple(promo for promo in project.promos.values() if name in promo.redeemed)
            for name in {event for promo in project.promos.values() for event in promo.redeemed}
        },
        reads=any(send.choice == "best" for send in sends(project)),
        syncs={
            segment.name: tuple(project.channels[name] for name in segment.sync if name in project.channels)
            for segment in project.segments.values()
            if segment.sync
        },
        migrates=frozenset(journey.name for journey in journeys if journey.migrate is not None),
    )


def _triggers(journey: Journey) -> Iterator[Trigger]:
    """All that can act on a running instance, but what starts a wait again."""
    yield from journey.exit
    if journey.goal is not None:
        yield journey.goal.trigger
    for step in all_steps(journey.steps):
        if isinstance(step, WaitFor):
            yield from step.triggers


def _awaited(journey: Journey) -> Iterator[str]:
    for trigger in _triggers(journey):
        yield from trigger.events
    for step in all_steps(journey.steps):
        if isinstance(step, Wait):
            yield from step.restart_on


def _awaits_receipts(journey: Journey) -> bool:
    cascades = any(isinstance(step, Send) and step.until is not None for step in all_steps(journey.steps))
    return cascades or any(trigger.receipt for trigger in _triggers(journey))
