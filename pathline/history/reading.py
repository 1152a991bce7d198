"""Items of a source to events, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from connectors.inbound.files.base import Item, Source, share_of
from connectors.inbound.files.position import Digest, Position
from connectors.inbound.segment import Rejected, timed, to_event
from schemas.definitions.model import IdentityRules
from schemas.records import EARLIEST, LATEST, Event

#: history knows no arrival: nothing in it is from the future
_END_OF_TIME = 253_402_300_799_000


@dataclass(frozen=True, slots=True)
class Task:
    """What to read: a source from behind `position` on, in pieces of `size` items; `name` says where its events are
    from. They are received at `began`, or at `anew` when what is before the position is not what it was, so that all is
    read from the beginning (milliseconds since 1970 UTC)."""

    source: Source
    rules: IdentityRules
    name: str
    size: int
    began: int
    anew: int
    position: Position


class Piece(msgspec.Struct):
    """Items that stand together in a source, of which `first` are before them: the events in them, each with its place
    there and its bytes, and the bytes of those that can't be used with the reason. `count` and `digest` are of all
    items up to its end, when `share` of the source is read."""

    first: int
    count: int = 0
    digest: str = ""
    share: float | None = None
    events: list[Event] = []
    places: list[int] = []
    raws: list[bytes] = []
    refused: list[tuple[bytes, str]] = []


def read(task: Task) -> Iterator[Piece]:
    """All pieces, one after the other; the last one, and only it, is smaller than the others. Raises BadSource,
    OSError."""
    items, digest, began = iter(task.source.items()), Digest(), task.began
    if task.position.count:
        for item in islice(items, task.position.count):
            digest.add(item)
        if digest.position != task.position:
            # another file under the same name
            items, digest, began = iter(task.source.items()), Digest(), task.anew
    while True:
        piece = _piece(items, digest, task, began)
        yield piece
        if piece.count - piece.first < task.size:
            return


def event_of(item: Item, rules: IdentityRules, name: str, received_at: int) -> Event:
    """The event of history in an item; `name` says where it is from. Raises Rejected."""
    if item.message is None:
        raise Rejected(item.problem)
    if not timed(item.message):
        raise Rejected("no timestamp")
    event = to_event(item.message, rules, received_at=_END_OF_TIME, source=name, historical=True, use_sent_at=False)
    if not EARLIEST <= event.occurred_at <= LATEST:
        raise Rejected(f"timestamp is outside the years 1900 to 2299: {item.message.get('timestamp')}")
    return msgspec.structs.replace(event, received_at=received_at)


def _piece(items: Iterator[Item], digest: Digest, task: Task, began: int) -> Piece:
    piece = Piece(digest.count)
    for place, item in enumerate(islice(items, task.size), piece.first):
        digest.add(item)
        try:
            event = event_of(item, task.rules, task.name, began)
        except Rejected as error:
            piece.refused.append((item.raw, str(error)))
        else:
            piece.events.append(event)
            piece.places.append(place)
            piece.raws.append(item.raw)
    piece.count, piece.digest = digest.count, digest.position.digest
    piece.share = share_of(task.source)
    return piece
