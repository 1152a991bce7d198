"""Records nobody of the line would write: well-formed Avro of every schema with any content, for hypothesis.

Most fields are drawn from small pools that fit together (persons, slots, identifiers, versions), so that foreign
records meet state; the rest is whatever the type allows.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.identifiers import person_id, slot_of
from schemas.records import RECORDS, Event, Update, Wire

CODEC = Codec()
NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z
IDENTIFIERS = ["user_id:ann", "email:ann@example.com", "anonymous_id:cookie", "user_id:", "fax:1", "nonsense", ""]
EVENT = Event(
    message_id="m",
    event_id="d58fa6ff-39ac-5ef1-8ec6-6d4b4b2f8c4d",
    type="track",
    name="Order Completed",
    channel="web",
    identifiers=["user_id:ann", "email:ann@example.com"],
    occurred_at=NOW,
    received_at=NOW,
    source="collector:key",
    properties=b'{"total": 10}',
    traits=b"{}",
    context=b'{"consent": {"categoryPreferences": {"email": true}}}',
)
PROFILE = {
    "traits": {"city": "Kyiv"},
    "segments": ["regulars"],
    "consents": [],
    "addresses": {"email": ["ann@example.com"]},
    "suppressed": {},
}

_POOLS: dict[str, list[str]] = {
    "person_id": [person_id("user_id:ann"), person_id("anonymous_id:cookie"), "nobody", ""],
    "slot": [slot_of("user_id:ann"), slot_of("anonymous_id:cookie"), "#", ""],
    "identifier": IDENTIFIERS,
    "kind": ["event", "move", "erasure", "marker", "timer", "handoff", "journey", "link", "assertion", "?"],
    "state": ["running", "paused", "draining", "?"],
    "journey": ["win_back", "coupon_reminder", ""],
    "segment": ["regulars", "~hidden", "gone"],
    "change": ["entered", "left", "?"],
    "cause": ["event", "merge", "?"],
    "reason": ["merge", "split", ""],
    "name": ["Order Completed", "Order Refunded", "Product Viewed", "Email Bounced", "Unsubscribed", "Identify", ""],
    "type": ["track", "identify", "page", "?"],
    "channel": ["email", "web", "fax", ""],
    "category": ["marketing", "transactional", "?"],
}
_SAME_AS = {"to": "person_id", "origin": "person_id", "a": "identifier", "b": "identifier", "identifiers": "identifier"}
_JSON = [b"{}", b"[]", b"null", b"", b"{", b"\xff", b'{"total": 1e999}', b'{"send_id": 5}', b'{"a": [[[[[]]]]]}']
_INSTANTS = [NOW, NOW - 86_400_000, 0, -1, 2**40, 2**62, 2**63 - 1, -(2**63)]
_COUNTS = [1, 2, 3, 0, -1, 2**31 - 1, -(2**31)]


def documents() -> st.SearchStrategy[bytes]:
    """JSON as events and profiles carry it: sound, odd, or none."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    parts = ["traits", "segments", "consents", "addresses", "suppressed", "timezone", "send_id", "total", "email"]
    parts += ["channel", "address", "consent", "device", "bounce", "order_id", "categoryPreferences", "city"]
    objects = st.dictionaries(st.sampled_from(parts), values, max_size=4).map(lambda extra: {**PROFILE, **extra})
    return objects.map(_json) | st.sampled_from(_JSON)


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


def framed() -> st.SearchStrategy[bytes]:
    """What stands in `event` of other records: an event, mostly."""
    return st.one_of(
        st.just(CODEC.encode(EVENT)),
        records(Event).map(CODEC.encode),
        st.sampled_from([b"", b"\0\0\0\0\1", CODEC.encode(Update(kind="event", person_id="p", at=1))]),
    )


def records(kind: type[Wire]) -> st.SearchStrategy[Any]:
    """Any record of a schema that its Avro type can hold."""
    fields = {field.name: _values(kind, field.name, field.type) for field in msgspec.structs.fields(kind)}
    made = st.fixed_dictionaries(fields).map(lambda values: kind(**values))
    if "kind" not in fields:
        return made
    # half of the envelopes hold what they say they hold
    parts = {
        name: _part(kind, name) for name in ("event", "move", "erasure", "marker", "journey", "link") if name in fields
    }
    told = [st.builds(_telling, made, st.just(name), part) for name, part in parts.items()]
    return made | st.one_of(told)


def _part(kind: type[Wire], name: str) -> st.SearchStrategy[Any]:
    field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
    (real,) = (argument for argument in get_args(field.type) if argument is not NoneType)
    return _values(kind, name, real)


def _telling(envelope: Any, name: str, part: Any) -> Any:
    return msgspec.structs.replace(envelope, kind=name, **{name: part})


def schemas() -> st.SearchStrategy[bytes]:
    """A framed record of any schema."""
    return st.sampled_from(sorted(RECORDS)).flatmap(lambda name: records(RECORDS[name])).map(CODEC.encode)


def _values(owner: type[Wire], name: str, type_: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return _values(owner, name, arguments[0])
    if origin in (Union, UnionType):
        (real,) = (argument for argument in arguments if argument is not NoneType)
        return st.none() | _values(owner, name, real)
    if origin is list:
        return st.lists(_values(owner, name, arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["identity.yaml", "x"]), st.text(max_size=20), max_size=2)
    if isinstance(type_, type) and issubclass(type_, Wire):
        return records(type_)
    if type_ is bytes:
        return framed() if name == "event" else documents()
    if type_ is bool:
        return st.booleans()
    if type_ is int:
        counted = name in ("version", "generation", "part", "parts", "attempts")
        return st.sampled_from(_COUNTS if counted else _INSTANTS)
    pool = _POOLS.get(_SAME_AS.get(name, name))
    return st.text(max_size=12) if pool is None else st.sampled_from(pool) | st.text(max_size=4)
