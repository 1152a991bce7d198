"""History straight into the warehouse while no line runs; who is who is found by the line's own steps.

A load goes in chunks: while one is written the next one's people are found, and the one after that is read. A chunk's
rows come first, then what was found of identities, then its links, then the position behind it: after a kill the chunk
is done again, and what of it is there already is known by its place in the source.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from connectors.inbound.files.base import Source, head_of, repeatable, share_of
from connectors.inbound.files.position import Position
from pathline.history.beside import Pieces, pieces
from pathline.history.links import LinkFile, links_of
from pathline.history.position import PositionFile, Reached
from pathline.history.reading import Piece, Task
from pathline.history.resolver import Resolver
from schemas.definitions.model import IdentityRules, Project
from schemas.records import Assignment, Event, Link, Refusal, Update
from schemas.settings import Settings
from sinks.clickhouse.connect import folder
from sinks.clickhouse.engine import Warehouse, open_embedded, open_server
from sinks.clickhouse.load import ERASED, History, Key, Placed
from sinks.clickhouse.views import adopt

#: items a chunk
CHUNK = 25_000


@dataclass(slots=True)
class Outcome:
    """What became of the messages of a source, those `before` an interruption included; `kept` is the file with the
    lines of those rejected, as they were. In this run `read` were read in `seconds`, up to `share` of the source."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    kept: Path | None = None
    before: int = 0
    read: int = 0
    share: float | None = None
    seconds: float = 0.0


