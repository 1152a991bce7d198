"""What providers tell, as events of the line: one place for webhooks at the collector and connections of dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.inbound.segment import Rejected, event_id
from schemas.definitions import defaults
from schemas.definitions.model import Project
from schemas.identifiers import Refused, normalise, split, usable
from schemas.records import EARLIEST, LATEST, Event


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a provider tells by itself, as an event to be: a receipt, or what a person wrote.

    `key` names it, so that what is told twice is one event. It is about the send `send_id` or the message that the
    provider calls `provider_id` where these are known, and always about an `address` of the channel. `at` is
    milliseconds since 1970 UTC on the provider's clock, None when it does not say. `consent` is what the person chose
    with it, by category; `identifiers` are others of the same person that the provider vouches for, (type, value).
    """

    key: str
    name: str
    address: str
    send_id: str = ""
    provider_id: str = ""
    at: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    consent: Mapping[str, bool] = field(default_factory=dict)
    identifiers: tuple[tuple[str, str], ...] = ()


def as_event(incoming: Incoming, project: Project, channel: str, source: str, received_at: int, scaled: bool) -> Event:
    """The event, filed under the address as the channel knows it.

    `received_at` is line time, milliseconds since 1970 UTC. On a scaled line the provider's clock says nothing. Raises
    Rejected when the address is none of the channel.
    """
    identifier = _identifier(incoming.address, project, channel)
    at = received_at if scaled or incoming.at is None else min(max(incoming.at, EARLIEST), received_at, LATEST)
    properties = {
        **incoming.properties,
        "channel": channel,
        "address": identifier.partition(":")[2],
        **({"provider_id": incoming.provider_id} if incoming.provider_id else {}),
        **({"send_id": incoming.send_id} if incoming.send_id else {}),
    }
    context = {"consent": {"categoryPreferences": dict(incoming.consent)}} if incoming.consent else {}
    return Event(
        message_id=incoming.key,
        event_id=event_id(source, incoming.key),
        type="track",
        name=incoming.name,
        channel=channel,
        identifiers=usable(project.identity, [split(identifier), *incoming.identifiers])[0],
        occurred_at=at,
        received_at=received_at,
        source=source,
        send_id=incoming.send_id or None,
        properties=orjson.dumps(properties),
        traits=b"{}",
        context=orjson.dumps(context),
    )


def _identifier(address: str, project: Project, channel: str) -> str:
    types, known = project.identity.types, project.channels.get(channel)
    wanted = known.identifiers if known is not None else defaults.addresses(channel, types)
    reasons = []
    for name in wanted:
        try:
            return f"{name}:{normalise(project.identity, name, address)}"
        except Refused as refused:
            reasons.append(f"{name}: {refused}")
    raise Rejected(f"no usable identifier ({'; '.join(reasons) or f'channel {channel} has no type of address'})")
