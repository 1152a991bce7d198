"""The step `update`: traits of the person change by an event that the journey sends through the line like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from processors.journeys import ids
from processors.journeys.model import Instance
from processors.journeys.working import Working
from schemas import topics
from schemas.definitions.model import UpdateTraits
from schemas.definitions.templates import render_text
from schemas.identifiers import identifier_of
from schemas.records import JOURNEY_SOURCE, Event


def update(
    person: Working, instance: Instance, step: UpdateTraits, names: Mapping[str, Any], at: int
) -> dict[str, Any]:
    """Send an identify with the traits, and see them at once in what follows at this instant. Gives the traits.

    The event is about the leading slot's identifier. Raises TemplateError when a text can't be rendered.
    """
    traits: dict[str, Any] = {}
    zone = person.zone(person.project(instance)).key
    for path, value in step.traits.items():
        text = isinstance(value, str)
        _set(traits, path.removeprefix("traits.").split("."), render_text(value, names, zone) if text else value)
    slot = person.leading_slot()
    assert slot is not None  # the instance has one
    identifier, event_id = identifier_of(slot), ids.event_id(instance.id, step.id, instance.visit)
    event = Event(
        message_id=event_id,
        event_id=event_id,
        type="identify",
        name="Identify",
        channel="",
        identifiers=[identifier],
        occurred_at=at,
        received_at=at,
        source=JOURNEY_SOURCE,
        properties=orjson.dumps({"journey": instance.journey, "step": step.id}),
        traits=orjson.dumps(traits),
        context=b"{}",
    )
    person.emit(topics.EVENTS, event, key=identifier)
    person.profile = person.profile.with_traits(traits)
    return traits


def _set(into: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        into = into.setdefault(part, {})
    into[path[-1]] = value
