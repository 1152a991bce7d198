"""What the resolver keeps of an erased identifier: a mark, and when; so that nothing of the time before comes back."""

from __future__ import annotations

import msgspec

from processors.identity.model import BLOCKS, FORGOTTEN, HOLDERS, RECENT, SENT, Forgotten
from processors.runtime.contract import Turn
from schemas.erasure import Erased, mark
from schemas.records import JOURNEY_SOURCE, Assignment, Event


def forget(turn: Turn, assignment: Assignment) -> None:
    """The assignment with which the graph says that an identifier was erased: nothing else of it stays."""
    own = assignment.identifier
    turn.put(HOLDERS, own, None)
    for key, _ in list(turn.scan(SENT, f"{own}\0")):
        turn.put(SENT, key, None)
    for key, _ in list(turn.scan(BLOCKS, f"{own}\0")):
        turn.put(BLOCKS, key, None)
    turn.put(RECENT, own, None)
    turn.put(FORGOTTEN, mark(own), Forgotten(assignment.periods[0].since - 1, assignment.generation))


def returns(turn: Turn, own: str, forgotten: Forgotten, event: Event) -> bool:
    """Whether an event of an erased identifier counts: it is of the time after, and the person did something.

    What the line itself says of a person (receipts of sends, traits that a journey sets) begins nobody anew.
    """
    if Erased(forgotten.at, forgotten.generation).covers(event.occurred_at, event.received_at):
        return False
    if not forgotten.back:
        if event.send_id is not None or event.source == JOURNEY_SOURCE:
            return False
        turn.put(FORGOTTEN, mark(own), msgspec.structs.replace(forgotten, back=True))
    return True
