"""What one event does to the slot it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from processors.segments import consents, occurrences
from processors.segments.marks import matches, trimmed, within
from processors.segments.model import Choice, Mark, State, Trait, newer_choice, wider_scope
from processors.segments.plan import ADDRESS, CONSENT, ZONE, Counter, Plan
from processors.segments.receipts import Receipt, kind_of, receipt
from processors.segments.view import ZONES
from schemas.codec import BadRecord
from schemas.definitions.expressions import document
from schemas.identifiers import split
from schemas.records import Event


@dataclass(slots=True)
class Folded:
    """The slot's state after an event; `keys` are what conditions read and it changed, `profile` whether anything in
    the profile may have changed."""

    state: State
    keys: set[str] = field(default_factory=set)
    profile: bool = False


class Reading:
    """An event, its JSON parts parsed when asked for."""

    def __init__(self, event: Event) -> None:
        self.event = event

    @cached_property
    def document(self) -> dict[str, Any]:
        """What expressions see of it. Raises BadRecord when a part is not JSON."""
        try:
            return document(self.event)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRecord(f"event {self.event.event_id} holds text that is not JSON: {error}") from error

    def part(self, name: str) -> Mapping[str, Any]:
        """properties, traits or context; empty when it is not an object."""
        value = self.document[name]
        return value if isinstance(value, Mapping) else {}


def fold(
    state: State | None, event: Event, now: int, known: Mapping[str, Sequence[str]], others: bool, plan: Plan
) -> Folded:
    """Fold an event into its slot at instant `now`.

    `known` are the person's addresses by identifier type, newest used first; `others` whether other slots hold
    anything: then a value said again may still be news, as they may have said another in between. Everything counts by
    the event's own time; a future one waits for its time. Raises BadRecord.
    """
    reading = Reading(event)
    fresh = state is None
    folded = Folded(state or State(first_seen=event.occurred_at), profile=fresh)
    if event.occurred_at < folded.state.first_seen:
        _put(folded, first_seen=event.occurred_at)
        folded.profile = True
    told = receipt(event, reading.document, plan) if kind_of(event.name, plan.channels) else None
    _traits(folded, reading, now, others, plan)
    _zone(folded, reading, others)
    _choices(folded, reading, told, plan)
    _use(folded, event, told, known)
    if told is not None:
        _suppress(folded, told, known, plan)
    _count(folded, reading, now, plan)
    for name, key in occurrences.concerned(event, reading.document, plan):
        _occurrence(folded, name, key, reading, now, plan)
    return folded


def _put(folded: Folded, **fields: Any) -> None:
    folded.state = msgspec.structs.replace(folded.state, **fields)


def _traits(folded: Folded, reading: Reading, now: int, others: bool, plan: Plan) -> None:
    """Traits, the newest by event time; of two at one time the one that came last. Those of a group are not the
    person's own."""
    event = reading.event
    if event.type == "group" or len(event.traits) <= 2:
        return
    traits, history = dict(folded.state.traits), dict(folded.state.history)
    for name, value in reading.part("traits").items():
        before = traits.get(name)
        if name in plan.held:
            values = history.get(name, (before,) if before is not None else ())
            new = Trait(_plain(value), event.occurred_at)
            history[name] = _recent((*(v for v in values if v.at != new.at), new), now - plan.held[name])
            folded.keys.add(f"trait:{name}")
        if before is not None and before.at > event.occurred_at:
            continue
        traits[name] = Trait(_plain(value), event.occurred_at, event.source)
        if others or before is None or _differ(before.value, value):
            folded.keys.add(f"trait:{name}")
            folded.profile = True
            if name == "timezone":
                folded.keys.add(ZONE)
    _put(folded, traits=traits, history=history)


def _recent(values: Sequence[Trait], since: int) -> tuple[Trait, ...]:
    """Values set after an instant and the one that was in force then."""
    ordered = sorted(values, key=lambda value: value.at)
    first = sum(value.at <= since for value in ordered) - 1
    return tuple(ordered[max(first, 0) :])


