"""The vocabulary of receipts: which events report what became of a message.

They are named as in Segment's specs (`Email Delivered`, `Push Notification Opened`, `SMS Link Clicked`), so the first
words say the channel and the last word how far the message got.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.services import CALLS, TASKS

#: a receipt without a send_id counts for a send at most this old, in milliseconds
REACH_MS = 72 * 3_600_000

SENT, DELIVERED, OPENED, CLICKED = 0, 1, 2, 3
DEPTHS = {"sent": SENT, "delivered": DELIVERED, "opened": OPENED, "clicked": CLICKED}

#: last word -> how far the message got
ENDINGS = {
    **dict.fromkeys(("Delivered", "Received"), DELIVERED),
    **dict.fromkeys(("Opened", "Read", "Seen", "Answered"), OPENED),
    **dict.fromkeys(("Clicked", "Tapped", "Replied", "Agreed"), CLICKED),
    # these show that it was sent, and no more
    **dict.fromkeys(
        (
            *("Sent", "Bounced", "Spam", "Dropped", "Deferred", "Failed", "Rejected", "Unsubscribed", "Dismissed"),
            *("Unanswered", "Declined"),
        ),
        SENT,
    ),
}
#: how receipts of inboxes begin
INBOX_NOUN = "App Inbox"
#: first words -> channel
SUBJECTS = {
    "Email ": "email",
    "Push Notification ": "push",
    "SMS ": "sms",
    "Telegram ": "telegram",
    "Viber ": "viber",
    "WhatsApp ": "whatsapp",
    f"{INBOX_NOUN} ": "app_inbox",
    "Call ": "call",
    "Webhook ": "webhook",
    "Web Push ": "web_push",
    "Mobile Push ": "mobile_push",
}

#: What journeys may ask of a receipt. Of the last words of a name each says only itself, `DEPTHS` those beyond too.
OUTCOMES = {
    **{word: frozenset[str]() for word in ("delivered", "opened", "clicked")},
    "replied": frozenset({"Replied"}),
    "bounced": frozenset({"Bounced"}),
    "complained": frozenset({"Spam"}),
    "unsubscribed": frozenset({"Unsubscribed"}),
    "failed": frozenset({"Failed", "Rejected", "Dropped"}),
}
#: Bounces that will not go away. A bounce that does not say which kind it is counts as one: a dead address that is
#: written to again harms the reputation of the sender, a living one comes back with its next consent.
_LASTING_BOUNCES = frozenset({"", "hard", "permanent"})


def is_receipt(name: str) -> bool:
    """Whether an event of this name reports what became of a message."""
    return name == "Unsubscribed" or (name.startswith(tuple(SUBJECTS)) and name.rsplit(" ", 1)[-1] in ENDINGS)


def tells(event: Mapping[str, Any], outcome: str) -> bool:
    """Whether an event (as expressions see it) is a receipt of this outcome, one of `OUTCOMES`."""
    if outcome in DEPTHS:
        return depth(event) >= DEPTHS[outcome]
    return is_receipt(event["name"]) and event["name"].rsplit(" ", 1)[-1] in OUTCOMES[outcome]


def lost(event: Mapping[str, Any]) -> bool:
    """Whether a receipt (as expressions see it) says that a message will never get there. A bounce that may pass (the
    mailbox is full, the server is busy) does not say so; one that does not tell its kind does."""
    if not is_receipt(event["name"]):
        return False
    if tells(event, "failed"):
        return True
    properties = event.get("properties")
    return tells(event, "bounced") and lasting(properties if isinstance(properties, Mapping) else {})


def lasting(properties: Mapping[str, Any]) -> bool:
    """Whether a bounce with these properties will not go away."""
    return str(properties.get("bounce_type") or "").strip().lower() in _LASTING_BOUNCES


def looked_at(event: Mapping[str, Any]) -> bool:
    """Whether a receipt (as expressions see it) shows that the person saw the message, if only to dismiss it."""
    return depth(event) >= OPENED or (is_receipt(event["name"]) and event["name"].endswith(" Dismissed"))


def noun_of(channel: str) -> str:
    """How receipts of a channel begin: `Email` of `Email Delivered`; of a channel without a name of its own the
    channel's, in words."""
    usual = {name: subject.strip() for subject, name in reversed(SUBJECTS.items())}
    usual |= {"web_push": "Push Notification", "mobile_push": "Push Notification"}
    usual |= {CALLS: "Service Call", TASKS: "Task"}
    return usual.get(channel) or channel.replace("_", " ").title()


def reached(name: str) -> int:
    """How far a receipt of this name says the message got, `SENT` when it is no receipt."""
    return ENDINGS.get(name.rsplit(" ", 1)[-1], SENT) if name.startswith(tuple(SUBJECTS)) else SENT


def depth(event: Mapping[str, Any]) -> int:
    """How far a receipt (as expressions see it) shows the message got, `SENT` when it is no receipt."""
    return min(reached(event["name"]), DELIVERED) if is_machine(event) else reached(event["name"])


def by_machine(event: Mapping[str, Any]) -> bool:
    """Whether a machine (prefetch, scanner) opened or clicked: that counts as delivered only."""
    return reached(event["name"]) > DELIVERED and is_machine(event)


def is_machine(event: Mapping[str, Any]) -> bool:
    """Whether a receipt was caused by a machine."""
    properties = event.get("properties")
    return isinstance(properties, Mapping) and properties.get("machine") is True
