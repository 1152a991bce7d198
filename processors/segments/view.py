"""A person as the fold of its slots, each aspect joined when it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, reduce
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from processors.segments import affinity, collecting, occurrences, predicting
from processors.segments.gauges import Orders
from processors.segments.marks import span
from processors.segments.measures import Live, amount
from processors.segments.model import (
    COLLECTED,
    MARKS,
    MOMENTS,
    NEVER,
    OCCURRENCES,
    READINGS,
    Choice,
    Collected,
    Engagement,
    Mark,
    Moment,
    Occurrence,
    Reading,
    State,
    Subject,
    Trait,
    joined_collected,
    joined_engagements,
    joined_history,
    joined_marks,
    joined_moments,
    joined_occurrence,
    joined_readings,
    merged,
    newer_choice,
    newer_trait,
    newest,
    suppressed,
)
from processors.segments.plan import Plan
from processors.segments.sequences import Taken
from schemas import consent
from schemas.definitions.model import Best, Collect, Did, InOrder, Measure, Prediction, Working, ZoneSource, root
from schemas.identifiers import identifier_of, split
from schemas.localtime import Span, zone_of
from schemas.traits import find
from schemas.zones import ZONES, of_phone


class View:
    """What all slots of a person say together; `held` are the states of those that hold anything, by slot, `computed`
    the values that computed traits have now."""

    def __init__(self, held: Mapping[str, State], plan: Plan, computed: dict[str, Any]) -> None:
        self._held = held
        self._computed = computed
        self._states = list(held.values())
        self.plan = plan

    @property
    def count(self) -> int:
        """Slots that hold anything."""
        return len(self._states)

    @cached_property
    def exists(self) -> bool:
        """A person exists from the first event on."""
        return any(state.first_seen < NEVER for state in self._states)

    @cached_property
    def first_seen(self) -> int:
        """Milliseconds since 1970 UTC; 0 for a person whose slots have all left."""
        return min((state.first_seen for state in self._states if state.first_seen < NEVER), default=0)

    @cached_property
    def traits(self) -> Mapping[str, Trait]:
        """By name; those taken back have the value None."""
        return reduce(lambda a, b: merged(a, b, newer_trait), (s.traits for s in self._states), dict[str, Trait]())

    @cached_property
    def told(self) -> dict[str, Any]:
        """Values of the traits that were told; under the name of a computed one nothing can be."""
        computed = self.plan.positions
        return {
            name: trait.value
            for name, trait in self.traits.items()
            if trait.value is not None and f"trait:{name}" not in computed
        }

    @property
    def sources(self) -> dict[str, str]:
        """Where the value of each trait was told, as far as it was said."""
        return {name: source for name in self.told if (source := self.traits[name].source)}

    @property
    def values(self) -> dict[str, Any]:
        """Values of the traits that there are."""
        return {**self.told, **self._computed}

    def trait(self, name: str) -> Any | None:
        """The value of a trait; a dotted name reaches into objects. None when there is none."""
        computed = name in self._computed or root(name) in self._computed
        return find(self._computed if computed else self.told, name)

    def held_since(self, name: str) -> int | None:
        """Since when a trait (a dotted name reaches into objects) has the value it has; None when it has none."""
        now = find(self.told, name)
        if now is None:
            return None
        top = root(name)
        told = [s.history.get(top, ()) for s in self._states]
        told += [(s.traits[top],) for s in self._states if top in s.traits]
        since, values = None, reduce(joined_history, told, tuple[Trait, ...]())
        for one in reversed(values):
            if find({top: one.value}, name) != now:
                break
            since = one.at
        return since

    @cached_property
    def zone(self) -> str | None:
        """Time zone: the trait, else the newest a context told, else what the project takes it from; None when none of
        them is a known zone."""
        trait = self.told.get("timezone")
        if isinstance(trait, str) and trait in ZONES:
            return trait
        told = [state.zone for state in self._states if state.zone is not None]
        if told:
            return str(reduce(newer_trait, told).value)
        return next((zone for source in self.plan.zone_from if (zone := self._zone_by(source)) is not None), None)

    def _zone_by(self, source: ZoneSource) -> str | None:
        """The zone of where the person was last, or of the phone number it used last that says one."""
        if source == "location":
            places = [state.place for state in self._states if state.place is not None]
            return str(reduce(newer_trait, places).value) if places else None
        numbers = (number for type in self.plan.phones for number in self.addresses.get(type, ()))
        return next((zone for number in numbers if (zone := of_phone(number)) is not None), None)

    @cached_property
    def clock(self) -> ZoneInfo:
        """The person's zone, else the project's."""
        return zone_of(self.zone, self.plan.timezone)

    def lot(self, of: str) -> float:
        """The person's number in a lottery, 0 <= number < 100: it hangs on the identifier the person was seen by
        first, so any run draws the same and a merged person goes on with the number it had first."""
        first = min((state.first_seen, slot) for slot, state in self._held.items())[1]
        # a hash that the warehouse has too
        drawn = sha256(f"{of}\0{identifier_of(first)}".encode()).digest()
        return int.from_bytes(drawn[:8]) / 2**64 * 100

    @cached_property
    def lists(self) -> frozenset[str]:
        """Static lists that an identifier of the person is in."""
        return frozenset(name for s in self._states for (name, _), listed in s.lists.items() if listed.member)

    @cached_property
    def choices(self) -> Mapping[Subject, Choice]:
        """Consents by what they are about."""
        return reduce(
            lambda a, b: merged(a, b, newer_choice), (s.choices for s in self._states), dict[Subject, Choice]()
        )

    @cached_property
    def consents(self) -> list[consent.Choice]:
        """Consents as in the profile, in a fixed order."""
        return [
            {
                "address": address,
                "channel": channel,
                "purpose": purpose,
                "granted": choice.granted,
                "at": choice.at,
                "source": choice.source,
                "proof": choice.proof,
            }
            for (address, channel, purpose), choice in sorted(self.choices.items())
        ]

    @cached_property
    def addresses(self) -> Mapping[str, list[str]]:
        """Values by identifier type, the one the person used last first."""
        used = reduce(lambda a, b: merged(a, b, max), (s.used for s in self._states), dict[str, int]())
        found: dict[str, list[str]] = defaultdict(list)
        for identifier, _ in sorted(used.items(), key=lambda item: (-item[1], item[0])):
            type, value = split(identifier)
            found[type].append(value)
        return dict(sorted(found.items()))

    @cached_property
    def suppressed(self) -> Mapping[str, str]:
        """Scope by address: marketing or all."""
        return suppressed(self._states)

    @cached_property
    def died(self) -> Mapping[str, int]:
        """When an address was last found dead."""
        return newest(state.died for state in self._states)

    @cached_property
    def alive(self) -> Mapping[str, int]:
        """When an address last showed that it is not dead."""
        return newest(state.alive for state in self._states)

    def reached_by(self, channel: str) -> list[str]:
        """Addresses of a channel."""
        known = self.plan.channels.get(channel)
        return [] if known is None else [a for type in known.identifiers for a in self.addresses.get(type, ())]

    @cached_property
    def engagements(self) -> tuple[Engagement, ...]:
        """What the person did in channels lately, in order of time."""
        told = reduce(joined_engagements, (s.engagements for s in self._states), tuple[Engagement, ...]())
        return affinity.newest(told)

    def reported(self, name: str, key: str) -> bool:
        """Whether an occurrence of an event was reported, whatever was undone of it since."""
        known = (OCCURRENCES.get(state.occurrences, name).get(key) for state in self._states)
        return any(one is not None and one.at is not None for one in known)

    def marks(self, did: Did) -> tuple[Mark, ...]:
        """What a condition counts, occurrences apart, in order of time."""
        key = self.plan.keys[did]
        marks = [MARKS.get(state.counted, key) for state in self._states if key in state.counted]
        return marks[0] if len(marks) == 1 else reduce(joined_marks, marks, tuple[Mark, ...]())

    def spans(self, did: Did, now: int) -> Iterator[Span]:
        """When what a condition counts counts."""
        for at, _ in self.marks(did):
            yield span(did.window, at)
        for name in did.events:
            if name in self.plan.rules:
                yield from occurrences.spans(did, name, self._occurrences(name), self.plan, now)

    def compute(self, working: Working, now: int) -> tuple[Any | None, int | None]:
        """(the value of a computed trait at `now`, the first later instant at which it may be another)."""
        match working:
            case Measure():
                return amount(working, self.live(working), now, lambda total: total.value)
            case Collect():
                return self._collected(working, now)
            case Prediction():
                bought, until = self.orders(working, now)
                value = predicting.told(working, predicting.predicted(working, bought, now))
                turns = predicting.changing(working, bought, now, lambda value: predicting.told(working, value))
                return value, min((at for at in (until, turns) if at is not None), default=None)
            case Best("hour"):
                return affinity.best_hour(self.engagements, self.clock, now), affinity.coming(self.engagements, now)
            case Best():
                channels = affinity.ranked(self.engagements, now)
                return channels[0] if channels else None, affinity.coming(self.engagements, now)

    def orders(self, asked: Prediction, now: int) -> tuple[Orders | None, int | None]:
        """(the orders a prediction goes by, the next instant at which some come or go)."""
        return predicting.orders(asked, self.live(asked.orders), now)

    def _collected(self, collect: Collect, now: int) -> tuple[Any | None, int | None]:
        key = self.plan.keys[collect]
        told = (COLLECTED.get(state.collected, key) for state in self._states if key in state.collected)
        together = collecting.kept(collect, reduce(joined_collected, told, Collected()), now)
        return collecting.listed(collect, together, now)

    def live(self, measure: Measure) -> Iterator[Live]:
        """What a measure reads, and when it counts."""
        key = self.plan.keys[measure]
        readings = [READINGS.get(state.measured, key) for state in self._states if key in state.measured]
        for reading in readings[0] if len(readings) == 1 else reduce(joined_readings, readings, tuple[Reading, ...]()):
            yield Live(*span(measure.window, reading.at), reading)
        for name in measure.events:
            if name in self.plan.rules:
                yield from occurrences.live(measure, name, self._occurrences(name), self.plan)

    def taken(self, order: InOrder) -> Mapping[str, Sequence[Taken]]:
        """What can be a step of a sequence, by the value of its `same`."""
        key, found = self.plan.keys[order], defaultdict[str, list[Taken]](list)
        told = [MOMENTS.get(state.sequences, key) for state in self._states if key in state.sequences]
        together = reduce(lambda a, b: merged(a, b, joined_moments), told, dict[str, tuple[Moment, ...]]())
        for value, moments in together.items():
            found[value] += [Taken(at, steps) for at, _, steps in moments]
        for name in {name for step in order.steps for name in step.events} & self.plan.rules.keys():
            for value, one in occurrences.taken(order, name, self._occurrences(name), self.plan):
                found[value].append(one)
        return found

    def _occurrences(self, name: str) -> Mapping[str, Occurrence]:
        reported = [OCCURRENCES.get(state.occurrences, name) for state in self._states if name in state.occurrences]
        return reduce(lambda a, b: merged(a, b, joined_occurrence), reported, dict[str, Occurrence]())
