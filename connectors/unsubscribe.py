"""Signed unsubscribe links: dispatch writes them into messages, the collector answers them.

A token says which choice is withdrawn and proves that the line wrote it; it needs no log-in and no look-up (RFC 8058).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets

import msgspec

from schemas.settings import Settings

_TAG_BYTES = 16


class BadToken(ValueError):
    """The token was not written by this line, or was cut off on the way."""


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """What is withdrawn: messages of a purpose ("" for all) in a channel to the address of an identifier."""

    send_id: str
    identifier: str
    channel: str
    purpose: str


def token(secret: bytes, choice: Choice) -> str:
    """The text in the link."""
    body = msgspec.json.encode(choice)
    return base64.urlsafe_b64encode(_tag(secret, body) + body).rstrip(b"=").decode()


def choice(secret: bytes, text: str) -> Choice:
    """What a link asks for. Raises BadToken."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise BadToken("not a token") from None
    tag, body = data[:_TAG_BYTES], data[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(secret, body)):
        raise BadToken("the signature does not fit")
    return msgspec.json.decode(body, type=Choice)


def secret_of(settings: Settings) -> bytes:
    """The line's own secret: from its settings, or in a file of its home that is made once."""
    if settings.secret:
        return settings.secret.encode()
    home = settings.home
    path = home / "secret"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"secret.{os.getpid()}"
        draft.write_text(secrets.token_hex(32))
        draft.chmod(0o600)
        try:
            # link fails when another process was first, so that all end up with one secret
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def _tag(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, b"unsubscribe:" + body, hashlib.sha256).digest()[:_TAG_BYTES]
