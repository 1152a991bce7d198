"""The event at hand, and whether it is what a trigger waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from schemas.definitions.expressions import document, lookup
from schemas.definitions.model import Trigger
from schemas.receipts import by_machine
from schemas.records import JOURNEY_SOURCE, Event

Names = Mapping[str, Any]

#: journeys in a row that may start each other within `CHAIN_MS`; a chain that takes longer begins anew
MOST_HOPS = 10
CHAIN_MS = 86_400_000


class Chain(NamedTuple):
    """How many journeys in a row, the first since `since`, have led to an event, or to an instance by its entry."""

    hops: int = 0
    since: int = 0

    def next(self, at: int) -> Chain:
        """The chain of what a journey of this chain causes now."""
        over = not self.hops or at - self.since >= CHAIN_MS
        return Chain(1, at) if over else Chain(self.hops + 1, self.since)

    @property
    def too_long(self) -> bool:
        """Whether the chain has to end here."""
        return self.hops > MOST_HOPS


NO_CHAIN = Chain()


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

    @property
    def of_update(self) -> bool:
        """Whether this tells traits that a journey has set: it starts nothing itself, only by the segments it
        changes."""
        return self.by_journey and self.document["type"] == "identify"

    @cached_property
    def chain(self) -> Chain:
        """The journeys that have led to this event; none to what people and programs tell."""
        context = self.document["context"] if self.by_journey else None
        told = context.get("journey") if isinstance(context, Mapping) else None
        return Chain(told.get("hops", 1), told.get("since", 0)) if isinstance(told, Mapping) else NO_CHAIN

    def key(self, path: str | None) -> str | None:
        """The value under a journey's `key`, None when the event does not carry it."""
        return key_in(self.document, path)

    def meets(self, trigger: Trigger, names: Names) -> bool:
        """Whether this event is one that a trigger names; what a machine opened or clicked is none."""
        if self.name not in trigger.events or by_machine(self.document):
            return False
        return trigger.where is None or trigger.where.holds(names)


def key_in(document: Mapping[str, Any], path: str | None) -> str | None:
    """The value under a journey's `key` in an event's document, None when it does not carry it."""
    value = lookup(document, path) if path else None
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
