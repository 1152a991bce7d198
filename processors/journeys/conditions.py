"""Conditions of a `branch`. What needs history is a hidden segment by now, so all of them are about the profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.journeys.localtime import parse, zone_of
from processors.journeys.snapshot import Snapshot
from schemas.consent import allowed
from schemas.definitions.expressions import lookup
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    HasConsent,
    Holds,
    InSegment,
    Not,
    Project,
    Reachable,
    TraitIs,
)

_UTC = zone_of()


def holds(condition: Condition, profile: Snapshot, project: Project, names: Mapping[str, Any]) -> bool:
    """Whether a condition is true of a person now; `names` are those of CEL, `now` in milliseconds among them."""
    match condition:
        case All(of):
            return all(holds(part, profile, project, names) for part in of)
        case AnyOf(of):
            return any(holds(part, profile, project, names) for part in of)
        case Not(of):
            return not holds(of, profile, project, names)
        case InSegment(segment):
            return segment in profile.segments
        case HasConsent(channel, purpose):
            return _consents(profile, project, channel, purpose)
        case Reachable(channel):
            return bool(profile.addresses_in(project.channels[channel]))
        case Holds(cel):
            return cel.holds(names)
        case TraitIs():
            return _trait_is(condition, profile, project, names["now"])
        case _:
            raise TypeError(f"{type(condition).__name__} needs history; the loader makes it a segment")


def _consents(profile: Snapshot, project: Project, channel: str, purpose: str) -> bool:
    """Whether consent lets some address of the person, or the person as such, be written to."""
    rules = project.channels[channel]
    addresses = [address for _, address in profile.addresses_in(rules)] or [""]
    return any(allowed(profile.consents, rules.consent, channel, purpose, address)[0] for address in addresses)


def _trait_is(condition: TraitIs, profile: Snapshot, project: Project, now: int) -> bool:
    """As in segments: `not_equals` is true of a person without the trait, all others but `exists: false` need it."""
    value, wanted = _trait(profile.traits, condition.trait), condition.value
    match condition.op:
        case "exists":
            return (value is not None) == bool(wanted)
        case "equals":
            return _equal(value, wanted)
        case "not_equals":
            return not _equal(value, wanted)
        case "one_of":
            return any(_equal(value, one) for one in wanted)
        case "contains":
            return _contains(value, wanted)
        case "at_least":
            return _ordered(wanted, value)
        case "at_most":
            return _ordered(value, wanted)
        case "within":
            at = parse(value, zone_of(profile.timezone, project.timezone))
            return at is not None and at - wanted <= now < at + wanted
        case _:
            raise TypeError(f"{condition.op} of a trait needs history; the loader makes it a segment")


def _trait(traits: Mapping[str, Any], path: str) -> Any | None:
    return traits[path] if path in traits else lookup(traits, path)


def _equal(a: Any, b: Any) -> bool:
    """Equal as JSON values: true is not 1, text is no number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    return type(a) is type(b) and bool(a == b)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, list) and any(_equal(item, wanted) for item in value)


def _ordered(low: Any, high: Any) -> bool:
    """Numbers with numbers, written dates with dates; what can't be compared is not."""
    if isinstance(low, bool) or isinstance(high, bool):
        return False
    if isinstance(low, int | float) and isinstance(high, int | float):
        return low <= high
    if isinstance(low, str) and isinstance(high, str):
        first, last = parse(low, _UTC), parse(high, _UTC)
        return first is not None and last is not None and first <= last
    return False
