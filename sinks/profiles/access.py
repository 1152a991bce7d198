"""Who asks, whether that may be, and that it is told."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from starlette.requests import Request

from connectors.signing import BadToken
from schemas.clock import Clock
from schemas.codec import Codec
from schemas.records import Access
from schemas.topics import ACCESSES
from sinks.profiles.keys import Key, KeyFile, Unknown
from sinks.profiles.outbox import Told
from sinks.profiles.rates import Rates
from sinks.profiles.tokens import Tokens

#: header in which a program says for whom it asks: an employee, a till
ACTOR = "Pathline-Actor"
_LONGEST_ACTOR = 200
#: most requests a second of one person's apps
_READS = 10.0


class Refused(Exception):
    """A request that is not served; `wait` is in how many seconds it may be."""

    def __init__(self, status: int, code: str, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Caller:
    """A known key, and who uses it as far as that was told."""

    key: Key
    actor: str


@dataclass(frozen=True, slots=True)
class Reader:
    """A person's own app."""

    identifier: str


class Gate:
    """Lets requests through whose key or token is in force, may be used where it is, and is not used too often."""

    def __init__(self, keys: KeyFile, rates: Rates, tokens: Tokens) -> None:
        self.tokens = tokens
        self._keys = keys
        self._rates = rates

    def caller(self, request: Request) -> Caller:
        """Who asks. Raises Refused."""
        try:
            key = self._keys.key(_given(request.headers.get("authorization", "")))
        except Unknown as error:
            raise Refused(401, "unauthorized", str(error)) from None
        self._look_at_origin(request, key)
        client = request.client.host if request.client is not None else ""
        asked = [(key.id, key.rate)]
        if key.client_rate is not None:
            asked.append((f"{key.id} {client}", key.client_rate))
        if wait := self._rates.wait(*asked):
            raise Refused(429, "rate", f"the key {key.name!r} is used too often", wait)
        return Caller(key, request.headers.get(ACTOR, "")[:_LONGEST_ACTOR])

    def reader(self, request: Request) -> Reader:
        """Whose own app asks, by a token. Raises Refused."""
        try:
            token = self.tokens.read(_given(request.headers.get("authorization", "")))
            key = self._keys.by_id(token.key)
        except (BadToken, Unknown) as error:
            raise Refused(401, "unauthorized", str(error)) from None
        if not key.inbox:
            raise Refused(403, "inbox", f"the key {key.name!r} may not open inboxes any more")
        self._look_at_origin(request, key)
        if wait := self._rates.wait((f"{key.id} {token.identifier}", _READS)):
            raise Refused(429, "rate", "this inbox is asked for too often", wait)
        return Reader(token.identifier)

    def _look_at_origin(self, request: Request, key: Key) -> None:
        origin = request.headers.get("origin")
        if origin is not None and not key.used_at(origin):
            raise Refused(403, "origin", f"the key {key.name!r} may not be used on pages of {origin}")

    def allows_pages_of(self, origin: str) -> bool:
        """Whether some key may be used on pages of this origin: what a browser asks before it sends one."""
        return any(key.revoked_at is None and key.used_at(origin) for key in self._keys.known())


class Register:
    """Tells of every access, before it is answered."""

    def __init__(self, tell: Callable[[Told], None], codec: Codec, clock: Clock) -> None:
        self._tell = tell
        self._codec = codec
        self._clock = clock

    def note(self, caller: Caller, outcome: str, asked_by: str, fields: list[str], person: str = "") -> None:
        """Somebody asked by this type of identifier for these fields; `person` is whom it was about, if anybody."""
        access = Access(
            access_id=str(uuid4()),
            at=self._clock.now(),
            person_id=person,
            asked_by=asked_by,
            key=caller.key.id,
            key_name=caller.key.name,
            actor=caller.actor,
            outcome=outcome,
            fields=fields,
        )
        self._tell(Told(ACCESSES, (person or access.access_id).encode(), self._codec.encode(access)))


def _given(authorization: str) -> str:
    """The key in the header: as a Bearer token, or as the user name of Basic auth. Raises Unknown."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
        except ValueError:
            pass
    raise Unknown("a key is needed: Authorization: Bearer KEY")
