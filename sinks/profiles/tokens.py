"""Tokens with which a person's own app reads its inbox: signed by the line, asked for by the shop's server.

A token says whom it is for, by which key it was issued and until when; it needs no look-up. It ends with its key.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from connectors.signing import BadToken, sign, signed

_PURPOSE = "inbox"


class Token(msgspec.Struct, frozen=True, array_like=True):
    """For the person of a normalised identifier, issued by a key; `until` is wall seconds since 1970 UTC."""

    identifier: str
    key: str
    until: int


class Tokens:
    """Writes and reads tokens."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, identifier: str, key: str, seconds: int) -> tuple[str, Token]:
        """A token that holds for so many seconds, as text and as what it says."""
        token = Token(identifier, key, int(self._clock()) + seconds)
        return sign(self._secret, _PURPOSE, msgspec.json.encode(token)), token

    def read(self, text: str) -> Token:
        """What a token says. Raises BadToken."""
        token = msgspec.json.decode(signed(self._secret, _PURPOSE, text), type=Token)
        if token.until <= self._clock():
            raise BadToken("the token's time is over: ask for another")
        return token
