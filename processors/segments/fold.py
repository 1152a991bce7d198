"""What one event does to the slot it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from processors.segments import affinity, collecting, consents, occurrences
from processors.segments.keeping import reported_to
from processors.segments.marks import matches, name_of, trimmed, within
from processors.segments.measures import kept, read
from processors.segments.model import (
    COLLECTED,
    MARKS,
    MOMENTS,
    NEVER,
    OCCURRENCES,
    READINGS,
    Choice,
    Collected,
    Listed,
    Mark,
    State,
    Trait,
    joined_collected,
    joined_engagements,
    merged,
    newer_choice,
    newer_listed,
    storable,
    wider_scope,
)
from processors.segments.plan import ADDRESS, AFFINITY, CONSENT, FIRST, ZONE, Collector, Counter, Meter, Ordering
from processors.segments.receipts import Receipt, kind_of, receipt
from processors.segments.sequences import steps_of, with_moment
from processors.segments.view import View
from schemas import lists
from schemas.definitions.expressions import document
from schemas.identifiers import split
from schemas.receipts import by_machine, reached
from schemas.records import Event
from schemas.zones import ZONES, of_place


class Fold:
    """An event folded into the state of its slot, None before its first, at instant `now`.

    `before` is the person as it was. Everything counts by the event's own time; a future one waits for its time.
    Afterwards `state` is the slot's state, `keys` is what conditions read and the event changed, `profile` whether
    anything in the profile may have changed, `repeated` whether the event reports an occurrence known before. Raises
    BadRecord when a part that is needed is not JSON.
    """

    def __init__(self, event: Event, state: State | None, before: View, now: int) -> None:
        self.keys: set[str] = set()
        self.profile = state is None
        self.repeated = False
        self._event = event
        self._now = now
        self._view = before
        self._plan = before.plan
        # a value said again may be news when another slot may have said something else in between
        self._others = before.count > (state is not None)
        self._listed = event.type == lists.TYPE
        # what a list says of somebody is nothing that the person did
        self._old = state or State(first_seen=NEVER if self._listed else event.occurred_at)
        self._new: dict[str, Any] = {}
        self._parsed: dict[str, Any] | None = None
        self._fold()
        self.state = msgspec.structs.replace(self._old, **self._new)

    def _fold(self) -> None:
        event, plan = self._event, self._plan
        if self._listed:
            self._list()
            return
        if event.occurred_at < self._old.first_seen or self.profile:
            self._new["first_seen"] = event.occurred_at
            self.keys.add(FIRST)
            self.profile = True
        if event.type != "group" and len(event.traits) > 2:  # the traits of a group are not the person's own
            self._traits()
        if b'"timezone"' in event.context:
            zone = self._part("context").get("timezone")
            self._zone("zone", zone if isinstance(zone, str) and zone in ZONES else None)
        if b'"location"' in event.context or b'"geo"' in event.context:
            context = self._part("context")
            self._zone("place", of_place(context.get("location")) or of_place(context.get("geo")))
        told = receipt(event, self._document, plan) if kind_of(event.name, plan.names) is not None else None
        said = []
        if b'"categoryPreferences"' in event.context:
            said += list(consents.preferences(event, self._document["context"], plan))
        if told is not None:
            said += [(subject, False) for subject in consents.withdrawn(told)]
            self._suppress(list(consents.suppressions(told, self._view.addresses, plan)))
            self._revive(told)
        if said:
            self._choose(said)
        if plan.affinity and (told is not None or event.name in plan.purchases):
            self._engage(told)
        self._use(event.occurred_at if told is None or told.kind == "started" else 0)
        if event.name in plan.rules or event.name in plan.undoes:
            for name, key in occurrences.concerned(event, self._document, plan):
                self._occurrence(name, key)
        self._count()

    @property
    def _document(self) -> dict[str, Any]:
        """What expressions see of the event; parsed only when something asks for it."""
        if self._parsed is None:
            self._parsed = document(self._event)
        return self._parsed

    @cached_property
    def _name(self) -> int:
        """The name of the event among marks."""
        return name_of(self._event.event_id)

    @property
    def _called(self) -> str:
        """What the event tells of: an occurrence that others may report too, else itself."""
        return occurrences.called(self._event, self._document, self._plan)

    def _part(self, name: str) -> Mapping[str, Any]:
        """traits or context; empty when it is not an object."""
        value = self._document[name]
        return value if isinstance(value, Mapping) else {}

    def _list(self) -> None:
        event, name = self._event, str(self._document["properties"]["list"])
        about = (name, event.identifiers[0])
        listed = Listed(event.name == lists.JOINED, event.occurred_at)
        known = self._old.lists.get(about)
        self._new["lists"] = {**self._old.lists, about: listed if known is None else newer_listed(known, listed)}
        self.keys.add(f"list:{name}")

    def _traits(self) -> None:
        """The newest by event time; of two at one time the one that came last."""
        at, held = self._event.occurred_at, self._plan.held
        traits, history = dict(self._old.traits), dict(self._old.history)
        for name, written in self._part("traits").items():
            value, before = storable(written), traits.get(name)
            if name in held:
                values = history.get(name, (before,) if before is not None else ())
                told = (*(one for one in values if one.at != at), Trait(value, at))
                history[name] = _recent(told, self._now - held[name])
                self.keys.add(f"trait:{name}")
            if before is not None and before.at > at:
                continue
            traits[name] = Trait(value, at, self._event.source)
            if self._others or before is None or type(before.value) is not type(value) or before.value != value:
                self.keys |= {f"trait:{name}", ZONE} if name == "timezone" else {f"trait:{name}"}
                self.profile = True
            elif before.source != self._event.source:
                self.profile = True
        self._new.update(traits=traits, history=history)

    def _zone(self, of: Literal["zone", "place"], zone: str | None) -> None:
        """The newest zone that was told, or that of where the person was."""
        before: Trait | None = getattr(self._old, of)
        if zone is None or (before is not None and before.at > self._event.occurred_at):
            return
        self._new[of] = Trait(zone, self._event.occurred_at, self._event.source)
        if self._others or before is None or before.value != zone:
            self.keys.add(ZONE)
            self.profile = True

    def _choose(self, said: Sequence[tuple[tuple[str, str, str], bool]]) -> None:
        choices, event = dict(self._old.choices), self._event
        proof = consents.proof(self._document["context"], self._document["properties"])
        for subject, granted in said:
            choice, before = Choice(granted, event.occurred_at, event.source, proof), choices.get(subject)
            choices[subject] = choice if before is None else newer_choice(before, choice)
            if choices[subject] != before:
                self.keys.add(CONSENT)
                self.profile = True
        self._new["choices"] = choices

    def _suppress(self, found: Sequence[tuple[str, str]]) -> None:
        suppressed = dict(self._old.suppressed)
        for address, scope in found:
            suppressed[address] = wider_scope(suppressed.get(address, scope), scope)
        dead = {address: self._event.occurred_at for address, scope in found if scope == "all"}
        if dead and (died := merged(self._old.died, dead, max)) != self._old.died:
            self._new["died"] = died
            self.profile = True
        if suppressed != self._old.suppressed:
            self._new["suppressed"] = suppressed
            self.profile = True

    def _revive(self, told: Receipt) -> None:
        """An address that was dead has come back."""
        if told.kind != "started":
            return
        alive = merged(self._old.alive, dict.fromkeys(told.addresses, self._event.occurred_at), max)
        if alive != self._old.alive:
            self._new["alive"] = alive
            self.profile = True

    def _engage(self, told: Receipt | None) -> None:
        """The person answered in a channel, or bought."""
        before = self._old.engagements
        new = tuple(affinity.engagements(self._event, self._document, self._called, told, self._plan))
        after = affinity.newest(joined_engagements(before, new))
        if after != before:
            self._new["engagements"] = after
            self.keys.add(AFFINITY)
            self.profile = True

    def _use(self, at: int) -> None:
        """The person used its identifiers at this time; 0 when a receipt only tells that they are known."""
        used, types = dict(self._old.used), {split(identifier)[0] for identifier in self._event.identifiers}
        for identifier in self._event.identifiers:
            before = used.get(identifier)
            if before is not None and at <= before:
                continue
            used[identifier] = at
            type, value = split(identifier)
            if before is None:
                self.keys.add(ADDRESS)
            elif not (self._others or len(used) > len(types)) or self._view.addresses[type][0] == value:
                continue
            self.profile = True
            if type in self._plan.phones:
                self.keys.add(ZONE)
        self._new["used"] = used

    def _count(self) -> None:
        event, plan = self._event, self._plan
        counters, orderings = plan.counters.get(event.name, ()), plan.orderings.get(event.name, ())
        meters, collectors = plan.meters.get(event.name, ()), plan.collectors.get(event.name, ())
        if not counters and not orderings and not meters and not collectors:
            return
        if reached(event.name) and by_machine(self._document):
            return  # nobody opened or clicked anything
        if collectors:
            self._collect(collectors)
        rule = plan.rules.get(event.name)
        if rule is not None and occurrences.name_of(self._document, rule) is not None:
            return  # counted as an occurrence that others may report too
        if counters:
            self._mark(counters)
        if orderings:
            self._line_up(orderings)
        if meters:
            self._measure(meters)

    def _mark(self, counters: Sequence[Counter]) -> None:
        counted = dict(self._old.counted)
        for counter in counters:
            new = self._marks(counter)
            if new:
                before = MARKS.get(counted, counter.key)
                after = counted[counter.key] = trimmed(before, new, counter, self._now)
                if any(mark in after and mark not in before for mark in new):
                    self.keys.add(f"did:{counter.key}")
        self._new["counted"] = counted

    def _marks(self, counter: Counter) -> list[Mark]:
        did, event = counter.did, self._event
        if not within(did.window, event.occurred_at):
            return []
        if did.where is None and did.each is None:
            return [(event.occurred_at, self._name)]
        return [(event.occurred_at, name) for name, _ in matches(did, event.event_id, self._document)]

    def _line_up(self, orderings: Sequence[Ordering]) -> None:
        event, sequences = self._event, dict(self._old.sequences)
        for ordering in orderings:
            order = ordering.order
            value, steps = steps_of(order, event.name, lambda: self._document)
            if not steps or not within(order.window, event.occurred_at):
                continue
            moment = (event.occurred_at, self._name, steps)
            moments = with_moment(MOMENTS.get(sequences, ordering.key), value, moment, order, self._now)
            sequences[ordering.key] = moments
            if moment in moments.get(value, ()):
                self.keys.add(f"order:{ordering.key}")
        self._new["sequences"] = sequences

    def _measure(self, meters: Sequence[Meter]) -> None:
        event, measured = self._event, dict(self._old.measured)
        for meter in meters:
            if not within(meter.measure.window, event.occurred_at):
                continue
            new = read(meter.measure, event.event_id, event.occurred_at, self._document)
            if new:
                measured[meter.key] = kept(READINGS.get(measured, meter.key), new, meter.measure, self._now)
                self.keys.add(f"measure:{meter.key}")
        self._new["measured"] = measured

    def _collect(self, collectors: Sequence[Collector]) -> None:
        event, collected = self._event, dict(self._old.collected)
        for one in collectors:
            new = collecting.told(one.collect, event, self._called, self._document)
            if new != Collected():
                together = joined_collected(COLLECTED.get(collected, one.key), new)
                collected[one.key] = collecting.kept(one.collect, together, self._now)
                self.keys.add(f"collect:{one.key}")
        self._new["collected"] = collected

    def _occurrence(self, name: str, key: str) -> None:
        self.repeated |= name == self._event.name and self._view.reported(name, key)
        by_name = self._new.get("occurrences", self._old.occurrences)
        by_key = OCCURRENCES.get(by_name, name)
        after = occurrences.told(by_key.get(key), name, self._event, self._document, self._plan)
        if after == by_key.get(key):
            return
        kept = occurrences.pruned({**by_key, key: after}, self._plan.horizons.get(name), self._now)
        self._new["occurrences"] = {**by_name, name: kept}
        self.keys |= reported_to(name, self._plan)


def _recent(values: Sequence[Trait], since: int) -> tuple[Trait, ...]:
    """Values set after an instant and the one that was in force then."""
    ordered = sorted(values, key=lambda value: value.at)
    first = sum(value.at <= since for value in ordered) - 1
    return tuple(ordered[max(first, 0) :])
