"""Messages of inboxes as they are kept: by the identifier they went to, in order of time, until they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from schemas.receipts import INBOX_NOUN
from schemas.records import Event, SendCommand
from sinks.profiles.store import DONE, LEAVES, MESSAGE

#: first and end of keys -> all pairs between, in order
Scan = Callable[[bytes, bytes], Iterator[tuple[bytes, bytes]]]

_TIME = 8
#: last word of a receipt -> what was done with the message
_TOLD = {
    "Sent": "sent",
    **dict.fromkeys(("Opened", "Seen", "Read"), "seen"),
    **dict.fromkeys(("Clicked", "Tapped", "Replied"), "clicked"),
    "Dismissed": "dismissed",
}
WITHDRAWN = "withdrawn"
FLAGS = (*dict.fromkeys(_TOLD.values()), WITHDRAWN)


def message_key(command: SendCommand) -> bytes:
    """Where a message is kept."""
    return MESSAGE + _suffix(command)


def kept(command: SendCommand, framed: bytes, leaves: int) -> dict[bytes, bytes | None]:
    """The changes that keep a message until it leaves (milliseconds since 1970 UTC)."""
    return {
        message_key(command): _time(leaves) + framed,
        LEAVES + _time(leaves) + _suffix(command): b"",
    }


def of_identifier(identifier: str) -> tuple[bytes, bytes]:
    """First and end of the keys of an identifier's messages."""
    return MESSAGE + identifier.encode() + b"\0", MESSAGE + identifier.encode() + b"\1"


def taken_apart(value: bytes) -> tuple[int, bytes]:
    """When a message leaves, and its framed command."""
    return int.from_bytes(value[:_TIME]), value[_TIME:]


def removed(key: bytes, value: bytes) -> dict[bytes, bytes | None]:
    """The changes that remove a message."""
    return _gone(value[:_TIME], key[len(MESSAGE) :])


def left(scan: Scan, now: int, most: int) -> dict[bytes, bytes | None]:
    """The changes that remove what has left by now, so many messages at most."""
    changes: dict[bytes, bytes | None] = {}
    for key, _ in islice(scan(LEAVES, LEAVES + _time(now + 1)), most):
        at = len(LEAVES) + _TIME
        changes |= _gone(key[len(LEAVES) : at], key[at:])
    return changes


def flag_key(send_id: str, what: str) -> bytes:
    """Where it is kept that something was done with a message."""
    return DONE + f"{send_id}\0{what}".encode()


def told_by(event: Event) -> tuple[bytes, bytes] | None:
    """What a receipt adds; None when it is no receipt of an inbox."""
    if not event.send_id or not event.name.startswith(f"{INBOX_NOUN} "):
        return None
    what = _TOLD.get(event.name.rpartition(" ")[2])
    return None if what is None else (flag_key(event.send_id, what), _time(max(0, event.occurred_at)))


def flags(get: Callable[[bytes], bytes | None], send_id: str) -> Mapping[str, int]:
    """When what was done with a message."""
    told = ((what, get(flag_key(send_id, what))) for what in FLAGS)
    return {what: int.from_bytes(at) for what, at in told if at is not None}


def _suffix(command: SendCommand) -> bytes:
    return command.identifier.encode() + b"\0" + _time(command.at) + command.send_id.encode()


def _gone(leaves: bytes, suffix: bytes) -> dict[bytes, bytes | None]:
    send_id = suffix[suffix.index(b"\0") + 1 + _TIME :].decode()
    keys: Iterable[bytes] = (flag_key(send_id, what) for what in FLAGS)
    return dict.fromkeys((MESSAGE + suffix, LEAVES + leaves + suffix, *keys))


def _time(at: int) -> bytes:
    return at.to_bytes(_TIME)
