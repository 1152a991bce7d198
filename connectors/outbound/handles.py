"""Receipts that know a message by its provider's id only: joined with the send that has it.

Both go through `<channel>.receipts` by that id, so they meet in one partition, whichever worker sent the message and
whichever heard of it, in whatever order. A receipt whose send does not turn up within a minute goes on by its address.
"""

from __future__ import annotations

import orjson
from msgspec.structs import replace

from connectors.outbound.receipts import about
from connectors.outbound.state import HANDLES, ORPHANS, Handle
from processors.runtime.contract import BadRecord, Record, Turn
from schemas import topics
from schemas.codec import Codec
from schemas.records import Event, Receipt, SendCommand

#: receipts come for so long after their message, milliseconds of the wall
KEEP_MS = 7 * topics.DAY_MS
#: a receipt waits so long for its send, milliseconds of the wall
PATIENCE_MS = 60_000
HANDLE, ORPHAN = "handle:", "orphan:"


class Handles:
    """The ids that a channel's provider gave; `wall` is line milliseconds per wall millisecond."""

    def __init__(self, channel: str, codec: Codec, wall: float) -> None:
        self.topic = topics.receipts(channel)
        self._codec = codec
        self._keep = int(KEEP_MS * wall)
        self._patience = int(PATIENCE_MS * wall)

    def given(self, turn: Turn, command: SendCommand, provider_id: str) -> None:
        """The provider took a message under this id."""
        self._tell(
            turn,
            Receipt(
                kind="handle",
                provider_id=provider_id,
                at=turn.now,
                send_id=command.send_id,
                identifier=command.identifier,
                properties=orjson.dumps(about(command)),
            ),
        )

    def forget(self, turn: Turn, provider_id: str) -> None:
        """The person of this message was erased."""
        self._tell(turn, Receipt(kind="forget", provider_id=provider_id, at=turn.now))

    def on_record(self, record: Record, turn: Turn) -> None:
        """A record of the topic. Raises BadRecord."""
        told = self._codec.decode(Receipt, record.value)
        if told.kind == "handle":
            handle = Handle(told.send_id, told.identifier, told.properties or b"{}", turn.now + self._keep)
            turn.put(HANDLES, told.provider_id, handle)
            turn.wake(HANDLE + told.provider_id, handle.expires)
            for key, event in list(turn.scan(ORPHANS, f"{told.provider_id}\0")):
                turn.put(ORPHANS, key, None)
                self._go_on(turn, self._event(event), handle)
        elif told.kind == "receipt" and told.event is not None:
            self._receipt(turn, told.provider_id, told.event)
        elif told.kind == "forget":
            turn.put(HANDLES, told.provider_id, None)
        else:
            raise BadRecord(f"a record of kind {told.kind!r} that says nothing")

    def on_wake(self, kind: str, key: str, due: int, turn: Turn) -> None:
        """An id is not needed any more, or a send did not turn up in time."""
        if kind == HANDLE:
            handle = turn.get(HANDLES, key)
            if handle is not None and handle.expires <= due:
                turn.put(HANDLES, key, None)
            return
        event = turn.get(ORPHANS, key)
        if event is not None:
            turn.put(ORPHANS, key, None)
            self._go_on(turn, self._event(event), None)

    def _receipt(self, turn: Turn, provider_id: str, raw: bytes) -> None:
        event, handle = self._event(raw), turn.get(HANDLES, provider_id)
        if handle is not None:
            self._go_on(turn, event, handle)
            return
        key = f"{provider_id}\0{event.event_id}"
        turn.put(ORPHANS, key, raw)
        turn.wake(ORPHAN + key, turn.now + self._patience)

    def _go_on(self, turn: Turn, event: Event, handle: Handle | None) -> None:
        if handle is not None:
            properties = orjson.loads(event.properties) | orjson.loads(handle.properties)
            event = replace(
                event,
                identifiers=[handle.identifier],
                send_id=handle.send_id,
                properties=orjson.dumps(properties),
            )
        turn.send(topics.EVENTS, event.identifiers[0], self._codec.encode(event))

    def _event(self, raw: bytes) -> Event:
        event = self._codec.decode(Event, raw)
        if not event.identifiers:
            raise BadRecord("a receipt without an identifier")
        return event

    def _tell(self, turn: Turn, receipt: Receipt) -> None:
        turn.send(self.topic, receipt.provider_id, self._codec.encode(receipt))
