"""Messages of the Segment spec to events of the line.

The one place where a message becomes an Event: the collector, the file loaders and `pathline simulate` all come through
`to_event`. Spec: segment.com/docs/connections/spec (calls, common fields, identity).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import orjson

from schemas.definitions.model import IdentityRules
from schemas.identifiers import Refused, keeps_hashes, normalise, usable
from schemas.records import Event
from schemas.topics import DAY_MS, EDGE_BYTES

TYPES = ("track", "identify", "page", "screen", "group", "alias")
#: an event may be this far ahead of its arrival (clocks of clients), in milliseconds
FUTURE_MS = DAY_MS
MESSAGE_ID_CHARS = 512
#: parts of a message that change when a client sends it again
_OF_THE_TRANSPORT = frozenset({"sentAt", "receivedAt", "writeKey", "integrations", "_metadata"})
_NAMESPACE = uuid5(NAMESPACE_URL, "pathline:event")

Message = Mapping[str, Any]


class Rejected(ValueError):
    """A message the line can't use; the text says why, for the one who sent it."""


def to_event(
    message: Message,
    rules: IdentityRules,
    *,
    received_at: int,
    source: str,
    historical: bool = False,
    use_sent_at: bool = True,
) -> Event:
    """The event in a message.

    `received_at` is line time in milliseconds since 1970 UTC. With `use_sent_at` the client's clock is corrected:
    `received_at - (sentAt - originalTimestamp)`; without, `timestamp` is taken as it is. A message without a timestamp
    occurred when it was received. Raises Rejected with the reason.
    """
    if not isinstance(message, dict | Mapping):
        raise Rejected("not a JSON object")
    kind = message.get("type")
    if kind not in TYPES:
        raise Rejected(f"type: {_shown(kind)} is not one of {', '.join(TYPES)}")
    body = _encoded(message, "message")
    if len(body) > EDGE_BYTES:
        raise Rejected(f"too large: {len(body)} bytes, at most {EDGE_BYTES} an event")

    context = _object(message, "context")
    traits = _object(message, "traits")
    occurred_at = _occurred_at(message, received_at, use_sent_at)
    identifiers, refused = usable(rules, _pairs(kind, message, traits, context, rules))
    if not identifiers:
        reasons = "; ".join(f"{identifier}: {reason}" for identifier, reason in refused)
        raise Rejected("no usable identifier" + (f" ({reasons})" if reasons else ""))

    message_id = _message_id(message, received_at)
    properties = _properties(kind, message, traits)
    if keeps_hashes(rules):
        traits, context = _veiled(traits, context, rules)
    channel = context.get("channel")
    send_id = properties.get("send_id")
    return Event(
        message_id=message_id,
        event_id=event_id(source, message_id),
        type=kind,
        name=_name(kind, message),
        channel=channel.strip() if isinstance(channel, str) else "",
        identifiers=identifiers,
        occurred_at=occurred_at,
        received_at=received_at,
        source=source,
        historical=historical,
        send_id=send_id if isinstance(send_id, str) and send_id else None,
        properties=_encoded(properties, "properties"),
        traits=_encoded(traits if kind == "identify" else {}, "traits"),
        context=_encoded(context, "context"),
    )


def timed(message: Message) -> bool:
    """Whether a message says when it happened; of history only that can be used."""
    return message.get("timestamp") is not None or message.get("originalTimestamp") is not None


def event_id(source: str, message_id: str) -> str:
    """Id of an event everywhere inside the line: the same message from the same source is the same event."""
    return _uuid5(_of_source(source), message_id)


def instant(text: object, field: str) -> int:
    """Milliseconds since 1970 UTC of an ISO 8601 time; a time without offset is UTC. Raises Rejected."""
    if not isinstance(text, str):
        raise Rejected(f"{field}: {_shown(text)} is not an ISO 8601 time")
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Rejected(f"{field}: {_shown(text)} is not an ISO 8601 time") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - _EPOCH) // _MILLISECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = datetime.resolution * 1000


@lru_cache(maxsize=1024)
def _of_source(source: str) -> bytes:
    return uuid5(_NAMESPACE, source).bytes


