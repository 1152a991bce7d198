"""What of a person is told: the fields of an answer, and lists of those that may be read.

A field is named alone (`traits`) or with a dot and one of its entries: `traits.city`, `segments.vip`, `consents.email`,
`events.Order Completed`. `*` is everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sinks.profiles.people import Person

EVERYTHING = "*"
#: fields by name, in the order of an answer
FIELDS: Mapping[str, Callable[[Person], Any]] = {
    "person_id": Person.person_id,
    "earlier_ids": Person.earlier_ids,
    "identifiers": Person.identifiers,
    "traits": Person.traits,
    "computed_traits": Person.computed_traits,
    "sources": Person.sources,
    "segments": Person.segments,
    "consents": Person.consents,
    "suppressed": Person.suppressed,
    "reachable": Person.reachable,
    "preferred_channels": Person.preferred_channels,
    "timezone": Person.timezone,
    "first_seen": Person.first_seen,
    "journeys": Person.journeys,
    "events": Person.events,
}
#: what names an entry of a field that is a list of objects
_NAMED_BY = {"consents": "channel", "journeys": "journey", "events": "name"}
#: have no entries
_WHOLE_ONLY = frozenset({"person_id", "earlier_ids", "timezone", "first_seen"})


class NoField(ValueError):
    """A name that is no field; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A choice of fields: None is the whole field, else these entries of it."""

    chosen: Mapping[str, frozenset[str] | None]

    @classmethod
    def of(cls, names: Iterable[str]) -> Fields:
        """The fields of these names. Raises NoField."""
        chosen: dict[str, frozenset[str] | None] = {}
        for name in names:
            if name == EVERYTHING:
                return cls(dict.fromkeys(FIELDS))
            field, dot, entry = name.partition(".")
            if field not in FIELDS:
                raise NoField(f"no field {field!r}; there are {', '.join(FIELDS)}, and {EVERYTHING} for all")
            if dot and (not entry or field in _WHOLE_ONLY):
                raise NoField(f"{name!r}: {field} has no entries" if entry else f"{name!r}: which entry of {field}?")
            known = chosen.get(field, frozenset())
            chosen[field] = None if not dot or known is None else known | {entry}
        return cls({field: chosen[field] for field in FIELDS if field in chosen})

    @property
    def names(self) -> list[str]:
        """As they are written."""
        return [
            name
            for field, entries in self.chosen.items()
            for name in ([field] if entries is None else sorted(f"{field}.{entry}" for entry in entries))
        ]

    def beyond(self, others: Fields) -> list[str]:
        """Names of those that are not among `others`."""
        found = []
        for field, entries in self.chosen.items():
            allowed = others.chosen.get(field, frozenset())
            if allowed is None:
                continue
            found += [field] if entries is None else sorted(f"{field}.{entry}" for entry in entries - allowed)
        return found

    def answer(self, person: Person, events: int) -> dict[str, Any]:
        """These fields of a person, with at most so many events."""
        found: dict[str, Any] = {}
        for field, entries in self.chosen.items():
            value = person.events(events) if field == "events" and entries is None else FIELDS[field](person)
            found[field] = _only(field, value, entries)
        if "events" in found:
            found["events"] = found["events"][:events]
        return found


def _only(field: str, value: Any, entries: frozenset[str] | None) -> Any:
    """The entries of a field that are chosen."""
    if entries is None:
        return value
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if name in entries}
    return [each for each in value if (each[_NAMED_BY[field]] if field in _NAMED_BY else each) in entries]
