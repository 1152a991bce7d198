"""Receipts of messages in SQL: which events they are, how far they show the message got, which send they are about.

Receipts are named as in Segment's specs: `Email Delivered`, `Push Notification Opened`, `SMS Link Clicked`; what counts
is the same as in journeys. Depths: 0 sent, 1 delivered, 2 opened, 3 clicked.
"""

from __future__ import annotations

from collections.abc import Iterable

#: a receipt without a send_id counts for a send at most this old, in milliseconds
REACH_MS = 72 * 3_600_000

DEPTHS = {"sent": 0, "delivered": 1, "opened": 2, "clicked": 3}
_ENDINGS = {
    **dict.fromkeys(("Delivered", "Received"), 1),
    **dict.fromkeys(("Opened", "Read", "Seen"), 2),
    **dict.fromkeys(("Clicked", "Tapped", "Replied"), 3),
    # these show that it was sent, and no more
    **dict.fromkeys(("Bounced", "Spam", "Dropped", "Deferred", "Failed", "Rejected", "Unsubscribed", "Dismissed"), 0),
}
_SUBJECTS = {
    "Email ": "email",
    "Push Notification ": "push",
    "SMS ": "sms",
    "Telegram ": "telegram",
    "Viber ": "viber",
    "WhatsApp ": "whatsapp",
    "App Inbox ": "app_inbox",
    "Web Push ": "web_push",
    "Mobile Push ": "mobile_push",
}


def _list(values: Iterable[str | int]) -> str:
    return "[" + ", ".join(repr(value) for value in values) + "]"


_STARTS = " OR ".join(f"startsWith(name, '{subject}')" for subject in _SUBJECTS)
_LAST_WORD = "splitByChar(' ', name)[-1]"

#: whether a row of `events` is a receipt
IS_RECEIPT = f"(name = 'Unsubscribed' OR (({_STARTS}) AND has({_list(_ENDINGS)}, {_LAST_WORD})))"
#: how far it shows the message got; machines (prefetch, scanners) show no more than delivery
DEPTH = (
    f"least(transform({_LAST_WORD}, {_list(_ENDINGS)}, {_list(_ENDINGS.values())}, 0),"
    " if(JSONExtractBool(properties, 'machine'), 1, 3))"
)
#: its channel: its own, else by its name
CHANNEL = "multiIf(channel != '', toString(channel), " + (
    ", ".join(f"startsWith(name, '{subject}'), '{channel}'" for subject, channel in _SUBJECTS.items()) + ", '')"
)
#: the addresses it names
ADDRESSES = (
    "arrayFilter(x -> x != '', arrayMap(k -> JSONExtractString(properties, k), ['address', 'to', 'email', 'phone']))"
)
#: whether a send `s` is on the channel of a receipt `r`
SAME_CHANNEL = "(s.channel = r.channel OR (r.channel = 'push' AND endsWith(s.channel, '_push')))"
