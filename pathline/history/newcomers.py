"""People who appear in history for the first time, which is what a load of many people spends most on.

Of an event whose identifiers the graph knows no link of, the steps make the same as of any other whose identifiers have
the same types, but for names and times. So it is worked out by them once for each combination of types, of an event
with invented names, and written out for each newcomer with its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from pathline.history.world import Heard, Place, World
from schemas.identifiers import person_id, split
from schemas.records import Event


class Found(msgspec.Struct, frozen=True):
    """What the steps make of one event in a world without people: what came of it, the place of a later event by the
    identifier that is its key, and whether later events with these identifiers change nothing but their own place."""

    heard: Heard
    places: list[Place]
    quiet: bool


class Newcomers:
    """What becomes of first events, by the types of their identifiers. `world` makes a world without people."""

    def __init__(self, world: Callable[[], World]) -> None:
        self._world = world
        self._forms: dict[tuple[str, ...], Form | None] = {}

    def form(self, identifiers: Sequence[str]) -> Form | None:
        """What is made of first events with such identifiers; None where that depends on more than their types, so
        that the steps themselves have to say."""
        types = tuple([split(identifier)[0] for identifier in identifiers])
        if types not in self._forms:
            self._forms[types] = self._made(types)
        return self._forms[types]

    def _made(self, types: Sequence[str]) -> Form | None:
        if len(set(types)) < len(types):
            # of two identifiers of one type the order of their values counts
            return None
        form: Form | None = None
        # what is true of three people as different as these is a matter of types
        for name, at in (("one", 7_777_777_777_771), ("another", 33), ("z third", 0)):
            event = first_event([f"{type}:newcomer {name}" for type in types], at, f"source of {name}", f"id {name}")
            found = _alone(event, self._world())
            if found is None:
                return None
            form = form or Form(event, found)
            if _in_order(form.of(event)) != _in_order(found):
                return None
        return form


class Form:
    """What was found of one event, as a text with places for names and times."""

    def __init__(self, event: Event, found: Found) -> None:
        names = _names(event)
        pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._texts = re.split(f"({pattern})", msgspec.json.encode(found).decode())
        place = {name: number for number, name in enumerate(names)}
        self._holes = [(number, place[self._texts[number]]) for number in range(1, len(self._texts), 2)]
        self._read = msgspec.json.Decoder(Found).decode

    def of(self, event: Event) -> Found:
        """What comes of another event whose identifiers have the same types."""
        names, texts = _names(event), self._texts.copy()
        for number, name in self._holes:
            texts[number] = names[name]
        return self._read("".join(texts))


def first_event(identifiers: Sequence[str], at: int, source: str, event_id: str) -> Event:
    """An event with no more to it than identity looks at."""
    return Event(
        message_id="",
        event_id=event_id,
        type="track",
        name="",
        channel="",
        identifiers=list(identifiers),
        occurred_at=at,
        received_at=0,
        source=source,
        historical=True,
        properties=b"{}",
        traits=b"{}",
        context=b"{}",
    )


def _alone(event: Event, world: World) -> Found | None:
    """What the steps make of an event in a world without people; None when something of it can't be used."""
    heard = world.event(event)
    later = [world.settled([identifier]) for identifier in event.identifiers]
    if heard.place is None or heard.reasons or None in later:
        return None
    places = [settled[1] for settled in later if settled is not None]
    quiet = world.settled(event.identifiers)
    return Found(heard, places, quiet is not None and quiet[1] == places[0] and quiet[0] <= event.occurred_at)


def _in_order(found: Found) -> Found:
    """Moves come in the order of the persons they leave, which their names decide."""
    moves = sorted(found.heard.moves, key=lambda move: move.person_id)
    return msgspec.structs.replace(found, heard=msgspec.structs.replace(found.heard, moves=moves))


def _names(event: Event) -> list[str]:
    """Every text by which an event can be known in what is made of it, as inside JSON, in a fixed order."""
    names = [str(event.occurred_at), _quoted(event.source), _quoted(event.event_id)]
    for identifier in event.identifiers:
        names += (_quoted(identifier), person_id(identifier))
    return names


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]
