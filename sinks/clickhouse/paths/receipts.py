"""Receipts of messages in SQL: which events they are, how far they show the message got, which send they are about."""

from __future__ import annotations

import re
from collections.abc import Iterable

from schemas.receipts import ENDINGS, SUBJECTS


def _list(values: Iterable[str | int]) -> str:
    return "[" + ", ".join(repr(value) for value in values) + "]"


#: how a receipt ends
LAST_WORD = "splitByChar(' ', name)[-1]"
_NAMES = f"^(?s)(?:{'|'.join(map(re.escape, SUBJECTS))})(?:.* )?(?:{'|'.join(ENDINGS)})$".replace("\\ ", " ")

#: whether a row of `events` is a receipt; one match, because the engine asks that once for each distinct name
IS_RECEIPT = f"(name = 'Unsubscribed' OR match(name, '{_NAMES}'))"
#: how far it shows the message got; machines (prefetch, scanners) show no more than delivery
DEPTH = (
    f"least(transform({LAST_WORD}, {_list(ENDINGS)}, {_list(ENDINGS.values())}, 0),"
    " if(JSONExtractBool(properties, 'machine'), 1, 3))"
)
#: its channel: its own, else by its name
CHANNEL = "multiIf(channel != '', toString(channel), " + (
    ", ".join(f"startsWith(name, '{subject}'), '{channel}'" for subject, channel in SUBJECTS.items()) + ", '')"
)
#: the addresses it names, which providers write in any case
ADDRESSES = (
    "arrayFilter(x -> x != '', "
    "arrayMap(k -> lowerUTF8(JSONExtractString(properties, k)), ['address', 'to', 'email', 'phone']))"
)
#: whether a send `s` is on the channel of a receipt `r`
SAME_CHANNEL = "(s.channel = r.channel OR (r.channel = 'push' AND endsWith(s.channel, '_push')))"
