"""What the calls take, for the collector's OpenAPI: only what is accepted stands here, and all of it is checked.

A body that fits can still be refused: for a blocked identifier, one that is no address, a time that is too far off.
"""

from __future__ import annotations

from typing import Any

from connectors.inbound.segment import MESSAGE_ID_CHARS, TYPES
from schemas.identifiers import LONGEST

Schema = dict[str, Any]

_IDENTIFIER: Schema = {"type": ["string", "number"], "minLength": 1, "maxLength": LONGEST}
_TIME: Schema = {"type": "string", "format": "date-time"}
_OBJECT: Schema = {"type": ["object", "null"]}
_FIELDS: dict[str, Schema] = {
    "userId": _IDENTIFIER,
    "anonymousId": _IDENTIFIER,
    "messageId": {
        "type": ["string", "integer", "null"],
        "maxLength": MESSAGE_ID_CHARS,
        "description": "The client's own id; duplicates of it are dropped.",
    },
    "timestamp": _TIME | {"description": "When it happened; UTC if it names no zone. By default when it is received."},
    "sentAt": _TIME | {"description": "Corrects a wrong clock of the client."},
    "properties": _OBJECT,
    "traits": _OBJECT,
    "context": {
        "type": ["object", "null"],
        "properties": {
            "channel": {"type": "string"},
            "timezone": {"type": "string"},
            "consent": {
                "type": "object",
                "properties": {"categoryPreferences": {"type": "object", "additionalProperties": {"type": "boolean"}}},
            },
            "externalIds": {
                "type": ["array", "null"],
                "description": "Further identifiers.",
                "items": {
                    "type": "object",
                    "required": ["type", "id"],
                    "properties": {"type": {"type": "string"}, "id": _IDENTIFIER},
                },
            },
        },
    },
}
_EVENT: Schema = {"type": "string", "minLength": 1, "description": "Name of what happened."}


def body_of(call: str) -> Schema:
    """The request body of a call: `batch`, one of the types of Segment's spec, or `enter` for a journey."""
    schema = _batch() if call == "batch" else _message(call)
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _message(type_: str, *, typed: bool = False) -> Schema:
    fields, required, naming = dict(_FIELDS), list[str](), ["userId", "anonymousId", "context"]
    if typed:
        fields["type"] = {"const": type_}
        required.append("type")
    if type_ == "enter":
        # the journey says what happens
        return {"type": "object", "properties": fields, "anyOf": [{"required": [name]} for name in naming]}
    if type_ == "track":
        fields["event"] = _EVENT
        required.append("event")
    if type_ == "alias":
        fields["previousId"] = _IDENTIFIER | {"description": "What the user was until now."}
        naming.append("previousId")
    if type_ == "identify":
        naming.append("traits")
    if type_ == "group":
        fields["groupId"] = {}
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "anyOf": [{"required": [name]} for name in naming],
        "description": "An identifier is needed: userId, anonymousId, an externalId, or an address in traits.",
    }


def _batch() -> Schema:
    return {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "minItems": 1, "items": {"oneOf": [_message(t, typed=True) for t in TYPES]}},
            "sentAt": _TIME | {"description": "For messages that say none themselves."},
            "context": _OBJECT | {"description": "For messages that have none themselves."},
            "writeKey": {"type": "string", "description": "Instead of the Authorization header."},
        },
    }
