"""Dispatch alone on a memory broker, and a provider that answers as it is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.dispatch import DispatchStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.model import Channel, Project
from schemas.records import Event, LedgerEntry, SendCommand, Update
from tests.connectors.doubles import NOW, RULES

CODEC = Codec()
PROJECT = Project(
    name="shop",
    timezone="UTC",
    currency="EUR",
    holdout=None,
    identity=RULES,
    events={},
    channels={"email": Channel("email", consent="opt_in", identifiers=("email",))},
    segments={},
    journeys={},
    templates={},
    version="v1",
    files={},
)
COMMAND = SendCommand(
    send_id="s1",
    person_id="p1",
    journey="welcome",
    version="v1",
    instance_id="i1",
    step="1",
    channel="email",
    category="marketing",
    template="hello",
    to="ann@example.com",
    identifier="email:ann@example.com",
    at=NOW,
    content=orjson.dumps({"subject": "Hello Ann", "text": "Hi", "html": "<p>Hi</p>"}),
)


def command(send_id: str = "s1", **changes: Any) -> SendCommand:
    to = changes.get("to", COMMAND.to)
    return msgspec.structs.replace(COMMAND, send_id=send_id, identifier=f"email:{to}", **changes)


class Line:
    """Dispatch of one channel on a memory broker, the lanes asked for beside each other."""

    def __init__(
        self,
        channel: Any,
        lane: str = "marketing",
        *,
        written: Channel = PROJECT.channels["email"],
        lanes: tuple[str, ...] = (),
        spread: int = 1,
        **options: Any,
    ) -> None:
        self.lane = lane
        self.channel = channel
        self.project = dataclasses.replace(PROJECT, channels={channel.name: written})
        self.make = lambda: [
            DispatchStage(
                FixedDefinitions(self.project), CODEC, self.channel, transactional=one == "transactional", **options
            )
            for one in lanes or (lane,)
        ]
        self.clock = VirtualClock(NOW)
        self.line = MemoryLine(self.make(), self.clock, partitions=spread)

    def send(self, *commands: SendCommand, lane: str = "") -> None:
        lane = lane or self.lane
        topic = topics.outbound(self.channel.name, lane == "transactional")
        for one in commands:
            self.line.publish(topic, one.person_id, CODEC.encode(msgspec.structs.replace(one, category=lane)))
        self.line.drain()

    def profile(self, kind: str = "event", **profile: Any) -> None:
        update = Update(kind=kind, person_id="p1", at=NOW, profile=orjson.dumps(profile))
        self.line.publish(topics.UPDATES, "p1", CODEC.encode(update))
        self.line.drain()

    def happens(self, event: Event, person: str = "p1") -> None:
        update = Update(kind="event", person_id=person, at=self.clock.at, event=CODEC.encode(event))
        self.line.publish(topics.UPDATES, person, CODEC.encode(update))
        self.line.drain()

    def restart(self) -> None:
        self.line.performing = True
        self.line.restart(self.make())
        self.line.drain()

    def after(self, seconds: float) -> None:
        """Let this much time pass."""
        self.line.advance(self.clock.at + round(seconds * 1000))

    def states(self, send_id: str = "s1") -> list[str]:
        return [entry.state for entry in self.ledger() if entry.send_id == send_id]

    def ledger(self) -> list[LedgerEntry]:
        records = self.line.outputs[topics.ledger(self.channel.name)]
        return [CODEC.decode(LedgerEntry, record.value) for record in records]

    def receipts(self) -> list[Event]:
        return [CODEC.decode(Event, record.value) for record in self.line.outputs[topics.EVENTS]]


class Provider:
    """Takes everything, unless `answer` says something else; knows when it was given what (line milliseconds)."""

    name = "email"
    noun = "Email"

    def __init__(self, traits: Traits | None = None) -> None:
        self.traits = traits or Traits()
        self.answer: Callable[[SendCommand], Outcome] = lambda command: Outcome("accepted")
        self.clock = VirtualClock(NOW)
        self.given: list[tuple[int, str]] = []

    async def hand_over(self, command: SendCommand) -> Outcome:
        self.given.append((self.clock.at, command.send_id))
        return self.answer(command)

    def line(self, lane: str = "marketing", **options: Any) -> Line:
        """Dispatch that sends by it."""
        line = Line(self, lane, **options)
        self.clock = line.clock
        return line

    @property
    def times(self) -> list[int]:
        """Seconds after the beginning, in milliseconds, at which something was given."""
        return [at - NOW for at, _ in self.given]
