"""Steps that tell the line something of the person and go on: traits, events, static lists.

What they tell goes through the line like any other event. An event says how many journeys in a row have led to it, so
that journeys that start each other go round a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from processors.journeys import ids
from processors.journeys.happening import Chain
from processors.journeys.model import Instance
from processors.journeys.working import Working
from schemas import lists, topics
from schemas.definitions.expressions import lookup
from schemas.definitions.model import ChangeList, Emit, UpdateTraits
from schemas.definitions.templates import render_text, render_value
from schemas.identifiers import identifier_of
from schemas.records import JOURNEY_SOURCE, Event

#: text that is one value and nothing else
_VALUE = re.compile(r"\{\{-?\s*([A-Za-z_][\w.]*)\s*-?\}\}")


def take(
    person: Working, instance: Instance, step: UpdateTraits | Emit | ChangeList, names: Mapping[str, Any], at: int
) -> str:
    """Do what a step says; what was done, for people. Raises TemplateError when a text in it can't be rendered; then
    nothing is done."""
    zone = person.zone(person.project(instance)).key
    match step:
        case UpdateTraits():
            return orjson.dumps(_update(person, instance, step, names, zone, at)).decode()
        case Emit(event=name, properties=properties):
            told = filled(properties, names, zone)
            tell(person, instance, step.id, at, type="track", name=name, properties=orjson.dumps(told))
            return f"event {name}"
        case ChangeList(list=name, member=member):
            _change_list(person, name, member, at)
            return f"{'joined' if member else 'left'} list {name}"


def filled(value: Any, names: Mapping[str, Any], zone: str) -> Any:
    """A JSON value with its Liquid rendered; text that is one `{{ output }}` and no more becomes its value, be it a
    number or a list. Raises TemplateError."""
    if isinstance(value, str):
        path = _VALUE.fullmatch(value.strip())
        if path is not None and path[1] != "now":
            found = lookup({"in": names}, f"in.{path[1]}")
        else:
            found = render_value(value, names, zone)
        return render_text(value, names, zone) if found is None or isinstance(found, str) else found
    if isinstance(value, Mapping):
        return {str(key): filled(inner, names, zone) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names, zone) for inner in value]
    return value


def _update(
    person: Working, instance: Instance, step: UpdateTraits, names: Mapping[str, Any], zone: str, at: int
) -> dict[str, Any]:
    """Tell traits, and see them at once in what follows at this instant. Gives the traits."""
    traits: dict[str, Any] = {}
    for path, value in step.traits.items():
        _set(traits, path.removeprefix("traits.").split("."), filled(value, names, zone))
    told = {"journey": instance.journey, "step": step.id}
    tell(
        person,
        instance,
        step.id,
        at,
        type="identify",
        name="Identify",
        properties=orjson.dumps(told),
        traits=orjson.dumps(traits),
    )
    person.profile = person.profile.with_traits(traits)
    return traits


def tell(person: Working, instance: Instance, step: str, at: int, **fields: Any) -> None:
    """An event about the leading slot's identifier."""
    identifier, event_id = identifier_for(person), ids.event_id(instance.id, step, instance.visit)
    chain = Chain(instance.hops, instance.chained_at).next(at)
    context = {"journey": {"name": instance.journey, "step": step, "hops": chain.hops, "since": chain.since}}
    event = Event(
        message_id=event_id,
        event_id=event_id,
        channel="",
        identifiers=[identifier],
        occurred_at=at,
        received_at=at,
        source=JOURNEY_SOURCE,
        context=orjson.dumps(context),
        **{"traits": b"{}", **fields},
    )
    person.emit(topics.EVENTS, event, key=identifier)


def _change_list(person: Working, name: str, member: bool, at: int) -> None:
    """Joining is done by one identifier; whoever leaves does so by all that are known, as any of them may be listed."""
    if member:
        identifiers = [identifier_for(person)]
    else:
        known = [f"{type_}:{value}" for type_, values in person.profile.addresses.items() for value in values]
        identifiers = sorted({*map(identifier_of, person.slots.held), *known})
    for identifier in identifiers:
        event = lists.change(name, identifier, member, at)
        person.emit(topics.LISTS, event if member else None, key=f"{name}/{identifier}")
        person.emit(topics.EVENTS, event, key=identifier)


def identifier_for(person: Working) -> str:
    """The leading slot's identifier, under which the line hears of the person."""
    slot = person.leading_slot()
    assert slot is not None  # the instance has one
    return identifier_of(slot)


def _set(into: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        into = into.setdefault(part, {})
    into[path[-1]] = value
