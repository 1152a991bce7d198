"""Static lists of identifiers: that one joins or leaves a list is an event of a type that no client can send."""

from __future__ import annotations

from uuid import UUID, uuid5

import orjson

from schemas.records import Event

TYPE = "list"
JOINED, LEFT = "List Joined", "List Left"
#: what `in:` begins with when it means a list
PREFIX = "list:"

_SPACE = UUID("4a6b3f0e-58a5-5d1c-8f0c-6a3f4d1f3b52")


def change(name: str, identifier: str, member: bool, at: int) -> Event:
    """An identifier joins or leaves a list at an instant (milliseconds since 1970 UTC); said again it is the same."""
    id_ = str(uuid5(_SPACE, f"{name}\0{identifier}\0{member}\0{at}"))
    return Event(
        message_id=id_,
        event_id=id_,
        type=TYPE,
        name=JOINED if member else LEFT,
        channel="",
        identifiers=[identifier],
        occurred_at=at,
        received_at=at,
        source="lists",
        properties=orjson.dumps({"list": name}),
        traits=b"{}",
        context=b"{}",
    )
