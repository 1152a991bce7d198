"""Windows and measures as written to those evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from schemas.definitions import durations
from schemas.definitions.expressions import Expression
from schemas.definitions.grammar import measures as written
from schemas.definitions.grammar.base import Findings, Windowed
from schemas.definitions.grammar.predictions import Predicted
from schemas.definitions.model import Best, Collect, Function, Measure, Measured, Window, Working
from schemas.definitions.names import Names, event_path, expression
from schemas.definitions.predictions import prediction
from schemas.definitions.yaml12 import Mark
from schemas.localtime import parse


def window(part: Windowed, names: Names, findings: Findings) -> Window:
    """The window of a part; ever without one."""
    if part.within is not None:
        return Window(0, part.within)
    if part.between is not None:
        return Window(near=part.between[1], far=part.between[0])
    found = Window(since=_instant(part, "from", names, findings), until=_instant(part, "to", names, findings))
    if found.since is not None and found.until is not None and found.since >= found.until:
        findings.add(part.at("to"), "to is not later than from")
    return found


def counted(part: written.Over, function: str, names: Names, findings: Findings) -> Measure:
    """What is worked out over the events of a part in its window."""
    found = window(part, names, findings)
    return _measure(part, function, found, findings)


def computed(part: written.TraitFile, names: Names, findings: Findings) -> Working:
    """What a computed trait is worked out by."""
    function, over = part.over()
    match over:
        case written.Collection():
            return _collect(over, findings)
        case Predicted():
            return prediction(over, names.predicting)
        case "hour" | "channel":
            return Best(over)
        case written.Over():
            return counted(over, function, names, findings)


def measured(part: written.Measuring, names: Names, findings: Findings) -> Measured:
    """A measure compared. The dates of first and last are compared too: their own window is ever."""
    function, over = part.over()
    tests = tuple((name, plain(value)) for name, value in over.operators())
    if not isinstance(over, written.ComparedEnd):
        return Measured(counted(over, function, names, findings), tests)
    when = Window() if over.within is not None else window(over, names, findings)
    dates = tuple(_dates(over, names, findings))
    return Measured(_measure(over, function, Window(), findings), (*tests, *dates), when)


def moment(text: str, names: Names, findings: Findings, mark: Mark) -> int | str:
    """Milliseconds ago, or a date as it was written."""
    try:
        return durations.duration(text)
    except ValueError:
        if parse(text, ZoneInfo(names.timezone)) is None:
            hint = "write 2025-01-01, 2025-01-01T12:00:00Z or, for so long ago, 7d"
            findings.add(mark, f"{text!r} is neither a date nor a duration", hint)
    return text


def plain(value: object) -> Any:
    """A written value as it is compared: hashable."""
    return tuple(value) if isinstance(value, list) else value


def _instant(part: Windowed, key: str, names: Names, findings: Findings) -> int | None:
    text = part.from_ if key == "from" else part.to
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        findings.add(part.at(key), f"{text!r} is not a date", "write 2024-05-01 or 2024-05-01T12:00:00Z")
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(names.timezone))
    return round(at.timestamp() * 1000)


def _dates(part: written.ComparedEnd, names: Names, findings: Findings) -> Iterator[tuple[str, int | str]]:
    """What is asked of the date, by the operators of a trait that is one."""
    if part.within is not None:
        yield "within", part.within
    for key in ("before", "after"):
        text = getattr(part, key)
        if text is not None:
            yield key, moment(text.strip(), names, findings, part.at(key))
    if part.of is None and part.at_least is not None:
        yield "before", durations.duration(str(part.at_least))
    if part.of is None and part.at_most is not None:
        yield "after", durations.duration(str(part.at_most)) + 1  # exactly so long ago is at most so long


def _measure(part: written.Over, function: str, found: Window, findings: Findings) -> Measure:
    where = _where(part, findings)
    if part.each is not None:
        event_path(part.each, findings, part.at("each"))
    key = "by" if isinstance(part, written.TimesOver) else "of"
    of: str | None = getattr(part, key, None)
    if of is not None:
        _path(of, part.each, findings, part.at(key))
    return Measure(cast(Function, function), tuple(dict.fromkeys(part.event)), of, where, found, part.each)


def _collect(part: written.Collection, findings: Findings) -> Collect:
    add, remove, clear = (tuple(dict.fromkeys(names or ())) for names in (part.add, part.remove, part.clear))
    for key, names, others in (("remove", remove, add), ("clear", clear, (*add, *remove))):
        for name in sorted(set(names) & set(others)):
            findings.add(part.at(key), f"{name!r} {'adds' if name in add else 'removes'} already")
    _path(part.by, part.each, findings, part.at("by") if part.has("by") else part.at())
    if part.each is not None:
        event_path(part.each, findings, part.at("each"))
    return Collect(
        add,
        remove,
        clear,
        part.by,
        tuple(dict.fromkeys(part.keep or ())),
        part.at_most,
        _where(part, findings),
        part.each,
    )


def _where(part: written.Over | written.Collection, findings: Findings) -> Expression | None:
    roots = ("event",) if part.each is None else ("event", "item")
    return None if part.where is None else expression(part.where, roots, findings, part.at("where"))


def _path(path: str, each: str | None, findings: Findings, mark: Mark) -> None:
    if path.split(".")[0] != "item":
        event_path(path, findings, mark)
    elif each is None:
        findings.add(mark, f"{path!r} is of a line", "say which lines by each, for example each: properties.products")
