"""What starts a journey, and what happens that it waits for or ends by, as written to as run."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.definitions.durations import UNITS, time_of_day
from schemas.definitions.expressions import Expression
from schemas.definitions.grammar import entries as written
from schemas.definitions.grammar.base import Findings, Part
from schemas.definitions.grammar.journeys import Goal as WrittenGoal
from schemas.definitions.model import Entry, Goal, OnDate, Requested, Schedule, Trigger
from schemas.definitions.names import Names, event_path, expression, refer
from schemas.definitions.yaml12 import Mark
from schemas.recurrence import recurrence


class TriggerBuilder:
    """Builds what stands under `enter`, `exit`, `goal` and `wait_for` in one file; `roots` are the names in CEL."""

    def __init__(self, names: Names, findings: Findings, roots: frozenset[str]) -> None:
        self._names = names
        self._findings = findings
        self._roots = roots
        #: ids of steps that receipts are asked of, and where
        self.asked: list[tuple[str, Mark]] = []

    def entries(self, written_as: Part | Sequence[Part]) -> tuple[Entry, ...]:
        """All that starts the journey."""
        return tuple(self._entry(one) for one in ([written_as] if isinstance(written_as, Part) else written_as))

    def triggers(self, written_as: Part | Sequence[Part]) -> tuple[Trigger, ...]:
        """All of what is one or a list."""
        return tuple(self.trigger(one) for one in ([written_as] if isinstance(written_as, Part) else written_as))

    def trigger(self, part: Part) -> Trigger:
        """One thing that happens."""
        if isinstance(part, written.EventTrigger):
            return Trigger(tuple(part.event), self._where(part, part.where), name=part.as_ or "")
        if isinstance(part, written.ReceiptTrigger):
            if part.of is not None:
                self.asked.append((part.of, part.at("of")))
            return Trigger(receipt=part.receipt, of=part.of or "")
        return self._segment(part)

    def goal(self, part: WrittenGoal) -> Goal:
        """What the journey wants."""
        if part.segment is not None:
            refer("segment", part.segment, self._names.segments, self._findings, part.at("segment"))
            return Goal(Trigger(segment=part.segment), part.within)
        return Goal(Trigger(tuple(part.event or ()), self._where(part, part.where)), part.within)

    def _entry(self, part: Part) -> Entry:
        assert isinstance(part, written.Limits)
        key = max_age = None
        existing = False
        trigger: Trigger | Requested | Schedule | OnDate
        if isinstance(part, written.ScheduleEntry):
            trigger = self._schedule(part)
        elif isinstance(part, written.DateEntry):
            trigger = self._date(part)
        elif isinstance(part, written.Keyed):
            where = self._where(part, part.where)
            trigger = Trigger(tuple(part.event), where) if isinstance(part, written.EventEntry) else Requested(where)
            key, max_age = part.key, part.max_age
            if key is not None:
                event_path(key, self._findings, part.at("key"))
        else:
            assert isinstance(part, written.SegmentEntry | written.LeftEntry)
            existing = part.existing
            trigger = self._segment(part)
        return Entry(trigger, existing, key, part.at_most_every, part.once, part.on_repeat, max_age)

    def _schedule(self, part: written.ScheduleEntry) -> Schedule:
        refer("segment", part.of, self._names.segments, self._findings, part.at("of"))
        try:
            recurrence(part.schedule, part.timezone, self._names.timezone)
        except ValueError as error:
            mark = part.at("timezone") if "zone" in str(error) and part.timezone is not None else part.at("schedule")
            self._findings.add(mark, str(error))
        return Schedule(part.schedule, part.timezone, part.of, part.rate)

    def _date(self, part: written.DateEntry) -> OnDate:
        if isinstance(part.date, str):
            return OnDate(self._dated(part.date, part.at("date")), "year")
        long = part.date
        every = long.every
        if isinstance(every, int) and every < UNITS["d"]:
            self._findings.add(long.at("every"), "a date comes again after a day at the earliest")
        at = None
        if long.at_ is not None:
            try:
                at = time_of_day(long.at_)
            except ValueError as error:
                self._findings.add(long.at("at"), str(error))
        offset = (long.after or 0) - (long.before or 0)
        return OnDate(self._dated(long.trait, long.at("trait")), every, offset, at)

    def _dated(self, path: str, mark: Mark) -> str:
        """The trait that a path names, with or without what stands before it elsewhere."""
        name = path.removeprefix("person.").removeprefix("traits.")
        if not all(name.split(".")) or name in ("traits", "person") or path.startswith(("entry.", "properties.")):
            self._findings.add(mark, f"{path!r} is no trait of the person", "write for example traits.birthday")
        return name

    def _segment(self, part: Part) -> Trigger:
        left = isinstance(part, written.LeftTrigger | written.LeftEntry)
        name: str = getattr(part, "left" if left else "segment")
        refer("segment", name, self._names.segments, self._findings, part.at("left" if left else "segment"))
        return Trigger(segment=name, change="left" if left else "entered")

    def _where(self, part: Part, source: str | None) -> Expression | None:
        if source is None:
            return None
        return expression(source, self._roots, self._findings, part.at("where"))