def _differ(a: Any, b: Any) -> bool:
    return type(a) is not type(b) or bool(a != b)


def _plain(value: Any) -> Any:
    """A value that fits the state's encoding: integers there have 64 bits."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _zone(folded: Folded, reading: Reading, others: bool) -> None:
    event, before = reading.event, folded.state.zone
    if b'"timezone"' not in event.context:
        return
    zone = reading.part("context").get("timezone")
    if not isinstance(zone, str) or zone not in ZONES or (before is not None and before.at > event.occurred_at):
        return
    _put(folded, zone=Trait(zone, event.occurred_at, event.source))
    if others or before is None or before.value != zone:
        folded.keys.add(ZONE)
        folded.profile = True


def _choices(folded: Folded, reading: Reading, told: Receipt | None, plan: Plan) -> None:
    event = reading.event
    said = []
    if b'"categoryPreferences"' in event.context:
        said += list(consents.preferences(event, reading.document["context"], plan))
    if told is not None and told.kind == "unsubscribed":
        said += [(subject, False) for subject in consents.withdrawn(told)]
    if not said:
        return
    choices = dict(folded.state.choices)
    for subject, granted in said:
        choice, before = Choice(granted, event.occurred_at, event.source), choices.get(subject)
        choices[subject] = choice if before is None else newer_choice(before, choice)
        if choices[subject] != before:
            folded.keys.add(CONSENT)
            folded.profile = True
    _put(folded, choices=choices)


def _use(folded: Folded, event: Event, told: Receipt | None, known: Mapping[str, Sequence[str]]) -> None:
    """Identifiers the person used itself; what a receipt or an unsubscribing names is known, but not used by it."""
    used = dict(folded.state.used)
    at = event.occurred_at if told is None else 0
    for identifier in event.identifiers:
        before = used.get(identifier)
        if before is None:
            folded.keys.add(ADDRESS)
        if before is None or at > before:
            used[identifier] = at
            type, value = split(identifier)
            folded.profile |= before is None or list(known.get(type, ()))[:1] != [value]
    _put(folded, used=used)


def _suppress(folded: Folded, told: Receipt, known: Mapping[str, Sequence[str]], plan: Plan) -> None:
    suppressed = dict(folded.state.suppressed)
    for address, scope in consents.suppressions(told, known, plan):
        suppressed[address] = wider_scope(suppressed.get(address, scope), scope)
    if suppressed != folded.state.suppressed:
        _put(folded, suppressed=suppressed)
        folded.profile = True


def _count(folded: Folded, reading: Reading, now: int, plan: Plan) -> None:
    event = reading.event
    rule = plan.rules.get(event.name)
    if rule is not None and occurrences.name_of(reading.document, rule) is not None:
        return  # counted as an occurrence that others may report too
    counted: dict[str, tuple[Mark, ...]] | None = None
    for counter in plan.counters.get(event.name, ()):
        new = _marks(counter, reading)
        if not new:
            continue
        counted = dict(folded.state.counted) if counted is None else counted
        before = counted.get(counter.key, ())
        after = trimmed(before, new, counter, now)
        counted[counter.key] = after
        if any(mark in after and mark not in before for mark in new):
            folded.keys.add(f"did:{counter.key}")
    if counted is not None:
        _put(folded, counted=counted)


def _marks(counter: Counter, reading: Reading) -> list[Mark]:
    did, at = counter.did, reading.event.occurred_at
    if not within(did.window, at):
        return []
    return [(at, name) for name in matches(did, reading.event.event_id, reading.document)]


def _occurrence(folded: Folded, name: str, key: str, reading: Reading, now: int, plan: Plan) -> None:
    by_key = folded.state.occurrences.get(name, {})
    after = occurrences.told(by_key.get(key), name, reading.event, reading.document, plan)
    if after == by_key.get(key):
        return
    kept = occurrences.pruned({**by_key, key: after}, plan.horizons.get(name), now)
    _put(folded, occurrences={**folded.state.occurrences, name: kept})
    folded.keys.update(f"did:{counter.key}" for counter in plan.counters.get(name, ()))
