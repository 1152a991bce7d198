"""A dry run of a project over recorded events: the line's own steps, in one process, on a virtual clock.

Events are applied at their own time, ties in file order; timers due at the same instant come after them. Nothing here
knows segments or journeys: the same stages run on Kafka.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import orjson

from connectors.inbound.segment import Rejected, to_event
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.model import Project
from schemas.records import Event, PromoCode

SOURCE = "simulate"
END_OF_TIME = 253_402_300_799_000  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line of the input that is not a usable event; numbers from 1."""

    number: int
    reason: str


@dataclass(slots=True)
class Input:
    """Events in the order in which they are applied, and the lines that could not be used."""

    events: list[Event] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)


def read(lines: Iterable[bytes], project: Project, until: int) -> Input:
    """Messages of the Segment spec, one JSON object a line, as events not after `until` (milliseconds UTC)."""
    result = Input()
    for number, line in enumerate(lines, 1):
        # Windows programs begin a file with a mark that is no part of the JSON
        raw = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip()
        if not raw:
            continue
        try:
            message = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            result.rejected.append(RejectedLine(number, f"not JSON: {error}"))
            continue
        try:
            event = _event(message, project)
        except Rejected as error:
            result.rejected.append(RejectedLine(number, str(error)))
            continue
        if event.occurred_at <= until:
            result.events.append(event)
    result.events.sort(key=lambda event: event.occurred_at)  # stable: ties stay in file order
    return result


def _event(message: object, project: Project) -> Event:
    if not isinstance(message, dict):
        raise Rejected("not a JSON object")
    if message.get("timestamp") is None:
        raise Rejected("no timestamp")
    # a recording knows no time of receipt: nothing in it is from the future
    event = to_event(message, project.identity, received_at=END_OF_TIME, source=SOURCE, use_sent_at=False)
    return msgspec.structs.replace(event, received_at=event.occurred_at)


def read_file(path: Path, project: Project, until: int) -> Input:
    """As `read`, from a file. Raises OSError."""
    with path.open("rb") as lines:
        return read(lines, project, until)


def simulate(project: Project, events: Iterable[Event], until: int, codes: Iterable[PromoCode] = ()) -> MemoryLine:
    """The line after all events (in order of time) and all timers up to and including `until`; `codes` are in the pools
    of promos before anything happens."""
    codec, source, clock = Codec(), FixedDefinitions(project), VirtualClock()
    line = MemoryLine(
        [
            IdentityStage(source, codec),
            GraphStage(source, codec),
            SegmentsStage(source, codec),
            JourneysStage(source, codec),
        ],
        clock,
    )
    for code in codes:
        line.publish(topics.PROMOS, f"{code.promo}/{code.code}", codec.encode(code))
    for event in events:
        line.advance(event.occurred_at - 1)
        clock.at = event.occurred_at
        line.publish(topics.EVENTS, event.identifiers[0], codec.encode(event))
        line.drain()
    line.advance(until)
    return line
