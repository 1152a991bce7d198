"""Consents and suppressions that an event tells: choices in a banner, unsubscribing, complaints, bounces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from processors.segments.model import Subject
from processors.segments.plan import Plan
from processors.segments.receipts import Receipt
from schemas.identifiers import split
from schemas.records import Event


def preferences(event: Event, context: Any, plan: Plan) -> Iterator[tuple[Subject, bool]]:
    """Choices in `context.consent.categoryPreferences` ({category: true or false}).

    A category that is a channel is a choice about the event's addresses of that channel, about the person when it has
    none; `channel:purpose` likewise for one purpose; any other category is a purpose, in all channels.
    """
    consent = context.get("consent") if isinstance(context, Mapping) else None
    categories = consent.get("categoryPreferences") if isinstance(consent, Mapping) else None
    if not isinstance(categories, Mapping):
        return
    for category, granted in categories.items():
        if not isinstance(granted, bool):
            continue
        channel, _, purpose = category.partition(":")
        if channel not in plan.channels:
            yield ("", "", category), granted
            continue
        for address in _addresses(event.identifiers, channel, plan) or [""]:
            yield (address, channel, purpose), granted


def withdrawn(receipt: Receipt) -> Iterator[Subject]:
    """What unsubscribing refuses: its channels and purpose, for its addresses, for the person when it names none."""
    if receipt.kind != "unsubscribed":
        return
    for channel in receipt.channels:
        for address in receipt.addresses or ("",):
            yield address, channel, receipt.purpose


def suppressions(receipt: Receipt, known: Mapping[str, Sequence[str]], plan: Plan) -> Iterator[tuple[str, str]]:
    """(address, scope) suppressed by a bounce or a complaint; one without an address is about the newest known."""
    if receipt.kind == "complained":
        scope = "marketing"
    elif receipt.kind == "bounced" and receipt.lasting:
        scope = "all"
    else:
        return
    types = [type for name in receipt.channels for type in plan.channels[name].identifiers]
    newest = [known[type][0] for type in types if known.get(type)]
    for address in receipt.addresses or newest[:1]:
        yield address, scope


def _addresses(identifiers: Sequence[str], channel: str, plan: Plan) -> list[str]:
    types = plan.channels[channel].identifiers
    return [value for type, value in map(split, identifiers) if type in types]
