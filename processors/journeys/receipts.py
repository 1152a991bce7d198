"""Which send a receipt is about, and how far it shows that the message got.

Their names are in `schemas.receipts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from processors.journeys.model import Sent
from schemas.receipts import REACH_MS, SUBJECTS, is_receipt


def send_of(event: Mapping[str, Any], sends: Iterable[Sent], at: int) -> Sent | None:
    """The send a receipt counts for: the one whose send_id it carries; otherwise, if its channel, and its address where
    given, agree, the person's newest send there within 72 h."""
    if event.get("send_id"):
        return next((sent for sent in sends if sent.send_id == event["send_id"]), None)
    sends = list(sends)
    channel = _channel_of(event, {sent.channel for sent in sends})
    if channel is None:
        return None
    there = [sent for sent in sends if _same(sent.channel, channel) and sent.at <= at < sent.at + REACH_MS]
    newest = max(there, key=lambda sent: (sent.at, sent.send_id), default=None)
    if newest is None:
        return None
    addresses = addresses_of(event)
    return newest if not addresses or newest.address.lower() in addresses else None


def channels_of(event: Mapping[str, Any], sends: Iterable[Sent]) -> set[str]:
    """The channels a receipt is about, of those that something was sent by lately."""
    sends = list(sends)
    if event.get("send_id"):
        return {sent.channel for sent in sends if sent.send_id == event["send_id"]}
    used = {sent.channel for sent in sends}
    channel = _channel_of(event, used)
    return set() if channel is None else {name for name in used if _same(name, channel)}


def _channel_of(event: Mapping[str, Any], used: set[str]) -> str | None:
    """The channel of a receipt: the one it says if something was sent there, else by its name; None when it is no
    receipt. (What a page tells as its channel, such as web, is where the person was.)"""
    if not is_receipt(event["name"]):
        return None
    properties = event.get("properties")
    said = (properties.get("channel") if isinstance(properties, Mapping) else None, event.get("channel"))
    named = (channel for start, channel in SUBJECTS.items() if event["name"].startswith(start))
    return next((channel for channel in said if channel in used), None) or next(named, None)


def addresses_of(event: Mapping[str, Any]) -> set[str]:
    """Addresses a receipt names in its properties, in lower case: providers write them in any."""
    properties = event.get("properties")
    if not isinstance(properties, Mapping):
        return set()
    return {str(properties[name]).lower() for name in ("address", "to", "email", "phone") if properties.get(name)}


def _same(channel: str, receipt: str) -> bool:
    """`web_push` and `mobile_push` answer to Segment's `Push Notification ...` as well."""
    return channel == receipt or (receipt == "push" and channel.endswith("_push"))
