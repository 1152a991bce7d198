"""What dispatch forgets of an erased person: sends that wait, what is known of those that went, what was allowed.

A message that is at the provider can't be called back; what becomes of it is not written down any more.
"""

from __future__ import annotations

import msgspec

from connectors.outbound.handles import Handles
from connectors.outbound.state import ALLOWED, DONE, ERASED, LINE, OF, OPEN, Erased, Line
from processors.runtime.contract import Turn
from schemas.erasure import mark
from schemas.records import Erasure, SendCommand


def follow(turn: Turn, person: str, erasure: Erasure, ledger: str, handles: Handles | None = None) -> None:
    """Forget the person, or, when the person goes on, what was sent to identifiers that were erased."""
    whole = person in erasure.persons
    known = turn.get(ERASED, person) or Erased(erasure.at, whole)
    identifiers = sorted({*known.identifiers, *map(mark, erasure.identifiers)})
    turn.put(ERASED, person, Erased(erasure.at, whole or known.whole, [] if whole else identifiers))
    if whole:
        turn.put(ALLOWED, person, None)
    for key, identifier in list(turn.scan(OF, f"{person}\0")):
        if whole or identifier in identifiers:
            _forget(turn, key.partition("\0")[2], ledger, handles)
            turn.put(OF, key, None)


def erased(turn: Turn, command: SendCommand) -> bool:
    """Whether a command is about what was erased; nothing of it is to be kept."""
    known = turn.get(ERASED, command.person_id)
    if known is None:
        return False
    return known.whole or (command.at <= known.at and mark(command.identifier) in known.identifiers)


def remember(turn: Turn, command: SendCommand) -> None:
    """Whose a send is, so that it can be forgotten with its person."""
    turn.put(OF, f"{command.person_id}\0{command.send_id}", mark(command.identifier))


def _forget(turn: Turn, send_id: str, ledger: str, handles: Handles | None) -> None:
    done = turn.get(DONE, send_id)
    if handles is not None and done is not None and done.provider_id:
        handles.forget(turn, done.provider_id)
    send = turn.get(OPEN, send_id)
    if send is not None and send.phase == "handed":
        line = turn.get(LINE, "") or Line()
        turn.put(LINE, "", msgspec.structs.replace(line, handed=line.handed - 1))
    turn.put(OPEN, send_id, None)
    turn.put(DONE, send_id, None)
    turn.send(ledger, send_id, None, partition=turn.partition)
