"""Who is who in history, as the line's own identity steps say (`pathline.history.world`).

Most events change nothing but their own place. Those of identifiers that were seen together before are placed from what
was found then; whether that holds is the resolver's to say. The first event of somebody tells what the steps would tell
(`pathline.history.newcomers`), and they are only asked when the person comes again in a way that may change something:
until then nobody else can be concerned, as no link leads there.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from pathline.history.newcomers import Newcomers, first_event
from pathline.history.world import Heard, Place, World
from schemas.definitions.model import Project
from schemas.records import EARLIEST, Assignment, Event, Link, Refusal, Update


class _First(NamedTuple):
    """The first event of a person, which the steps have not taken yet, and the places of later ones by their key."""

    identifiers: tuple[str, ...]
    at: int
    source: str
    event_id: str
    places: list[Place]
    quiet: bool

    def place(self, identifiers: tuple[str, ...], at: int) -> Place | None:
        """Where a later event of the same person belongs; None when it may change more than its own place."""
        if identifiers == self.identifiers:
            return self.places[0] if self.quiet and at >= self.at else None
        own, *others = identifiers
        if not others:
            return self.places[self.identifiers.index(own)]
        same = own == self.identifiers[0] and set(others) <= set(self.identifiers)
        return self.places[0] if same and self.quiet and at >= self.at else None


class Resolver:
    """Identity and graph, begun with the links of earlier loads.

    `identity` and `links` have what was found since they were emptied.
    """

    def __init__(self, project: Project, links: Iterable[Link], now: int) -> None:
        self._world = World(project, now)
        self._newcomers = Newcomers(lambda: World(project, now))
        self._firsts: dict[str, _First] = {}
        self._places: dict[str, dict[tuple[str, ...], tuple[int, Place]]] = {}
        self.identity: list[Assignment | Refusal | Update] = []
        self.links: list[Link] = []
        self._begin(links)

    def place(self, event: Event) -> tuple[Place | None, list[str]]:
        """Where an event belongs, None when it counts no more or can't be used; and why it, or something it led to,
        can't be used."""
        identifiers = tuple(event.identifiers)
        own = identifiers[0]
        first = self._firsts.get(own)
        if first is not None:
            if (here := first.place(identifiers, event.occurred_at)) is not None:
                return here, []
        elif (
            (known := self._places.get(own)) is not None
            and (found := known.get(identifiers)) is not None
            and event.occurred_at >= found[0]
        ):
            return found[1], []
        heard = self._welcome(event) or self._through(event)
        self.identity += heard.assignments
        self.identity += heard.refusals
        self.identity += heard.moves
        self.links += heard.links
        return heard.place, heard.reasons

    def _welcome(self, event: Event) -> Heard | None:
        """What comes of the first event of somebody; None when it is no such event, or the steps have to say."""
        identifiers = tuple(event.identifiers)
        if any(one in self._firsts or self._world.links(one) for one in identifiers):
            return None
        form = self._newcomers.form(identifiers)
        if form is None or not self._world.admits(identifiers):
            return None
        found = form.of(event)
        for one in identifiers:
            self._places.pop(one, None)
        if len(identifiers) == 1:
            # with nobody it was seen with, there is nothing that the steps would have to keep of it
            self._places[identifiers[0]] = {identifiers: (EARLIEST, found.places[0])}
            return found.heard
        first = _First(identifiers, event.occurred_at, event.source, event.event_id, found.places, found.quiet)
        for one in identifiers:
            self._firsts[one] = first
        return found.heard

    def _through(self, event: Event) -> Heard:
        """Let the steps say."""
        self._catch_up(event.identifiers)
        heard = self._world.event(event)
        self._moved(heard)
        if heard.place is not None:
            self._remember(tuple(event.identifiers))
        return heard

    def _catch_up(self, identifiers: Iterable[str]) -> None:
        """Let the steps have the first events of those who come again. What they say of them was told before."""
        for identifier in identifiers:
            first = self._firsts.get(identifier)
            if first is not None:
                for one in first.identifiers:
                    del self._firsts[one]
                self._world.event(first_event(first.identifiers, first.at, first.source, first.event_id))
                self._remember(first.identifiers)

    def _remember(self, identifiers: tuple[str, ...]) -> None:
        settled = self._world.settled(identifiers)
        if settled is not None:
            self._places.setdefault(identifiers[0], {})[identifiers] = settled

    def _moved(self, heard: Heard) -> None:
        # what an assignment changes holds for events from now on
        for assignment in heard.assignments:
            self._places.pop(assignment.identifier, None)

    def _begin(self, links: Iterable[Link]) -> None:
        """Links of earlier loads; those of one event stand together."""
        for (own, at, source, event_id), together in groupby(links, _OF_ONE_EVENT):
            told = list(together)
            event = first_event([own, *(link.b for link in told)], at, source, event_id)
            if self._welcome(event) is None:
                self._catch_up(event.identifiers)
                for link in told:
                    self._moved(self._world.link(link))


_OF_ONE_EVENT = attrgetter("a", "seen_at", "source", "event_id")