def load_into_warehouse(
    settings: Settings, project: Project, source: Source, report: Callable[[Outcome], None]
) -> Outcome:
    """Load all of a source, or what an interrupted load of it left. What is in the warehouse already counts as
    duplicate. `report` is told about each chunk.

    Raises WarehouseError when a line has the files open, BadSource, OSError.
    """
    server = settings.warehouse
    warehouse = open_server(server) if server else open_embedded(folder(settings.home))
    often = gc.get_threshold()
    # people are kept by the million and lead to no garbage; looking for it took a fifth of a load
    gc.set_threshold(1_000_000, 100, 1_000)
    try:
        adopt(warehouse, project, time.time_ns() // 1_000_000)
        return _Load(settings.home, project, source, warehouse, report).run()
    finally:
        gc.set_threshold(*often)
        warehouse.close()


@dataclass(slots=True)
class _Chunk:
    """Items that were read: what is to be written of them, and what became of them so far."""

    position: Position = field(default_factory=Position)
    placed: list[Placed] = field(default_factory=list)
    raws: dict[int, bytes] = field(default_factory=dict)
    identity: list[Assignment | Refusal | Update] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def reject(self, raw: bytes | None, *reasons: str) -> None:
        self.rejected += 1
        self.reasons.update(reasons)
        if raw is not None:
            self.kept.append(raw)


class _Load:
    """One run of a load."""

    def __init__(
        self, home: Path, project: Project, source: Source, warehouse: Warehouse, report: Callable[[Outcome], None]
    ) -> None:
        self._source = source
        self._report = report
        self._rules: IdentityRules = project.identity
        self._name = f"load:{source.id}"
        self._folder = home / "history"
        self._place = PositionFile(self._folder / "loads", source.id)
        self._links: LinkFile = links_of(home)
        self._history = History(warehouse, source.id)
        self._began = time.monotonic()
        self._read, self._share = 0, share_of(source)
        self._reached = Reached(began=time.time_ns() // 1_000_000, alone=not self._history.begun)
        # the chunk behind the position may have been written in part
        self._again = False
        self._before = 0
        self._pieces = self._begun()
        self._resolver = Resolver(project, self._links.read(), self._reached.began)

    def run(self) -> Outcome:
        """Raises BadSource, OSError."""
        writing: Future[None] | None = None
        with closing(self._pieces), ThreadPoolExecutor(1) as writer:
            for piece in self._pieces:
                if piece.count == piece.first:
                    break
                made = self._made(piece, writing)
                if writing is not None:
                    writing.result()
                    self._report(self._outcome())
                writing = writer.submit(self._write, made)
            if writing is not None:
                writing.result()
        outcome = self._outcome()
        self._report(outcome)
        outcome.kept = self._finished()
        return outcome

    def _begun(self) -> Pieces:
        """What is left of the source."""
        anew = self._reached.began
        task = Task(self._source, self._rules, self._name, CHUNK, anew, anew, Position())
        if not repeatable(self._source):
            self._place.rejected.parent.mkdir(parents=True, exist_ok=True)
            self._place.rejected.write_bytes(b"")
            return pieces(task)
        reached = self._place.read()
        if reached is None:
            found = pieces(task)
        else:
            found = pieces(replace(task, began=reached.began, position=Position(reached.count, reached.digest)))
            first = next(found)
            found = _with(first, found)
            # otherwise it is another file under the same name; what of it is there is known by its ids
            if first.first == reached.count:
                self._reached, self._again, self._before = reached, reached.alone, reached.count
        self._place.write(self._reached)
        with self._place.rejected.open("ab") as file:
            file.truncate(self._reached.kept)
        return found

    def _made(self, piece: Piece, writing: Future[None] | None) -> _Chunk:
        """The events of a piece with their places; what is rejected or duplicate is counted."""
        made = _Chunk(Position(piece.count, piece.digest))
        for raw, reason in piece.refused:
            made.reject(raw, reason)
        there = self._there(piece.events, writing)
        again, self._again = self._again, False
        for position, event, raw in zip(piece.places, piece.events, piece.raws, strict=True):
            key = event.event_id, event.identifiers[0]
            at = there.get(key)
            if at is not None and not (again and at == position):
                made.duplicate += 1
                continue
            there[key] = position
            self._resolve(event, raw, position, at is None, made)
        made.identity, self._resolver.identity = self._resolver.identity, []
        made.links, self._resolver.links = self._resolver.links, []
        self._read += piece.count - piece.first
        self._share = piece.share
        return made

    def _resolve(self, event: Event, raw: bytes, position: int, new: bool, made: _Chunk) -> None:
        place, reasons = self._resolver.place(event)
        if place is None:
            made.reject(raw, *reasons)
            return
        made.accepted += 1
        if reasons:
            made.reasons.update(reasons)
            made.kept.append(raw)
        if new:
            made.placed.append(Placed(event, *place, position))
            made.raws[position] = raw

    def _there(self, events: list[Event], writing: Future[None] | None) -> dict[Key, int]:
        """Those of the events that are in the warehouse, each with its position."""
        maybe = self._history.maybe(events)
        if not maybe:
            return {}
        if writing is not None:
            # what was read before has to be there to be found
            writing.result()
        return self._history.present(maybe)

    def _write(self, chunk: _Chunk) -> None:
        # rows first: a link whose event is missing would join people for no visible reason
        for left, reason in self._history.insert(chunk.placed):
            chunk.accepted -= 1
            # of somebody who was forgotten nothing stays here
            chunk.reject(None if reason == ERASED else chunk.raws[left.position], reason)
        self._history.insert_identity(chunk.identity, chunk.position.count)
        self._links.add(self._history.unerased(chunk.links))
        with self._place.rejected.open("ab") as file:
            file.writelines(raw + b"\n" for raw in chunk.kept)
            kept = file.tell()
        before = self._reached
        self._reached = Reached(
            began=before.began,
            alone=before.alone,
            count=chunk.position.count,
            digest=chunk.position.digest,
            accepted=before.accepted + chunk.accepted,
            duplicate=before.duplicate + chunk.duplicate,
            rejected=before.rejected + chunk.rejected,
            reasons=Counter(before.reasons) + chunk.reasons,
            kept=kept,
        )
        if repeatable(self._source):
            self._place.write(self._reached)

    def _outcome(self) -> Outcome:
        reached = self._reached
        return Outcome(
            reached.accepted,
            reached.duplicate,
            reached.rejected,
            Counter(reached.reasons),
            self._place.rejected,
            self._before,
            self._read,
            self._share,
            time.monotonic() - self._began,
        )

    def _finished(self) -> Path:
        """Put the rejected lines where they stay until the next load, and forget the position."""
        # before the file: another load would truncate it to the size that stands there
        self._place.remove()
        head = head_of(self._source)
        kept = self._folder / ("rejected.csv" if head else "rejected.jsonl")
        for name in ("rejected.csv", "rejected.jsonl"):
            (self._folder / name).unlink(missing_ok=True)
        lines = self._place.rejected
        if head and lines.stat().st_size:
            lines.write_bytes(head + b"\n" + lines.read_bytes())
        lines.replace(kept)
        return kept


def _with(first: Piece, others: Pieces) -> Pieces:
    yield first
    yield from others
