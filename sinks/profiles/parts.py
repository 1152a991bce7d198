"""What the HTTP side works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.inbound.collector.publisher import Publisher
from schemas.clock import Clock
from schemas.codec import Codec
from schemas.condition import Condition
from sinks.profiles.access import Gate, Register
from sinks.profiles.people import People


@dataclass(frozen=True, slots=True)
class Parts:
    """`as_of` is the line time up to which answers are whole, `complete` whether they are answers at all: all there was
    had been read once. What programs tell goes through `publisher` into the line; `note` lets answers show at once what
    comes back from there."""

    people: People
    gate: Gate
    register: Register
    condition: Condition
    as_of: Callable[[], int]
    complete: Callable[[], bool]
    publisher: Publisher
    codec: Codec
    clock: Clock
    note: Callable[[Mapping[bytes, bytes | None]], None]


#: what the OpenAPI says of calls that need a key
SCHEME = "key"
AUTH: list[dict[str, list[str]]] = [{SCHEME: []}]
#: a client is asked to come again in so many seconds
RETRY_SECONDS = 5
