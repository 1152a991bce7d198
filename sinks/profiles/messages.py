"""What is in an inbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processors.runtime.store import Store
from schemas.codec import Codec
from schemas.records import SendCommand
from sinks.profiles import kept

#: what takes a message out of the inbox before its time
_OUT = frozenset({"dismissed", kept.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Message:
    """A message in an inbox: `leaves` is when it goes by itself, `done` when what was done with it."""

    command: SendCommand
    leaves: int
    done: Mapping[str, int]

    @property
    def place(self) -> tuple[int, str]:
        """Its place among others, by time."""
        return self.command.at, self.command.send_id

    @property
    def seen(self) -> bool:
        """Whether the person looked at it."""
        return not self.done.keys().isdisjoint({"seen", "clicked"})


def messages(store: Store, codec: Codec, identifiers: Iterable[str], now: int) -> list[Message]:
    """The messages that these identifiers can read at an instant, the newest first."""
    found = []
    for identifier in identifiers:
        for _, value in store.scan(*kept.of_identifier(identifier)):
            leaves, framed = kept.taken_apart(value)
            if leaves <= now:
                continue
            command = codec.decode(SendCommand, framed)
            done = kept.flags(store.get, command.send_id)
            # it is there once dispatch has let it in
            if "sent" in done and _OUT.isdisjoint(done):
                found.append(Message(command, leaves, done))
    return sorted(found, key=lambda message: message.place, reverse=True)
