"""The ledger of a channel: each state of each send, and what its receipts add to it."""

from __future__ import annotations

from msgspec.structs import replace

from connectors.outbound.state import DONE, OPEN, Done
from processors.runtime.contract import Turn
from schemas import topics
from schemas.codec import Codec
from schemas.receipts import DELIVERED, SENT, reached
from schemas.records import Event, LedgerEntry, SendCommand

#: repeated commands are known for this long, milliseconds of line time
KEEP_DONE_MS = 30 * topics.DAY_MS
EXPIRE = "expire:"

#: last word of a receipt that says that a message did not arrive
_LOST = frozenset({"Bounced", "Failed", "Rejected", "Dropped"})
#: state of a send -> states that a receipt may still turn it into; what arrived did arrive
_LATER = {
    "accepted": ("delivered", "undelivered"),
    "unknown": ("delivered", "undelivered"),
    "undelivered": ("delivered",),
}


class Ledger:
    """Writes the ledger of a channel and remembers which sends are through."""

    def __init__(self, channel: str, lane: str, codec: Codec) -> None:
        self.topic = topics.ledger(channel)
        self._channel = channel
        self._lane = lane
        self._codec = codec

    def write(
        self, turn: Turn, command: SendCommand, state: str, detail: str, attempts: int, provider_id: str = ""
    ) -> None:
        """A state that is not the last one."""
        self._entry(turn, command.send_id, command.person_id, Done(state, 0, provider_id, attempts), detail)

    def finish(
        self, turn: Turn, command: SendCommand, state: str, detail: str, attempts: int, provider_id: str = ""
    ) -> None:
        """The send is through with its provider."""
        done = Done(state, turn.now + KEEP_DONE_MS, provider_id, attempts)
        turn.put(OPEN, command.send_id, None)
        turn.put(DONE, command.send_id, done)
        turn.wake(EXPIRE + command.send_id, done.expires)
        self._entry(turn, command.send_id, command.person_id, done, detail)

    def forget(self, turn: Turn, send_id: str, due: int) -> None:
        """The time is over for which a finished send is known."""
        done = turn.get(DONE, send_id)
        if done is not None and done.expires <= due:
            turn.put(DONE, send_id, None)

    def told(self, turn: Turn, person: str, receipt: Event) -> None:
        """A receipt names a send: what it says of the send counts, unless more is known already."""
        assert receipt.send_id is not None
        done = turn.get(DONE, receipt.send_id)
        if done is None:
            return
        arrived = reached(receipt.name) >= DELIVERED
        state = "delivered" if arrived else "undelivered" if receipt.name.rpartition(" ")[2] in _LOST else ""
        if state in _LATER.get(done.state, ()):
            done = replace(done, state=state)
            turn.put(DONE, receipt.send_id, done)
            self._entry(turn, receipt.send_id, person, done, receipt.name)

    def _entry(self, turn: Turn, send_id: str, person: str, done: Done, detail: str) -> None:
        entry = LedgerEntry(
            send_id=send_id,
            person_id=person,
            channel=self._channel,
            state=done.state,
            at=turn.now,
            provider_id=done.provider_id,
            detail=detail,
            attempts=done.attempts,
            lane=self._lane,
        )
        turn.send(self.topic, send_id, self._codec.encode(entry), partition=turn.partition)


def is_receipt(event: Event) -> bool:
    """Whether an event says more of a send than that it was handed over."""
    return bool(event.send_id) and (reached(event.name) > SENT or event.name.rpartition(" ")[2] in _LOST)
