"""Consents and suppressions that an event tells: choices in a banner, unsubscribing, complaints, bounces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from processors.runtime.slots import Slot, Slots
from processors.segments.model import NEVER, Choice, State, Subject, join
from processors.segments.plan import Plan
from processors.segments.receipts import Receipt
from processors.segments.view import View
from schemas.identifiers import identifier_of, split
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


def proof(context: Any, properties: Any) -> str:
    """What the person saw or ticked, as the event tells it: `context.consent.proof`, else `properties.proof`."""
    consent = context.get("consent") if isinstance(context, Mapping) else None
    for part in (consent, properties):
        told = part.get("proof") if isinstance(part, Mapping) else None
        if isinstance(told, str) and told:
            return told
    return ""


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


def parting(slots: Slots[State], together: View) -> Slots[State]:
    """Slots that may part now: each takes along what is refused for the addresses it knows, whichever of them was told.

    Otherwise a device that leaves would take with it that somebody unsubscribed, and the address would be written to
    again. Grants stay where they were given: at worst a message too few goes out.
    """
    refused = defaultdict[str, dict[Subject, Choice]](dict)
    for subject, choice in together.choices.items():
        if not choice.granted:
            refused[subject[0]][subject] = choice

    def warned(name: str, slot: Slot[State]) -> Slot[State]:
        state = slot.state or State(first_seen=NEVER)
        known = {split(identifier)[1] for identifier in (identifier_of(name), *state.used)}
        choices = {subject: choice for address in known for subject, choice in refused.get(address, {}).items()}
        suppressed = {address: together.suppressed[address] for address in known & together.suppressed.keys()}
        back = {address: together.alive[address] for address in known & together.alive.keys()}
        if not choices and not suppressed and not back:
            return slot
        died = {address: together.died[address] for address in suppressed.keys() & together.died.keys()}
        news = State(first_seen=NEVER, choices=choices, suppressed=suppressed, died=died, alive=back)
        return msgspec.structs.replace(slot, state=join(state, news))

    return Slots({name: warned(name, slot) for name, slot in slots.held.items()}, slots.redirects)


def _addresses(identifiers: Sequence[str], channel: str, plan: Plan) -> list[str]:
    types = plan.channels[channel].identifiers
    return [value for type, value in map(split, identifiers) if type in types]
