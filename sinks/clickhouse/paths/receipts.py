"""Receipts of messages in SQL: which events they are, how far they show the message got, which send they are about."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.receipts import ENDINGS, SUBJECTS


def _list(values: Iterable[str | int]) -> str:
    return "[" + ", ".join(repr(value) for value in values) + "]"


_STARTS = " OR ".join(f"startsWith(name, '{subject}')" for subject in SUBJECTS)
#: how a receipt ends
LAST_WORD = "splitByChar(' ', name)[-1]"

#: whether a row of `events` is a receipt
IS_RECEIPT = f"(name = 'Unsubscribed' OR (({_STARTS}) AND has({_list(ENDINGS)}, {LAST_WORD})))"
#: how far it shows the message got; machines (prefetch, scanners) show no more than delivery
DEPTH = (
    f"least(transform({LAST_WORD}, {_list(ENDINGS)}, {_list(ENDINGS.values())}, 0),"
    " if(JSONExtractBool(properties, 'machine'), 1, 3))"
)
#: its channel: its own, else by its name
CHANNEL = "multiIf(channel != '', toString(channel), " + (
    ", ".join(f"startsWith(name, '{subject}'), '{channel}'" for subject, channel in SUBJECTS.items()) + ", '')"
)
#: the addresses it names
ADDRESSES = (
    "arrayFilter(x -> x != '', arrayMap(k -> JSONExtractString(properties, k), ['address', 'to', 'email', 'phone']))"
)
#: whether a send `s` is on the channel of a receipt `r`
SAME_CHANNEL = "(s.channel = r.channel OR (r.channel = 'push' AND endsWith(s.channel, '_push')))"
