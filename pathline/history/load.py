"""History straight into the warehouse while no line runs; who is who is found by the line's own steps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from connectors.inbound.files.base import Item, Source
from connectors.inbound.segment import Rejected, to_event
from pathline.history.links import LinkFile, links_of
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.runtime.contract import Record, Stage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.dead_letters import ours_of
from schemas.definitions.model import Project
from schemas.records import EARLIEST, LATEST, Assignment, Event, Link, LinkEnvelope, PersonEnvelope, Refusal, Update
from schemas.settings import Settings
from sinks.clickhouse.connect import folder
from sinks.clickhouse.engine import open_embedded
from sinks.clickhouse.load import Counts, Placed, load_events, load_identity
from sinks.clickhouse.views import adopt

#: history knows no arrival: nothing in it is from the future
_END_OF_TIME = 253_402_300_799_000


@dataclass(slots=True)
class Outcome:
    """What became of the messages of a source; `kept` is the file with the lines of those rejected, as they were."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    kept: Path | None = None


def rejected_lines(home: Path) -> Path:
    """Where a load leaves the lines that it could not use; the next load of this home replaces them."""
    return home / "history" / "rejected.jsonl"


def load_into_warehouse(
    settings: Settings, project: Project, source: Source, report: Callable[[Outcome], None]
) -> Outcome:
    """Load all of a source; what is in the warehouse already counts as duplicate, so an interrupted load is resumed by
    doing it again. `report` is told about each chunk.

    Raises WarehouseError when a line has the files open, OSError.
    """
    warehouse, kept = open_embedded(folder(settings.home)), rejected_lines(settings.home)
    try:
        adopt(warehouse, project, time.time_ns() // 1_000_000)
        resolver, outcome = Resolver(project, source.id, links_of(settings.home)), Outcome(kept=kept)

        def tell(counts: Counts) -> None:
            outcome.accepted = counts.accepted
            outcome.duplicate = counts.duplicate + resolver.duplicates
            report(outcome)

        with _written_whole(kept) as rejected:
            placed = resolver.place(source.items(), outcome, rejected)
            counts = load_events(warehouse, placed, source.id, tell)
        outcome.rejected += len(counts.rejected)
        outcome.reasons.update(reason for _, reason in counts.rejected)
        tell(counts)
        load_identity(warehouse, resolver.identity, source.id)
        # rows first: a link whose event is missing would join people for no visible reason
        resolver.keep()
        return outcome
    finally:
        warehouse.close()


class Resolver:
    """Identity and graph in memory, begun with the links of earlier loads."""

    def __init__(self, project: Project, name: str, links: LinkFile) -> None:
        self._project = project
        self._name = f"load:{name}"
        self._links = links
        self._codec = Codec()
        self._clock = VirtualClock(time.time_ns() // 1_000_000)
        definitions = FixedDefinitions(project)
        stages: list[Stage] = [IdentityStage(definitions, self._codec), GraphStage(definitions, self._codec)]
        self._line = MemoryLine(stages, self._clock)
        for link in links.read():
            self._line.publish(topics.LINKS, "links", self._codec.encode(LinkEnvelope(kind="link", link=link)))
        self._line.drain()
        self._line.outputs.clear()
        self.duplicates = 0
        self.identity: list[Assignment | Refusal | Update] = []
        self._found: list[Link] = []

    def place(self, items: Iterator[Item], outcome: Outcome, rejected: IO[bytes]) -> Iterator[Placed]:
        """Each usable event with its person and slot as they are then; `identity` has what changed afterwards. Lines of
        which something can't be used go to `rejected`."""
        for item in items:
            placed, reasons = self._resolved(item)
            yield from placed
            outcome.reasons.update(reasons)
            if reasons:
                rejected.write(item.raw + b"\n")
            if not placed:
                outcome.rejected += bool(reasons)
                self.duplicates += not reasons

    def keep(self) -> None:
        """Remember the links for the next load and the next line."""
        self._links.add(self._found)

    def _resolved(self, item: Item) -> tuple[list[Placed], list[str]]:
        """The event of an item, none if it is there already, and why it or something it led to can't be used."""
        try:
            event = self._event(item)
        except Rejected as error:
            return [], [str(error)]
        self._line.publish(topics.EVENTS, event.identifiers[0], self._codec.encode(event))
        self._line.drain()
        outputs = self._line.outputs
        people = [self._codec.decode(PersonEnvelope, record.value) for record in outputs[topics.PEOPLE]]
        self.identity += (self._codec.decode(Assignment, record.value) for record in outputs[topics.ASSIGNMENTS])
        self.identity += (self._codec.decode(Refusal, record.value) for record in outputs[topics.REFUSALS])
        self.identity += (
            Update(kind="move", person_id=envelope.person_id, at=envelope.move.at, move=envelope.move)
            for envelope in people
            if envelope.move is not None
        )
        envelopes = (self._codec.decode(LinkEnvelope, record.value) for record in outputs[topics.LINKS])
        self._found += (envelope.link for envelope in envelopes if envelope.link is not None)
        reasons = [_why(record) for record in outputs[topics.DEAD_LETTERS]]
        outputs.clear()
        return [
            Placed(self._codec.decode(Event, envelope.event), envelope.person_id, envelope.slot, envelope.version)
            for envelope in people
            if envelope.kind == "event"
        ], reasons

    def _event(self, item: Item) -> Event:
        if item.message is None:
            raise Rejected(item.problem)
        if item.message.get("timestamp") is None:
            raise Rejected("no timestamp")
        event = to_event(
            item.message,
            self._project.identity,
            received_at=_END_OF_TIME,
            source=self._name,
            historical=True,
            use_sent_at=False,
        )
        if not EARLIEST <= event.occurred_at <= LATEST:
            raise Rejected(f"timestamp is outside the years 1900 to 2299: {item.message['timestamp']}")
        return msgspec.structs.replace(event, received_at=self._clock.now())


def _why(letter: Record) -> str:
    """What a dead letter says, with the app that could not use the record where that was not the event itself."""
    told = ours_of(letter.headers)
    return told["message"] if told["topic"] == topics.EVENTS else f"{told['app']}: {told['message']}"


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of the one before when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        yield file
    path.with_suffix(".part").replace(path)
