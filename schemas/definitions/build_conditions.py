"""Conditions as written to conditions as evaluated."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from schemas.definitions import durations
from schemas.definitions.build_measures import measured, moment, plain, window
from schemas.definitions.contradictions import contradiction
from schemas.definitions.expressions import Expression
from schemas.definitions.grammar import conditions as written
from schemas.definitions.grammar.base import DAYS, Findings, Part, usable_name
from schemas.definitions.grammar.measures import Measuring
from schemas.definitions.grammar.predictions import PredictsThis
from schemas.definitions.grammar.rfm import ScoredBy
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    HasConsent,
    Holds,
    InList,
    InOrder,
    InSegment,
    LocalTime,
    Not,
    Percent,
    Prefers,
    Reachable,
    TraitIs,
    root,
)
from schemas.definitions.names import Names, event_path, expression, refer
from schemas.definitions.predictions import predicts
from schemas.definitions.scores import scored
from schemas.definitions.yaml12 import Mark
from schemas.lists import PREFIX

#: Stands where a condition could not be built; the project is refused then anyway.
_NOTHING = All(())
#: Names that `where` of a counted event may use: history is counted once, so only what the event itself holds.
_COUNTED = ("event",)
_LINES = ("event", "item")


class ConditionBuilder:
    """Builds conditions of one file, of the segment or journey `owner`. `cel` are the names a `cel:` condition may use,
    None where there is none. `segment` is the one that is built, if it is one."""

    def __init__(
        self, owner: str, names: Names, findings: Findings, cel: Collection[str] | None = None, segment: str = ""
    ) -> None:
        self._owner = owner
        self._names = names
        self._findings = findings
        self._cel = cel
        self._segment = segment
        #: segments that what was built refers to, and where first
        self.references: dict[str, Mark] = {}

    def build(self, part: Part) -> Condition:
        """The condition; problems go to the findings."""
        match part:
            case written.AllOf():
                return self._all(tuple(self.build(inner) for inner in part.all), part.at("all"))
            case written.AnyOf():
                return AnyOf(tuple(self.build(inner) for inner in part.any))
            case written.NotThis():
                return Not(self.build(part.not_))
            case written.DidThis():
                return self._did(part)
            case written.DidInOrder():
                return self._in_order(part)
            case Measuring():
                return measured(part, self._names, self._findings)
            case written.TraitIs():
                return self._trait(part)
            case written.InThis():
                return self._in(part)
            case written.Consent():
                return self._consent(part)
            case written.ReachableBy():
                refer("channel", part.reachable, self._names.channels, self._findings, part.at("reachable"))
                return Reachable(part.reachable)
            case ScoredBy():
                return scored(part.rfm.asked(), self._names.scoring)
            case PredictsThis():
                return predicts(part.predicts, self._names.predicting)
            case written.TimeIs():
                return self._time(part.time)
            case written.PercentOf():
                low, high = part.percent if isinstance(part.percent, list) else (0, part.percent)
                return Percent(low, high, part.of or self._owner)
            case written.PrefersChannel():
                sending = [name for name, channel in self._names.channels.items() if channel.kind == "send"]
                refer("channel to send by", part.prefers, sending, self._findings, part.at("prefers"))
                return Prefers(part.prefers)
            case written.CelHolds():
                return self._holds(part)
            case _:
                raise AssertionError(f"no such condition: {part!r}")

    def _all(self, parts: tuple[Condition, ...], mark: Mark) -> Condition:
        if (why := contradiction(parts)) and not any(contradiction((part,)) for part in parts):
            self._findings.add(mark, why)
        return All(parts)

    def _did(self, part: written.DidThis) -> Condition:
        where = self._where(part, part.where, _COUNTED if part.each is None else _LINES)
        if part.each is not None:
            event_path(part.each, self._findings, part.at("each"))
        at_least, at_most = 1, None
        if part.count is not None:
            exactly = part.count.exactly
            at_most = part.count.at_most if exactly is None else exactly
            at_least = (part.count.at_least or 0) if exactly is None else exactly
        return Did(_names(part.did), where, at_least, at_most, window(part, self._names, self._findings), part.each)

    def _in_order(self, part: written.DidInOrder) -> Condition:
        if part.same is not None:
            event_path(part.same, self._findings, part.at("same"))
        steps = [
            Did(_names(step.did), self._where(step, step.where, _COUNTED))
            if isinstance(step, written.OrderStep)
            else Did(_names([step] if isinstance(step, str) else step))
            for step in part.did_in_order
        ]
        return InOrder(tuple(steps), window(part, self._names, self._findings), part.same)

    def _where(self, part: Part, source: str | None, names: Collection[str]) -> Expression | None:
        return None if source is None else expression(source, names, self._findings, part.at("where"))

    def _in(self, part: written.InThis) -> Condition:
        mark: Mark = part.at("in")
        if part.in_.startswith(PREFIX):
            return self._list(part.in_.removeprefix(PREFIX), mark)
        refer("segment", part.in_, self._names.segments, self._findings, mark, self._segment)
        self.references.setdefault(part.in_, mark)
        return InSegment(part.in_)

    def _list(self, name: str, mark: Mark) -> Condition:
        try:
            usable_name(name)
        except ValueError as error:
            self._findings.add(mark, str(error))
        return InList(name)

    def _consent(self, part: written.Consent) -> Condition:
        if isinstance(part.consent, str):
            channel, purpose, mark = part.consent, "", part.at("consent")
        else:
            channel, purpose, mark = part.consent.channel, part.consent.purpose, part.consent.at("channel")
        refer("channel", channel, self._names.channels, self._findings, mark)
        return HasConsent(channel, purpose)

    def _trait(self, part: written.TraitIs) -> Condition:
        if part.held_for is not None and root(part.trait) in self._names.traits:
            message = f"held_for is of traits that are told; {part.trait!r} is worked out over events"
            self._findings.add(part.at("held_for"), message)
        compared = tuple(TraitIs(part.trait, op, self._wanted(part, op, value)) for op, value in part.operators())
        return compared[0] if len(compared) == 1 else self._all(compared, part.at())

    def _wanted(self, part: written.TraitIs, op: str, value: object) -> object:
        if isinstance(value, written.Anniversary):
            return (value.within or 0) // written.DAY, (value.after or 0) // written.DAY
        if op in ("before", "after") and isinstance(value, str):
            return moment(value.strip(), self._names, self._findings, part.at(op))
        return plain(value)

    def _time(self, part: written.TimeOfDay) -> Condition:
        first, end = self._minutes(part, "from", part.from_), self._minutes(part, "to", part.to)
        return LocalTime(first, end, frozenset(DAYS.index(day) for day in part.days or ()))

    def _minutes(self, part: written.TimeOfDay, key: str, text: str | None) -> int:
        try:
            return 0 if text is None else durations.time_of_day(text)
        except ValueError as error:
            self._findings.add(part.at(key), str(error))
            return 0

    def _holds(self, part: written.CelHolds) -> Condition:
        if self._cel is None:
            self._findings.add(part.at("cel"), "cel has no place in a segment", "use did with where, or trait")
            return _NOTHING
        compiled = expression(part.cel, self._cel, self._findings, part.at("cel"))
        return _NOTHING if compiled is None else Holds(compiled)


def _names(events: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(events))
