"""Lists that follow from events: a cart, the products viewed last.

An element is there while what was added of it since the list was last cleared outweighs what was removed, told in order
of time, so neither the order of arrival nor the slot matters. At one instant removing follows adding, clearing both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from processors.segments.gauges import whole
from processors.segments.marks import name_of, value_name
from processors.segments.model import Collected, Mark, Piece
from schemas.definitions.expressions import lookup
from schemas.definitions.model import Collect
from schemas.records import EARLIEST, Event

#: For each element that may be in the list one more is remembered, so that removing some does not empty it.
REMEMBERED = 2
#: So many events of one element are kept: quantities add up over the newest of them.
PIECES = 32
#: So many clearings are kept, to know the further reports of each.
CLEARINGS = 8
#: What was there before so many clearings that others may report too is kept: the list was cleared earlier when another
#: slot has an earlier report, and what came between the two is still in it.
RESTORED = 2
_LONG_AGO = EARLIEST - 1


def told(collect: Collect, event: Event, called: str, document: Mapping[str, Any]) -> Collected:
    """What one event says of a list; `called` is the event, or the occurrence that several events report."""
    name, at = event.name, event.occurred_at
    sign = -1 if called == event.event_id else 1
    if name in collect.clear:
        return Collected(cleared=((at, sign * name_of(called)),))
    pieces: dict[str, tuple[Piece, ...]] = {}
    for number, line in enumerate(_lines(collect, document)):
        names = {**document, "item": line}
        value = lookup(names, collect.by)
        element = value_name(value)
        adds = name in collect.add
        if element is None or (adds and not _wanted(collect, names)):
            continue
        parent, _, last = collect.by.rpartition(".")
        quantity = _quantity(lookup(names, _beside(parent, "quantity")))
        piece = sign * name_of(f"{called} {number}")
        if adds:
            kept = {key: lookup(names, _beside(parent, key)) for key in collect.keep if key != "quantity"}
            content = {last: value, **{key: one for key, one in kept.items() if one is not None}}
            pieces[element] = (*pieces.get(element, ()), Piece(at, piece, quantity or 1, orjson.dumps(content)))
        else:
            pieces[element] = (*pieces.get(element, ()), Piece(at, piece, None if quantity is None else -quantity))
    return Collected(pieces=pieces)


def kept(collect: Collect, collected: Collected, now: int) -> Collected:
    """What can still matter of a list at `now` or later."""
    cleared = _settled(collected.cleared, now)
    pieces = {element: _kept(told, cleared, now) for element, told in collected.pieces.items()}
    newest = sorted((told[-1].at, element) for element, told in pieces.items() if told)
    return Collected(
        cleared=collected.cleared[-CLEARINGS:],
        pieces={element: pieces[element] for _, element in newest[-REMEMBERED * collect.at_most :]},
    )


def listed(collect: Collect, collected: Collected, now: int) -> tuple[list[dict[str, Any]] | None, int | None]:
    """(the elements at `now`, the one added last at the end, None when there is none; when it may be another list)."""
    cleared = _cleared(collected.cleared, now)
    found = list[tuple[int, str, dict[str, Any]]]()
    for element, told in collected.pieces.items():
        amount, added = 0.0, None
        for piece in told:
            if cleared < piece.at <= now:
                amount = 0.0 if piece.amount is None else max(0.0, amount + piece.amount)
                added = piece if piece.document else added
        if added is not None and amount > 0:
            content = orjson.loads(added.document)
            if "quantity" in collect.keep:
                content["quantity"] = whole(amount)
            found.append((added.at, element, content))
    found.sort(key=lambda one: one[:2])
    times = [at for at, _ in collected.cleared] + [piece.at for told in collected.pieces.values() for piece in told]
    until = min((at for at in times if at > now), default=None)
    return [content for _, _, content in found[-collect.at_most :]] or None, until


def _lines(collect: Collect, document: Mapping[str, Any]) -> list[Any]:
    lines = [None] if collect.each is None else lookup(document, collect.each)
    return lines if isinstance(lines, list) else []


def _wanted(collect: Collect, names: Mapping[str, Any]) -> bool:
    return collect.where is None or collect.where.holds({"event": names, "item": names["item"]})


def _beside(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


def _quantity(value: Any) -> float | None:
    """How many, if the event says so."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _cleared(cleared: Iterable[Mark], now: int) -> int:
    """When the list was cleared last."""
    return max((at for at, _ in cleared if at <= now), default=_LONG_AGO)


def _settled(cleared: Iterable[Mark], now: int) -> int:
    """What came before is in the list no more, whatever is told of earlier reports."""
    past = [mark for mark in cleared if mark[0] <= now]
    alone = [at for at, name in past if name < 0]
    reported = sorted(at for at, name in past if name >= 0)
    return max([*alone, *reported[:-RESTORED][-1:]], default=_LONG_AGO)


def _kept(told: Sequence[Piece], cleared: int, now: int) -> tuple[Piece, ...]:
    """Pieces of an element from its last removal on; only the one added last says what the element is. Of what others
    may report too nothing is sure, as it may have been earlier."""
    sure = [piece for piece in told if piece.at <= now and piece.name < 0]
    emptied = max((piece.at for piece in sure if piece.amount is None), default=cleared)
    since = [p for p in told if p.at > cleared and (p.at > emptied or (p.at == emptied and p.amount is None))]
    last = max((number for number, piece in enumerate(since) if piece.document and piece in sure), default=0)
    older = [msgspec.structs.replace(piece, document=b"") for piece in since[:last]]
    return (*older, *since[last:])[-PIECES:]
