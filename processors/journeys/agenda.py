"""What time brings in a partition: the occurrences of schedules, and that people follow other definitions.

Both go through all people of the partition, some in a turn, so that live records wait for no more than that.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from msgspec.structs import replace

from processors.journeys.model import AGENDA, PERSONS, Agenda, Occurrence
from processors.journeys.plan import Entrance, Plan
from processors.runtime.contract import Turn
from schemas.definitions.model import Schedule
from schemas.recurrence import recurrence

#: key of the partition's wakes: persons have longer ones
KEY = ""
#: people looked at in one turn
AT_ONCE = 200


class Agendas:
    """The agenda of the partition at hand. An occurrence begins `settle` milliseconds after its instant, so that what
    happened up to it has arrived."""

    def __init__(self, turn: Turn, settle: int) -> None:
        self._turn = turn
        self._settle = settle

    def adopt(self, plan: Plan, since: int, before: Plan | None) -> Agenda | None:
        """Other definitions are in force since an instant; `before` are those that were. None if time brings nothing by
        any of them."""
        known = self._turn.get(AGENDA, "")
        if known is None and not (plan.timed or plan.migrates or plan.syncs):
            return None
        schedules = {}
        for name, entrance in plan.by_schedule.items():
            same = known is not None and before is not None and name in known.schedules
            if same and before.by_schedule[name].entry.trigger == entrance.entry.trigger:  # type: ignore[union-attr]
                schedules[name] = known.schedules[name]  # type: ignore[union-attr]
            elif (coming := _occurrence(plan, entrance, since)) is not None:
                schedules[name] = coming
                self._wake(coming)
        version, maps = plan.project.version, () if known is None else known.maps
        maps = (*maps, (version, since)) if plan.migrates else maps
        agenda = Agenda(version=version, since=since, swept="", schedules=schedules, maps=maps)
        self._turn.put(AGENDA, "", agenda)
        self._turn.wake(KEY, self._turn.now)
        return agenda

    def look_through(self, plan: Plan, since: int) -> None:
        """All people of the partition are looked at once more, as something holds that they have not heard of."""
        version = plan.project.version
        agenda = self._turn.get(AGENDA, "") or Agenda(version=version, since=since)
        self._turn.put(AGENDA, "", replace(agenda, swept=""))
        self._turn.wake(KEY, self._turn.now)

    def current(self, plan: Plan) -> Agenda | None:
        """The agenda of these definitions, without occurrences that the next one has overtaken before they began."""
        agenda = self._turn.get(AGENDA, "")
        if agenda is None or agenda.version != plan.project.version:
            return None
        schedules = {name: self._newest(plan, name, one) for name, one in agenda.schedules.items()}
        if schedules != agenda.schedules:
            agenda = replace(agenda, schedules=schedules)
            self._turn.put(AGENDA, "", agenda)
        return agenda

    def _newest(self, plan: Plan, name: str, occurrence: Occurrence) -> Occurrence:
        while not occurrence.open and self._begins(occurrence.following):
            assert occurrence.following is not None
            coming = _occurrence(plan, plan.by_schedule[name], occurrence.following)
            assert coming is not None
            occurrence = coming
            self._wake(occurrence)
        return occurrence

    def _begins(self, at: int | None) -> bool:
        return at is not None and at + self._settle <= self._turn.now

    def go_on(self, plan: Plan, follow: Callable[[str], None], look_at: Callable[[str, str, int], None]) -> None:
        """Take the next people along: with `follow` (key) to other definitions, with `look_at` (key, entry, instant)
        into an occurrence."""
        agenda = self.current(plan)
        if agenda is None:
            return
        if agenda.swept is not None:
            found = list(islice(self._turn.scan(PERSONS, after=agenda.swept), AT_ONCE))
            for key, _ in found:
                follow(key)
            if found:
                self._put(swept=found[-1][0])
            else:
                self._put(swept=None, maps=agenda.maps[-1:])
            self._turn.wake(KEY, self._turn.now)
            return
        for name, occurrence in agenda.schedules.items():
            if self._begins(occurrence.at):
                self._occur(plan, name, occurrence, look_at)
                return

    def _occur(self, plan: Plan, name: str, occurrence: Occurrence, look_at: Callable[[str, str, int], None]) -> None:
        found = [key for key, _ in islice(self._turn.scan(PERSONS, after=occurrence.after), AT_ONCE)]
        if found:
            self._schedule(name, replace(occurrence, open=True))
            for key in found:
                look_at(key, name, occurrence.at)
            agenda = self._turn.get(AGENDA, "")
            assert agenda is not None
            # places were given meanwhile
            self._schedule(name, replace(agenda.schedules[name], after=found[-1]))
            self._turn.wake(KEY, self._turn.now)
            return
        following = occurrence.following
        coming = None if following is None else _occurrence(plan, plan.by_schedule[name], following)
        self._schedule(name, coming)
        if coming is not None:
            self._wake(coming)
        # others may be due as well
        self._turn.wake(KEY, self._turn.now)

    def _schedule(self, name: str, occurrence: Occurrence | None) -> None:
        agenda = self._turn.get(AGENDA, "")
        assert agenda is not None
        schedules = {**agenda.schedules, name: occurrence}
        self._put(schedules={known: one for known, one in schedules.items() if one is not None})

    def _put(self, **fields: object) -> None:
        agenda = self._turn.get(AGENDA, "")
        assert agenda is not None
        self._turn.put(AGENDA, "", replace(agenda, **fields))

    def _wake(self, occurrence: Occurrence) -> None:
        self._turn.wake(KEY, max(occurrence.at + self._settle, self._turn.now))


def _occurrence(plan: Plan, entrance: Entrance, at: int) -> Occurrence | None:
    """The first occurrence of a schedule at an instant or later."""
    schedule = entrance.entry.trigger
    assert isinstance(schedule, Schedule)
    rule = recurrence(schedule.rule, schedule.zone, plan.project.timezone)
    first = rule.next(at)
    return None if first is None else Occurrence(at=first, following=rule.next(first + 1))
