"""The event at hand, and whether it is what a trigger waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from schemas.definitions.expressions import document, lookup
from schemas.definitions.model import Trigger
from schemas.receipts import by_machine
from schemas.records import JOURNEY_SOURCE, Event

Names = Mapping[str, Any]


@dataclass(frozen=True)
class Happening:
    """An event as journeys look at it. `made` is its document (see `schemas.definitions.expressions.document`),
    `repeated` whether it reports an occurrence that was reported before (`same` in events.yaml)."""

    name: str
    event_id: str
    identifiers: tuple[str, ...]
    historical: bool = False
    by_journey: bool = False
    repeated: bool = False
    made: Mapping[str, Any] | None = None
    event: Event | None = field(default=None, repr=False)

    @classmethod
    def of(cls, event: Event, repeated: bool = False) -> Happening:
        return cls(
            event.name,
            event.event_id,
            tuple(event.identifiers),
            historical=event.historical,
            by_journey=event.source == JOURNEY_SOURCE,
            repeated=repeated,
            event=event,
        )

    @classmethod
    def remembered(cls, event_id: str, identifiers: tuple[str, ...], json: bytes) -> Happening:
        made = orjson.loads(json)
        return cls(made["name"], event_id, identifiers, made=made)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        if self.made is not None:
            return self.made
        assert self.event is not None
        return document(self.event)

    @cached_property
    def json(self) -> bytes:
        return orjson.dumps(self.document)

    def key(self, path: str | None) -> str | None:
        """The value under a journey's `key`, None when the event does not carry it."""
        value = lookup(self.document, path) if path else None
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def meets(self, triggers: Iterable[Trigger], names: Names) -> Trigger | None:
        """The first of these triggers that this event satisfies; what a machine opened or clicked satisfies none."""
        for trigger in triggers:
            if self.name not in trigger.events or by_machine(self.document):
                continue
            if trigger.where is None or trigger.where.holds(names):
                return trigger
        return None
