"""Conditions as written to conditions as evaluated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from schemas.definitions import durations
from schemas.definitions.expressions import Expression
from schemas.definitions.grammar import conditions as written
from schemas.definitions.grammar.base import DAYS, Findings, Part, usable_name
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
    Window,
)
from schemas.definitions.names import Names, event_path, expression, refer
from schemas.definitions.yaml12 import Mark
from schemas.lists import PREFIX
from schemas.localtime import parse

#: Stands where a condition could not be built; the project is refused then anyway.
_NOTHING = All(())
#: Names that `where` of a counted event may use: history is counted once, so only what the event itself holds.
_COUNTED = ("event",)
_LINES = ("event", "item")


class ConditionBuilder:
    """Builds conditions of one file, of the segment or journey `owner`. `cel` are the names a `cel:` condition may use,
    None where there is none."""

    def __init__(self, owner: str, names: Names, findings: Findings, cel: Collection[str] | None = None) -> None:
        self._owner = owner
        self._names = names
        self._findings = findings
        self._cel = cel
        #: segments that what was built refers to, and where first
        self.references: dict[str, Mark] = {}

    def build(self, part: Part) -> Condition:
        """The condition; problems go to the findings."""
        match part:
            case written.AllOf():
                return All(tuple(self.build(inner) for inner in part.all))
            case written.AnyOf():
                return AnyOf(tuple(self.build(inner) for inner in part.any))
            case written.NotThis():
                return Not(self.build(part.not_))
            case written.DidThis():
                return self._did(part)
            case written.DidInOrder():
                return self._in_order(part)
            case written.TraitIs():
                return self._trait(part)
            case written.InThis():
                return self._in(part)
            case written.Consent():
                return self._consent(part)
            case written.ReachableBy():
                refer("channel", part.reachable, self._names.channels, self._findings, part.at("reachable"))
                return Reachable(part.reachable)
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

    def _did(self, part: written.DidThis) -> Condition:
        where = self._where(part, part.where, _COUNTED if part.each is None else _LINES)
        if part.each is not None:
            event_path(part.each, self._findings, part.at("each"))
        at_least, at_most = 1, None
        if part.count is not None:
            exactly = part.count.exactly
            at_most = part.count.at_most if exactly is None else exactly
            at_least = (part.count.at_least or 0) if exactly is None else exactly
        return Did(_names(part.did), where, at_least, at_most, self._window(part), part.each)

    def _in_order(self, part: written.DidInOrder) -> Condition:
        if part.same is not None:
            event_path(part.same, self._findings, part.at("same"))
        steps = [
            Did(_names(step.did), self._where(step, step.where, _COUNTED))
            if isinstance(step, written.OrderStep)
            else Did(_names([step] if isinstance(step, str) else step))
            for step in part.did_in_order
        ]
        return InOrder(tuple(steps), self._window(part), part.same)

    def _where(self, part: Part, source: str | None, names: Collection[str]) -> Expression | None:
        return None if source is None else expression(source, names, self._findings, part.at("where"))

    def _window(self, part: written.Windowed) -> Window:
        if part.within is not None:
            return Window(0, part.within)
        if part.between is not None:
            return Window(near=part.between[1], far=part.between[0])
        window = Window(since=self._instant(part, "from"), until=self._instant(part, "to"))
        if window.since is not None and window.until is not None and window.since >= window.until:
            self._findings.add(part.at("to"), "to is not later than from")
        return window

    def _instant(self, part: written.Windowed, key: str) -> int | None:
        text = part.from_ if key == "from" else part.to
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            self._findings.add(part.at(key), f"{text!r} is not a date", "write 2024-05-01 or 2024-05-01T12:00:00Z")
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(self._names.timezone))
        return round(at.timestamp() * 1000)

    def _in(self, part: written.InThis) -> Condition:
        mark: Mark = part.at("in")
        if part.in_.startswith(PREFIX):
            return self._list(part.in_.removeprefix(PREFIX), mark)
        refer("segment", part.in_, self._names.segments, self._findings, mark)
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
        compared = tuple(TraitIs(part.trait, op, self._wanted(part, op, value)) for op, value in part.operators())
        return compared[0] if len(compared) == 1 else All(compared)

    def _wanted(self, part: written.TraitIs, op: str, value: object) -> object:
        if isinstance(value, written.Anniversary):
            return (value.within or 0) // written.DAY, (value.after or 0) // written.DAY
        if op in ("before", "after") and isinstance(value, str):
            return self._moment(value.strip(), part.at(op))
        return tuple(value) if isinstance(value, list) else value

    def _moment(self, text: str, mark: Mark) -> int | str:
        """Milliseconds ago, or a date as it was written."""
        try:
            return durations.duration(text)
        except ValueError:
            if parse(text, ZoneInfo(self._names.timezone)) is None:
                hint = "write 2025-01-01, 2025-01-01T12:00:00Z or, for so long ago, 7d"
                self._findings.add(mark, f"{text!r} is neither a date nor a duration", hint)
        return text

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
