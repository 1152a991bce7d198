"""What time alone lets a person into: its dates, and the schedules of segments it is in.

An occurrence of a schedule is like a timer of everybody: who is touched by something later is looked at for it first,
as it was at the occurrence's instant, and whoever is not is looked at when the partition goes through all it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import orjson
from msgspec.structs import replace

from processors.journeys.admission import Candidate, admit_all
from processors.journeys.agenda import Agendas
from processors.journeys.dates import next_occasion
from processors.journeys.late import Lateness
from processors.journeys.model import AGENDA, Agenda, Dated
from processors.journeys.plan import Entrance, Plan
from processors.journeys.walk import Walk
from processors.journeys.working import Working
from processors.runtime.contract import Turn
from schemas import traits
from schemas.definitions.expressions import iso
from schemas.definitions.model import OnDate, Schedule
from schemas.localtime import zone_of


class Arrival(NamedTuple):
    """Time opens a way in at `due`."""

    due: int
    entrance: Entrance


class Coming:
    """What comes in the turn at hand. People enter at a rate in `lanes`, one a partition; `settle` as of `Agendas`."""

    def __init__(self, turn: Turn, lateness: Lateness, settle: int, lanes: int) -> None:
        self._turn = turn
        self._lateness = lateness
        self._agendas = Agendas(turn, settle)
        self._lanes = lanes

    def due(self, person: Working, before: int) -> list[Arrival]:
        """What is due before an instant, whether it lets the person in or not."""
        plan = person.plan
        if plan is None or not plan.timed:
            return []
        dates = (
            Arrival(dated.due, plan.by_date[name])
            for name, dated in person.person.dates.items()
            if dated.due is not None and name in plan.by_date
        )
        return [arrival for arrival in (*dates, *self._schedules(person, plan)) if arrival.due < before]

    def let_in(self, person: Working, plan: Plan, walk: Walk, arrivals: list[Arrival]) -> None:
        """Let the person in by what is due now, where it may."""
        candidates = []
        for due, entrance in arrivals:
            match entrance.entry.trigger:
                case Schedule() as schedule:
                    candidate = self._by_schedule(person, entrance, schedule, due)
                case OnDate() as rule:
                    candidate = self._by_date(person, entrance, rule, walk.at)
                case _:
                    raise TypeError(f"{entrance.name} is opened by no time")
            if candidate is not None:
                candidates.append(candidate)
        admit_all(person, plan, walk, candidates)

    # --- dates --------------------------------------------------------------------------------------------------

    def _by_date(self, person: Working, entrance: Entrance, rule: OnDate, at: int) -> Candidate | None:
        dated, slot = person.person.dates[entrance.name], person.leading_slot()
        if slot is None:
            person.change(dates={})
            return None
        assert dated.due is not None  # it came
        person.note_occasion(entrance.name, dated.name, slot)
        _plan(person, entrance, dated, dated.due)
        date = dated.name.removesuffix("T00:00:00")
        return Candidate(
            entrance,
            f"{person.id}\0{entrance.name}\0{dated.name}",
            f"date {rule.trait} {date}",
            slot,
            entry=orjson.dumps({"properties": {"date": date}}),
            occasion=dated.name,
            begin_at=self._turn_for(person, dated.due),
        )

    # --- schedules ----------------------------------------------------------------------------------------------

    def _schedules(self, person: Working, plan: Plan) -> Iterator[Arrival]:
        """Occurrences that the person was not looked at for yet."""
        agenda = self._agendas.current(plan) if plan.by_schedule else None
        for name, occurrence in agenda.schedules.items() if agenda is not None else ():
            passed = occurrence.open and person.id <= occurrence.after
            if not passed and person.person.considered.get(name, -1) < occurrence.at:
                yield Arrival(occurrence.at, plan.by_schedule[name])
        for name, at in person.person.owed.items():
            if name in plan.by_schedule:
                yield Arrival(at, plan.by_schedule[name])

    def _by_schedule(self, person: Working, entrance: Entrance, schedule: Schedule, at: int) -> Candidate | None:
        agenda, name = self._agenda(), entrance.name
        current = agenda.schedules.get(name) if agenda is not None else None
        if agenda is not None and current is not None and current.at == at:
            known = {entry: when for entry, when in person.person.considered.items() if entry in agenda.schedules}
            person.change(considered={**known, name: at})
        person.change(owed={other: owed for other, owed in person.person.owed.items() if other != name})
        slot = person.leading_slot()
        if slot is None or schedule.segment not in person.profile.segments:
            return None
        if person.newest_occasion(name) >= iso(at):
            return None  # somebody who was joined to the person came in by it
        person.note_occasion(name, iso(at), slot)
        return Candidate(
            entrance,
            f"{person.id}\0{name}\0{at}",
            f"schedule of segment {schedule.segment} at {iso(at)}",
            slot,
            entry=orjson.dumps({"properties": {"scheduled_at": iso(at)}}),
            occasion=iso(at),
            begin_at=max(self._place(entrance, schedule, at), self._turn_for(person, at)),
        )

    def _place(self, entrance: Entrance, schedule: Schedule, at: int) -> int:
        """When it is the turn of whoever comes next at the schedule's rate: partitions take turns."""
        agenda = self._agenda()
        current = agenda.schedules.get(entrance.name) if agenda is not None else None
        if agenda is None or current is None or current.at != at or schedule.rate is None:
            return at
        schedules = {**agenda.schedules, entrance.name: replace(current, places=current.places + 1)}
        self._turn.put(AGENDA, "", replace(agenda, schedules=schedules))
        many, per = schedule.rate
        return at + (current.places * self._lanes + self._turn.partition) * per // many

    def _turn_for(self, person: Working, due: int) -> int:
        return self._lateness.turn_for(person) if self._lateness.is_late(person, due) else due

    def _agenda(self) -> Agenda | None:
        return self._turn.get(AGENDA, "")


def follow_dates(person: Working, at: int, anew: bool = False) -> None:
    """The dates of a person are those of its profile now; `anew`: the definitions are others."""
    plan, known = person.plan, person.person.dates
    if plan is None or not (plan.by_date or known):
        return
    if person.leading_slot() is None or known.keys() - plan.by_date.keys():
        person.change(dates={name: d for name, d in known.items() if name in plan.by_date and person.leading_slot()})
    if person.leading_slot() is None:
        return
    zone = person.zone(plan.project).key
    for name, entrance in plan.by_date.items():
        rule = entrance.entry.trigger
        assert isinstance(rule, OnDate)
        value = traits.find(person.profile.traits, rule.trait)
        told, dated = orjson.dumps(value), known.get(name)
        if dated is None or dated.value != told:
            dated = Dated(value=told, zone=zone, since=at)
        elif dated.zone == zone and not anew:
            continue
        _plan(person, entrance, replace(dated, zone=zone), at)


def _plan(person: Working, entrance: Entrance, dated: Dated, at: int) -> None:
    """The next occasion of a date at `at` or later."""
    rule, zone = entrance.entry.trigger, zone_of(dated.zone)
    assert isinstance(rule, OnDate)
    value, after = orjson.loads(dated.value), person.newest_occasion(entrance.name)
    occasion = next_occasion(rule, value, zone, dated.since, at, after)
    due, name = (None, "") if occasion is None else occasion
    dates = {**person.person.dates, entrance.name: replace(dated, due=due, name=name)}
    if value is None:
        del dates[entrance.name]
    person.change(dates=dates)
    if due is not None:
        person.wakes.append((due, entrance.journey.priority))
