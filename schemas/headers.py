"""Headers of records, which the types of the client describe too narrowly: a value may be absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from confluent_kafka import Message

#: as Kafka has them: in order, names may repeat
Headers = tuple[tuple[str, bytes | None], ...]


def headers_of(message: Message) -> Headers:
    """The headers a record came with; none if the name of one is no UTF-8."""
    try:
        found = message.headers()
    except SystemError:
        # the client can't give them, and the record may be sound all the same
        return ()
    return tuple(cast("list[tuple[str, bytes | None]]", found)) if found else ()


def sendable(headers: Headers) -> list[tuple[str, str | bytes]]:
    """Headers as a producer takes them."""
    return cast("list[tuple[str, str | bytes]]", list(headers))
