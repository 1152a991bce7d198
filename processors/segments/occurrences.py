"""One occurrence, several reports: `same` and `undo` of events.yaml.

The same order from site, order system and till counts once, at the time of its first report; later reports fill what
is missing in it. An undo lowers its amount and, when nothing is left, removes it from then on. All reports that add
something are kept as long as a window can hold the occurrence, so any order of arrival and any spread over slots gives
the same answer; afterwards only its name and time stay, so that a very late report is not taken for a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from processors.segments.gauges import kind
from processors.segments.marks import matches, span, value_name, within
from processors.segments.measures import Live, lowered, read
from processors.segments.model import Occurrence, Reading, Report, Undone, joined_occurrence
from processors.segments.plan import AMOUNTS, Plan
from processors.segments.sequences import Taken, steps_of
from schemas.definitions.expressions import lookup, narrowed
from schemas.definitions.model import Did, EventRule, InOrder, Measure
from schemas.localtime import Span
from schemas.records import Event

#: Amounts closer than this are equal: they are sums of decimal fractions.
_PENNY = 1e-6


def name_of(document: Mapping[str, Any], rule: EventRule) -> str | None:
    """What names the occurrence in an event; None when the event does not carry it."""
    return value_name(lookup(document, rule.same)) if rule.same else None


def called(event: Event, document: Mapping[str, Any], plan: Plan) -> str:
    """What an event tells of: an occurrence that others may report too, else itself."""
    rule = plan.sames.get(event.name)
    key = None if rule is None else name_of(document, rule)
    return event.event_id if key is None else f"{event.name} {key}"


def concerned(event: Event, document: Mapping[str, Any], plan: Plan) -> Iterator[tuple[str, str]]:
    """(event name, occurrence) that an event reports or undoes."""
    rules = [plan.rules[event.name]] if event.name in plan.rules else []
    for rule in [*rules, *plan.undoes.get(event.name, ())]:
        key = name_of(document, rule)
        if key is not None:
            yield rule.name, key


def told(known: Occurrence | None, name: str, event: Event, document: dict[str, Any], plan: Plan) -> Occurrence:
    """The occurrence of event `name` after an event that reports or undoes it."""
    known = known or Occurrence()
    if event.name == name:
        # a basket with all its lines, kept for years, would outgrow everything else that is known of a person
        asked = {"properties": {}, **narrowed({"event": document}, plan.asked[name]).get("event", {})}
        report = Report(event.occurred_at, event.event_id, msgspec.json.encode(asked))
        new = Occurrence(at=event.occurred_at, reports=(report,))
    else:
        amount = _amount(document, plan.rules[name])
        new = Occurrence(undone={event.event_id: Undone(event.occurred_at, amount)})
    both = joined_occurrence(known, new)
    return Occurrence(both.at, _telling(both.reports), both.undone)


def pruned(by_key: Mapping[str, Occurrence], horizon: int | None, now: int) -> dict[str, Occurrence]:
    """Without what no window can hold any more."""
    if horizon is None:
        return dict(by_key)
    return {
        key: Occurrence(at=one.at) if one.at is not None and now - one.at >= horizon else one
        for key, one in by_key.items()
    }


def spans(did: Did, name: str, by_key: Mapping[str, Occurrence], plan: Plan, now: int) -> Iterator[Span]:
    """When the matching occurrences of an event count."""
    rule = plan.rules[name]
    for one in by_key.values():
        if one.at is None or not one.reports or not within(did.window, one.at):
            continue
        start, end = span(did.window, one.at, _gone(one, rule))
        if end is not None and end <= now:
            continue
        for _ in range(_matching(did, one.reports)):
            yield start, end


def live(measure: Measure, name: str, by_key: Mapping[str, Occurrence], plan: Plan) -> Iterator[Live]:
    """What a measure reads of the occurrences of an event, and when it counts. Amounts are lowered by what was taken
    back, from then on."""
    rule = plan.rules[name]
    amounts = {path.removeprefix("event.") for path in (rule.revenue, *AMOUNTS) if path}
    is_amount = measure.each is None and measure.of is not None and measure.of.removeprefix("event.") in amounts
    for one in by_key.values():
        if one.at is None or not one.reports or not within(measure.window, one.at):
            continue
        start, end = span(measure.window, one.at, _gone(one, rule))
        for reading in _read(measure, one.at, one.reports):
            whole = Live(start, end, reading)
            if is_amount and one.undone and kind(reading.value) == "number":
                yield from lowered(whole, [(u.at, u.amount) for u in _undone(one) if u.amount is not None])
            else:
                yield whole


def taken(order: InOrder, name: str, by_key: Mapping[str, Occurrence], plan: Plan) -> Iterator[tuple[str, Taken]]:
    """(value of `same`, occurrence) of those that can be a step. What a sequence asks to be undone is undone in it by
    that step, so the undo does not take it out of the sequence."""
    rule = plan.rules[name]
    kept = any(undo in step.events for step in order.steps for undo in rule.undo)
    for one in by_key.values():
        if one.at is None or not one.reports or not within(order.window, one.at):
            continue
        value, steps = _steps(order, name, one.reports)
        if steps:
            yield value, Taken(one.at, steps, None if kept else _gone(one, rule))


def _telling(reports: tuple[Report, ...]) -> tuple[Report, ...]:
    """Reports that fill a property the earlier ones left open; the others can never matter."""
    known, kept = set[str](), list[Report]()
    for report in reports:
        properties = msgspec.json.decode(report.document)["properties"]
        filled = {name for name, value in properties.items() if value is not None} - known
        if filled or not kept:
            kept.append(report)
            known |= filled
    return tuple(kept)


@lru_cache(maxsize=100_000)
def _whole(reports: tuple[Report, ...]) -> dict[str, Any]:
    """The occurrence as expressions see it: its first report, completed by the later ones."""
    documents = [msgspec.json.decode(report.document) for report in reports]
    properties: dict[str, Any] = {}
    for document in documents:
        for name, value in document["properties"].items():
            if properties.get(name) is None:
                properties[name] = value
    return {**documents[0], "properties": properties}


@lru_cache(maxsize=100_000)
def _matching(did: Did, reports: tuple[Report, ...]) -> int:
    """How often the occurrence counts; remembered, as expressions cost far more than all else here."""
    return len(matches(did, reports[0].event_id, _whole(reports)))


@lru_cache(maxsize=100_000)
def _read(measure: Measure, at: int, reports: tuple[Report, ...]) -> tuple[Reading, ...]:
    return read(measure, reports[0].event_id, at, _whole(reports))


@lru_cache(maxsize=100_000)
def _steps(order: InOrder, name: str, reports: tuple[Report, ...]) -> tuple[str, int]:
    return steps_of(order, name, lambda: _whole(reports))


def _gone(one: Occurrence, rule: EventRule) -> int | None:
    """When nothing was left of it; None while something is."""
    if not one.undone:
        return None
    worth, taken = _amount(_whole(one.reports), rule), 0.0
    for undone in _undone(one):
        if worth is None or undone.amount is None:
            return undone.at
        taken += undone.amount
        if taken >= worth - _PENNY:
            return undone.at
    return None


def _undone(one: Occurrence) -> list[Undone]:
    """What took it back, in order of time."""
    return [undone for _, undone in sorted(one.undone.items(), key=lambda item: (item[1].at, item[0]))]


def _amount(document: Mapping[str, Any], rule: EventRule) -> float | None:
    """Revenue of an occurrence, or what an undo takes off it; None when the event does not say."""
    for path in (rule.revenue, *AMOUNTS):
        value = lookup(document, path) if path else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return abs(float(value))
    return None
