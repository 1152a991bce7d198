"""Commands to one audience about one person go to the network one after the other: in any other order somebody who left
would be in it."""

from __future__ import annotations

from connectors.outbound.state import ORDER, Order
from processors.runtime.contract import Turn
from schemas.records import SendCommand


def first(turn: Turn, command: SendCommand) -> bool:
    """Whether nothing said before is on its way; else the command takes its place behind that."""
    order = turn.get(ORDER, _key(command))
    turn.put(ORDER, _key(command), Order() if order is None else Order([*order.behind, command.send_id]))
    return order is None


def following(turn: Turn, command: SendCommand) -> str | None:
    """The command whose turn it is when this one is through, None if there is none."""
    order = turn.get(ORDER, _key(command))
    if order is None or not order.behind:
        turn.put(ORDER, _key(command), None)
        return None
    turn.put(ORDER, _key(command), Order(order.behind[1:]))
    return order.behind[0]


def _key(command: SendCommand) -> str:
    return f"{command.person_id}\0{command.step}"
