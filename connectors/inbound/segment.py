"""Messages of the Segment spec to events of the line.

The one place where a message becomes an Event: the collector, the file loaders and `pathline simulate` all come through
`to_event`. Spec: segment.com/docs/connections/spec (calls, common fields, identity).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, TypeGuard, cast
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
    if not _is_object(message):
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
        properties=_kept(properties, "properties"),
        traits=_kept(traits, "traits") if kind == "identify" else b"{}",
        context=_kept(context, "context"),
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
    since = parsed - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def _of_source(source: str) -> bytes:
    return uuid5(_NAMESPACE, source).bytes


def _uuid5(namespace: bytes, name: str) -> str:
    """`str(uuid.uuid5(...))` in a fifth of its time: there is one for every event."""
    text = sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


#: the two highest bits of a digit are 10 in UUIDs
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}


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
) -> list[tuple[str, object]]:
    """Every identifier the message names, with its type; null is none."""
    given: list[tuple[str, object]] = [("user_id", message.get("userId")), ("anonymous_id", message.get("anonymousId"))]
    if kind == "alias":
        # an alias joins what was anonymous so far to its new user; two user ids are never joined by a client
        given.append(("anonymous_id", message.get("previousId")))
    external = context.get("externalIds")
    if external is not None:
        if not isinstance(external, list):
            raise Rejected("context.externalIds: a list of {type, id} expected")
        for index, entry in enumerate(external):
            if not _is_object(entry) or not isinstance(entry.get("type"), str) or "id" not in entry:
                raise Rejected(f"context.externalIds[{index}]: {{type, id}} expected")
            given.append((entry["type"], entry["id"]))
    about_user = context.get("traits")
    for known in (traits, about_user) if kind == "identify" else (about_user,):
        if known is not None and _is_object(known):
            given += (("email", known.get("email")), ("phone", known.get("phone")))
    device = context.get("device")
    if device is not None and _is_object(device):
        fields = (("push_token", "token"), ("device_id", "id"))
        given += ((type_, device.get(field)) for type_, field in fields if type_ in rules.types)
    return [pair for pair in given if pair[1] is not None]


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


def _is_object(value: object) -> TypeGuard[Message]:
    # nearly all are; asking the abstract class takes five times as long
    return value.__class__ is dict or isinstance(value, Mapping)


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


def _kept(value: Any, field: str) -> bytes:
    # orjson leaves its text in the 4 KB that it wrote it into: of a piece of history that was a third of a gigabyte
    return memoryview(_encoded(value, field)).tobytes()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
