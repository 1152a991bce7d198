"""Write keys: Basic auth with the key as user name, as the Segment libraries send it, or `writeKey` in the body."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence


class Unauthorized(Exception):
    """No write key, or one that is not known."""


def write_key(known: Sequence[str], authorization: str | None, in_body: str | None) -> str:
    """The write key of a request. Raises Unauthorized.

    The header counts where there is one; browsers that can't set headers (sendBeacon) put the key into the body.
    """
    given = in_body if authorization is None else _from_header(authorization)
    if not given:
        raise Unauthorized("a write key is needed: Basic auth with the key as user name and no password")
    for key in known:
        if hmac.compare_digest(key.encode(), given.encode()):
            return key
    raise Unauthorized("unknown write key")


def _from_header(authorization: str) -> str | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except ValueError:  # no Base64, no UTF-8, no ASCII even
        return None
