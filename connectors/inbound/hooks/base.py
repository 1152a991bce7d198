"""What a provider's webhook is to the collector.

A call is proven on its raw body before anything of it is read: a body that was parsed and written again may differ in
what the provider signed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from connectors.receipts import Incoming

#: a signed time may be this far from ours, in seconds. Providers repeat a call for hours with its first signature; a
#: call that somebody else repeats is the same events again, which are dropped by their ids.
TOLERANCE_SECONDS = 86_400
_SEND_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Forged(Exception):
    """The call does not prove where it comes from; the text says why."""


class Unusable(ValueError):
    """The call is the provider's, and says nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: names of headers in lower case, the body as it came, the address as the provider called it, and line
    independent wall time in seconds since 1970 UTC."""

    headers: Mapping[str, str]
    body: bytes
    url: str
    now: float
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a call tells, and what the provider wants to read as an answer."""

    incoming: list[Incoming]
    answer: bytes = b""
    media_type: str = "text/plain"


class Hook(Protocol):
    """One provider's webhook, ready to judge calls."""

    async def hear(self, call: Call) -> Heard:
        """What a call tells. Raises Forged, Unusable."""


def fresh(timestamp: str, now: float) -> None:
    """Raises Forged for a signed time that is none, or too far from now."""
    try:
        away = abs(float(timestamp) - now)
    except ValueError:
        raise Forged("the timestamp is no time") from None
    if not away <= TOLERANCE_SECONDS:
        raise Forged("the timestamp is too old, or of the future")


def same(given: str, expected: str) -> None:
    """Raises Forged when a signature is not the expected one; takes the same time for any."""
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forged("the signature does not fit")


def json_of(body: bytes) -> Any:
    """The JSON of a body. Raises Unusable."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"not JSON: {error}") from None


def mapping(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """The value if it is a text or a number, as text; else an empty one."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def milliseconds(value: object) -> int | None:
    """Milliseconds of a number of seconds since 1970; None when it is none."""
    try:
        return int(float(value) * 1000)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def send_id_in(value: object) -> str:
    """The send id in a text, such as a Message-ID made of it; "" when there is none."""
    found = _SEND_ID.search(text(value).lower())
    return found[0] if found else ""
