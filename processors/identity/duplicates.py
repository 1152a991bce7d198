"""Clients repeat messages; each counts once within the window that the rules set.

Ids received under an identifier stand in blocks of bytes, so that an event costs one small write however many came
before it, and what is remembered of one identifier is bounded: beyond `REMEMBERED` events the oldest are forgotten.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

from processors.identity.model import BLOCKS, RECENT, Recent
from processors.runtime.contract import Turn

_ENTRY = struct.Struct(">8sq")
_PER_BLOCK = 256
_FULL_BLOCKS = 16
#: So many events of one identifier are remembered at least.
REMEMBERED = _PER_BLOCK * _FULL_BLOCKS


def is_duplicate(turn: Turn, identifier: str, event_id: str, received_at: int, window: int) -> bool:
    """Whether this event came under this identifier within `window` milliseconds before; remembers it if not."""
    recent = turn.get(RECENT, identifier) or Recent()
    mark = blake2b(event_id.encode(), digest_size=8).digest()
    oldest = received_at - window
    full = [(number, newest) for number, newest in recent.full if newest > oldest]
    if _holds(recent.block, mark, oldest):
        return True
    if any(_holds(turn.get(BLOCKS, f"{identifier}\0{number}") or b"", mark, oldest) for number, _ in full):
        return True
    number, block = recent.number, recent.block
    if len(block) == _PER_BLOCK * _ENTRY.size:
        newest = max(at for _, at in _ENTRY.iter_unpack(block))
        turn.put(BLOCKS, f"{identifier}\0{number}", block)
        full, number, block = [*full, (number, newest)][-_FULL_BLOCKS:], number + 1, b""
    if recent.full:
        for gone in {number for number, _ in recent.full} - {number for number, _ in full}:
            turn.put(BLOCKS, f"{identifier}\0{gone}", None)
    turn.put(RECENT, identifier, Recent(number, block + _ENTRY.pack(mark, received_at), full))
    return False


def _holds(block: bytes, mark: bytes, oldest: int) -> bool:
    at = block.find(mark)
    while at >= 0:
        if at % _ENTRY.size == 0 and _ENTRY.unpack_from(block, at)[1] > oldest:
            return True
        at = block.find(mark, at + 1)
    return False
