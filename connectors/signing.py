"""Texts that the line has signed: they come back from the outside and prove that it wrote them, without a look-up."""

from __future__ import annotations

import base64
import hashlib
import hmac

_TAG_BYTES = 16


class BadToken(ValueError):
    """The token was not written by this line for this purpose, or was cut off on the way."""


def sign(secret: bytes, purpose: str, body: bytes) -> str:
    """A token for a body; one for another purpose can't be taken for it."""
    return base64.urlsafe_b64encode(_tag(secret, purpose, body) + body).rstrip(b"=").decode()


def signed(secret: bytes, purpose: str, text: str) -> bytes:
    """The body of a token. Raises BadToken."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise BadToken("not a token") from None
    tag, body = data[:_TAG_BYTES], data[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(secret, purpose, body)):
        raise BadToken("the signature does not fit")
    return body


def _tag(secret: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.new(secret, f"{purpose}:".encode() + body, hashlib.sha256).digest()[:_TAG_BYTES]
