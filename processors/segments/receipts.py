"""What a receipt says about an address: unsubscribed, complained, bounced.

Receipts are named as in Segment's e-mail spec, `Email Bounced`, likewise `Push Notification ...`, `SMS ...` and any
channel of the project by its name (`Viber Bounced`); `Unsubscribed` may stand alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from processors.segments.plan import Plan
from schemas.identifiers import Refused, normalise, split
from schemas.receipts import lasting
from schemas.records import Event

Kind = Literal["bounced", "complained", "unsubscribed", "started", "other"]

#: last words of a receipt's name
KINDS: dict[str, Kind] = {
    "Bounced": "bounced",
    "Spam": "complained",  # Email Marked as Spam
    "Unsubscribed": "unsubscribed",
    "Started": "started",  # Telegram Started: whoever blocked the bot is back
    **dict.fromkeys(("Sent", "Delivered", "Received", "Deferred", "Dropped", "Failed", "Rejected"), "other"),
    **dict.fromkeys(("Opened", "Read", "Seen", "Clicked", "Tapped", "Replied", "Dismissed"), "other"),
    **dict.fromkeys(("Answered", "Unanswered", "Agreed", "Declined"), "other"),
}
#: first words that are no channel's name as they are written
FAMILIES = {"push notification": "push"}
#: channels that receipts may be of, whatever the project calls its own
COMMON = frozenset({"email", "sms", "push"})
_BOTS = frozenset({"telegram", "viber", "whatsapp"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """`channels` and bare `addresses` it is about, as far as it says; `lasting` is a bounce that will not go away."""

    kind: Kind
    channels: tuple[str, ...]
    addresses: tuple[str, ...]
    purpose: str
    lasting: bool


@lru_cache(maxsize=4_096)
def kind_of(name: str, channels: frozenset[str]) -> tuple[Kind, str] | None:
    """(kind, family) of a receipt's name; the family is a channel, `push`, or empty for a plain `Unsubscribed`."""
    if name == "Unsubscribed":
        return "unsubscribed", ""
    kind = KINDS.get(name.rpartition(" ")[2])
    noun = name.removesuffix(" Marked as Spam").removesuffix(" Link Clicked")
    noun = (noun.rpartition(" ")[0] if noun == name else noun).lower()
    family = FAMILIES.get(noun, noun.replace(" ", "_"))
    if kind == "started" and family not in _BOTS:
        return None  # a call that starts is no address that comes back
    return (kind, family) if kind is not None and (family in channels or family in COMMON) else None


def receipt(event: Event, document: Mapping[str, Any], plan: Plan) -> Receipt | None:
    """The receipt an event is; None for any other event."""
    found = kind_of(event.name, plan.names)
    if found is None:
        return None
    kind, family = found
    properties = document["properties"] if isinstance(document["properties"], Mapping) else {}
    channels = _channels(event, properties, family, plan)
    types = {type for name in channels for type in plan.channels[name].identifiers}
    addresses = _written(properties, types, plan) or tuple(
        value for type, value in map(split, event.identifiers) if type in types
    )
    return Receipt(
        kind=kind,
        channels=channels,
        addresses=addresses,
        purpose=str(properties.get("purpose") or ""),
        lasting=kind == "bounced" and lasting(properties),
    )


def _channels(event: Event, properties: Mapping[str, Any], family: str, plan: Plan) -> tuple[str, ...]:
    """The sending channels it is about: as the event says, as its name says, or by the kind of its address."""
    for named in (properties.get("channel"), event.channel, family):
        if isinstance(named, str) and named in plan.channels and plan.channels[named].kind == "send":
            return (named,)
    sending = {name: channel for name, channel in plan.channels.items() if channel.kind == "send"}
    if family == "push":
        return tuple(name for name in sending if "push" in name)
    for key in ("email", "phone"):
        if properties.get(key):
            return tuple(name for name, channel in sending.items() if key in channel.identifiers)
    return ("email",) if "email" in sending else ()


def _written(properties: Mapping[str, Any], types: set[str], plan: Plan) -> tuple[str, ...]:
    """The address a receipt names, as it is written elsewhere in the line."""
    for key in ("address", "email", "phone", "token"):
        value = properties.get(key)
        if value is None:
            continue
        for type in sorted(types):
            if key in ("email", "phone") and key != type:
                continue
            try:
                return (normalise(plan.identity, type, value),)
            except Refused:
                continue
    return ()