def _uuid5(namespace: bytes, name: str) -> str:
    """`str(uuid.uuid5(...))` in a third of its time: there is one for every event."""
    digest = bytearray(sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _occurred_at(message: Message, received_at: int, use_sent_at: bool) -> int:
    first, second = ("originalTimestamp", "timestamp") if use_sent_at else ("timestamp", "originalTimestamp")
    field = first if message.get(first) is not None else second
    if message.get(field) is None:
        return received_at
    occurred_at = instant(message[field], field)
    if use_sent_at and message.get("sentAt") is not None:
        occurred_at = received_at - (instant(message["sentAt"], "sentAt") - occurred_at)
    if occurred_at - received_at > FUTURE_MS:
        hours = (occurred_at - received_at) / 3_600_000
        raise Rejected(f"{field}: {message[field]} is {hours:.0f} h ahead of its arrival, at most 24 h are allowed")
    if occurred_at < 0:
        raise Rejected(f"{field}: {message[field]} is before 1970")
    return occurred_at


def _pairs(
    kind: str, message: Message, traits: Message, context: Message, rules: IdentityRules
) -> Iterator[tuple[str, object]]:
    """Every identifier the message names, with its type; null is none."""
    if (user := message.get("userId")) is not None:
        yield "user_id", user
    if (anonymous := message.get("anonymousId")) is not None:
        yield "anonymous_id", anonymous
    if kind == "alias":
        # an alias joins what was anonymous so far to its new user; two user ids are never joined by a client
        yield from _given("anonymous_id", message.get("previousId"))
    external = context.get("externalIds")
    if external is not None:
        if not isinstance(external, list):
            raise Rejected("context.externalIds: a list of {type, id} expected")
        for index, entry in enumerate(external):
            if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str) or "id" not in entry:
                raise Rejected(f"context.externalIds[{index}]: {{type, id}} expected")
            yield from _given(entry["type"], entry["id"])
    about_user = context.get("traits")
    for known in (traits if kind == "identify" else None, about_user):
        if isinstance(known, dict | Mapping):
            yield from _given("email", known.get("email"))
            yield from _given("phone", known.get("phone"))
    device = context.get("device")
    if isinstance(device, dict | Mapping):
        for type_, field in (("push_token", "token"), ("device_id", "id")):
            if type_ in rules.types:
                yield from _given(type_, device.get(field))


def _veiled(traits: Message, context: Message, rules: IdentityRules) -> tuple[dict[str, Any], dict[str, Any]]:
    """Traits and context with identifiers of types that are kept as hashes replaced by those, or left out where they
    are none."""

    def kept(type_: str, value: object) -> object:
        if type_ not in rules.types or not rules.types[type_].hash or value is None:
            return value
        try:
            return normalise(rules, type_, value)
        except Refused:
            return None

    def veiled(given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        return {field: kept(field, value) for field, value in given.items()}

    shown = dict(context)
    if "traits" in shown:
        shown["traits"] = veiled(shown["traits"])
    if isinstance(shown.get("externalIds"), list):
        shown["externalIds"] = [{**one, "id": kept(one["type"], one["id"])} for one in shown["externalIds"]]
    if isinstance(shown.get("device"), Mapping):
        device = shown["device"]
        fields = (("token", "push_token"), ("id", "device_id"))
        shown["device"] = {
            **device,
            **{field: kept(type_, device[field]) for field, type_ in fields if field in device},
        }
    return cast(dict[str, Any], veiled(traits)), shown


def _given(type_: str, value: object) -> Iterator[tuple[str, object]]:
    if value is not None:
        yield type_, value


def _name(kind: str, message: Message) -> str:
    if kind != "track":
        return {"page": "Page Viewed", "screen": "Screen Viewed"}.get(kind, kind.capitalize())
    name = message.get("event")
    if not isinstance(name, str) or not name.strip():
        raise Rejected(f"event: the name of what happened is missing ({_shown(name)})")
    return name.strip()


def _properties(kind: str, message: Message, traits: Message) -> dict[str, Any]:
    properties = _object(message, "properties")
    if kind in ("page", "screen"):
        own = {field: message[field] for field in ("name", "category") if message.get(field) is not None}
        return own | properties
    if kind == "group":
        # traits of a group call are the group's, they must not become the person's
        return properties | {"groupId": message.get("groupId"), "traits": traits}
    return properties


def _message_id(message: Message, received_at: int) -> str:
    given = message.get("messageId")
    if given is None or given == "":
        content = {key: value for key, value in message.items() if key not in _OF_THE_TRANSPORT}
        if content.get("timestamp") is None and content.get("originalTimestamp") is None:
            # two clicks that look the same and carry no time are two events
            content["receivedAt"] = received_at
        return str(uuid5(_NAMESPACE, _encoded(content, "message", orjson.OPT_SORT_KEYS).decode()))
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise Rejected(f"messageId: {_shown(given)} is not text")
    if len(str(given)) > MESSAGE_ID_CHARS:
        raise Rejected(f"messageId: at most {MESSAGE_ID_CHARS} characters")
    return str(given)


def _object(message: Message, field: str) -> dict[str, Any]:
    value = message.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Rejected(f"{field}: {_shown(value)} is not an object")
    return value


def _encoded(value: Any, field: str, option: int = 0) -> bytes:
    try:
        return orjson.dumps(value, option=option)
    except TypeError as error:
        raise Rejected(f"{field}: {error}") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
