"""Conditions of a `branch`. What needs history is a hidden segment by now, so all of them are about the profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.journeys.snapshot import Snapshot
from schemas import traits
from schemas.consent import allowed
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    HasConsent,
    Holds,
    InSegment,
    LocalTime,
    Not,
    Project,
    Reachable,
    TraitIs,
)
from schemas.localtime import Span, span_of_day, zone_of


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
        case LocalTime(first, end, days):
            zone = zone_of(profile.timezone, project.timezone)
            return _inside(span_of_day(names["now"], first, end, days, zone), names["now"])
        case _:
            raise TypeError(f"{type(condition).__name__} needs history; the loader makes it a segment")


def _consents(profile: Snapshot, project: Project, channel: str, purpose: str) -> bool:
    """Whether consent lets some address of the person, or the person as such, be written to."""
    rules = project.channels[channel]
    addresses = [address for _, address in profile.addresses_in(rules)] or [""]
    return any(allowed(profile.consents, rules.consent, channel, purpose, address)[0] for address in addresses)


def _trait_is(condition: TraitIs, profile: Snapshot, project: Project, now: int) -> bool:
    value = traits.find(profile.traits, condition.trait)
    if condition.op not in traits.DATED:
        return traits.compare(condition.op, value, condition.value)
    span = traits.span(condition.op, value, condition.value, zone_of(profile.timezone, project.timezone), now)
    return span is not None and _inside(span, now)


def _inside(span: Span, now: int) -> bool:
    return span[0] <= now and (span[1] is None or now < span[1])
