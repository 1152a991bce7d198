"""Receipts of dispatch: what a provider said at once, as an ordinary event of the person.

Named as in Segment's e-mail spec: `<noun> Sent` for what a provider accepted (delivery is more than that and is only
told by the provider later), `Bounced` when the address was refused, `Failed` when it could not be sent, `Dropped` when
it may not be sent any more.
"""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

import orjson

from connectors.outbound.channel import Outcome
from schemas.records import Event, SendCommand
from schemas.services import SERVICES

_NAMESPACE = uuid5(NAMESPACE_URL, "pathline:receipt")


def about(command: SendCommand) -> dict[str, str]:
    """What every receipt of a send says about it."""
    return {
        "send_id": command.send_id,
        "channel": command.channel,
        "address": command.to,
        "journey": command.journey,
        "step": command.step,
        "template": command.template,
    }


def receipt(name: str, command: SendCommand, outcome: Outcome, at: int) -> Event:
    """The receipt at line time `at`; keyed by the identifier the command went to."""
    message_id = f"{command.send_id}:{name.rpartition(' ')[2].lower()}"
    properties = about(command)
    if outcome.bounce:
        properties |= {"bounce_type": outcome.bounce}
    if outcome.kind != "accepted":
        properties |= {"reason": outcome.detail}
    return Event(
        message_id=message_id,
        event_id=str(uuid5(_NAMESPACE, message_id)),
        type="track",
        name=name,
        # what a service says is no touch of a person
        channel="" if command.channel in SERVICES else command.channel,
        identifiers=[command.identifier],
        occurred_at=at,
        received_at=at,
        source=f"dispatch:{command.channel}",
        send_id=command.send_id,
        properties=orjson.dumps(properties),
        traits=b"{}",
        context=b"{}",
    )
