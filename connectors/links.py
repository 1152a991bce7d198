"""Signed links: dispatch writes them into messages, the collector answers them.

A token says what a link is about and proves that the line wrote it; it needs no log-in and no look-up (RFC 8058 for
unsubscribing), and nobody can make the collector lead people to an address of their own.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from connectors.signing import sign, signed


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """What is withdrawn: messages of a purpose ("" for all) in a channel to the address of an identifier."""

    send_id: str
    identifier: str
    channel: str
    purpose: str


class Click(msgspec.Struct, frozen=True, array_like=True):
    """A link of a message and where it leads; `receipt` is the name of the event that a click on it is."""

    send_id: str
    identifier: str
    channel: str
    receipt: str
    url: str


class Opening(msgspec.Struct, frozen=True, array_like=True):
    """A picture in a message that is fetched when it is shown; `receipt` is the name of the event that this is."""

    send_id: str
    identifier: str
    channel: str
    receipt: str


Link = TypeVar("Link", Choice, Click, Opening)

#: the path of each kind of link behind the address of the collector, so that one can't be taken for another
PATHS: dict[type, str] = {Choice: "unsubscribe", Click: "l", Opening: "o"}


def token(secret: bytes, link: Choice | Click | Opening) -> str:
    """The text in the link."""
    return sign(secret, PATHS[type(link)], msgspec.json.encode(link))


def address(public_url: str, secret: bytes, link: Choice | Click | Opening) -> str:
    """The whole link; "" when nobody said how people reach the collector."""
    return f"{public_url.rstrip('/')}/{PATHS[type(link)]}/{token(secret, link)}" if public_url else ""


def read(secret: bytes, text: str, kind: type[Link]) -> Link:
    """What a link of this kind is about. Raises BadToken."""
    return msgspec.json.decode(signed(secret, PATHS[kind], text), type=kind)
