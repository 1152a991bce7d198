"""A project made ready for the stream: what each event can change, found by the event's name.

An event is folded only into the conditions that count it, and only segments that depend on what it changed are looked
at again, so that a thousand segments cost little more than the few that matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from schemas.definitions.expressions import Path
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import (
    All,
    AnyOf,
    Best,
    Channel,
    Collect,
    ComputedTrait,
    Condition,
    Did,
    EventRule,
    HasConsent,
    IdentityRules,
    InList,
    InOrder,
    InSegment,
    LocalTime,
    Measure,
    Measured,
    Not,
    Percent,
    Prediction,
    Predicts,
    Prefers,
    Project,
    Reachable,
    Segment,
    TraitIs,
    Window,
    ZoneSource,
    root,
)
from schemas.definitions.steps import sends, starting
from schemas.traits import DATED

#: Where the amount of an order or refund stands when `revenue` does not say otherwise.
AMOUNTS = ("properties.revenue", "properties.total")
#: Keys of what a condition reads beside counters (`did:`), traits (`trait:`) and segments (`in:`).
CONSENT = "consent"
ADDRESS = "address"
ZONE = "zone"
FIRST = "first"
AFFINITY = "affinity"
#: What counts as a purchase beside events with `revenue` in events.yaml.
PURCHASE = "Order Completed"


@dataclass(frozen=True, slots=True)
class Counter:
    """A counting condition: `key` names its state, the same in every version that has it; `need` is how many of the
    newest marks decide its answer."""

    key: str
    did: Did
    need: int


#: What is kept under a name in a part of `State`, for example ("counted", "5f3a..."); a part that is no mapping has one
#: name, which is empty.
Name = tuple[str, str]
ENGAGEMENTS: Name = ("engagements", "")


class Form(NamedTuple):
    """How something is kept: state of another `basis` can't be used; of fewer `parts`, or not so `far` back in
    milliseconds (None: for ever), it lacks some."""

    basis: Hashable = None
    parts: frozenset[Path] = frozenset()
    far: int | None = None

    def covers(self, other: Form) -> bool:
        """Whether state kept so has all that another form asks for."""
        far = self.far is None or (other.far is not None and self.far >= other.far)
        return self.basis == other.basis and self.parts >= other.parts and far


@dataclass(frozen=True, slots=True)
class Ordering:
    """A condition on events in order; `key` names its state, the same in every version that has it."""

    key: str
    order: InOrder


@dataclass(frozen=True, slots=True)
class Meter:
    """A measure, in a condition or a computed trait; `key` names its state, the same in every version that has it."""

    key: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class Collector:
    """A list of a computed trait; `key` names its state, the same in every version that has it."""

    key: str
    collect: Collect


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the stage needs of a project, equal to itself only. Positions are indexes into `order`: computed traits,
    then segments, each after those it refers to; by name, that of a computed trait with `trait:` before it.

    `readers` gives the positions that depend on a key; `counters`, `orderings`, `meters`, `collectors`,
    `rules` and `sames` (of all events that several may report, `rules` only those that are counted) are by event name,
    `undoes` the rules whose occurrences an event takes back, `asked` the parts of an event that decide about its
    occurrences. `horizons` is how long occurrences of an event matter, None for ever; `held` how far back the values of
    a trait do; `names` are those of the channels; `affinity` is whether it matters which of them a person prefers,
    `purchases` the events that then count as one. `kept` is what the definitions ask to be kept of a slot beside what
    always is. `zone_from` tells the zone of people who told none, `phones` are the identifier types that are numbers.
    """

    version: str
    timezone: str
    identity: IdentityRules
    channels: Mapping[str, Channel]
    order: tuple[ComputedTrait | Segment, ...]
    readers: Mapping[str, tuple[int, ...]]
    keys: Mapping[Did | InOrder | Measure | Collect, str]
    counters: Mapping[str, tuple[Counter, ...]]
    orderings: Mapping[str, tuple[Ordering, ...]]
    meters: Mapping[str, tuple[Meter, ...]]
    collectors: Mapping[str, tuple[Collector, ...]]
    sames: Mapping[str, EventRule]
    rules: Mapping[str, EventRule]
    undoes: Mapping[str, tuple[EventRule, ...]]
    asked: Mapping[str, frozenset[Path]]
    horizons: Mapping[str, int | None]
    held: Mapping[str, int]
    positions: Mapping[str, int]
    names: frozenset[str]
    affinity: bool
    purchases: frozenset[str]
    kept: Mapping[Name, Form]
    zone_from: tuple[ZoneSource, ...] = ()
    phones: tuple[str, ...] = ()


def prepare(project: Project) -> Plan:
    """The plan of a project. Raises ValueError for a condition that has no meaning in a segment."""
    segments = tuple(project.segments.values())
    if project.exclude is not None:
        segments = (Segment(EXCLUDED, project.exclude), *segments)
    order: tuple[ComputedTrait | Segment, ...] = (*project.traits.values(), *segments)
    readers: dict[str, list[int]] = defaultdict(list)
    counters: dict[str, dict[str, Counter]] = defaultdict(dict)
    orderings: dict[str, dict[str, Ordering]] = defaultdict(dict)
    meters: dict[str, dict[str, Meter]] = defaultdict(dict)
    collectors: dict[str, dict[str, Collector]] = defaultdict(dict)
    keys: dict[Did | InOrder | Measure | Collect, str] = {}
    horizons: dict[str, int | None] = {}
    held: dict[str, int] = {}
    for position, one in enumerate(order):
        for condition in conditions_of(one):
            for key in _reads(condition):
                if position not in readers[key][-1:]:
                    readers[key].append(position)
            if isinstance(condition, Did):
                counter = _counter(condition)
                keys[condition] = counter.key
                for name in condition.events:
                    counters[name][counter.key] = counter
                    horizons[name] = _longer(horizons.get(name, 0), condition.window)
            if isinstance(condition, InOrder):
                ordering = Ordering(fingerprint(condition), condition)
                keys[condition] = ordering.key
                for name in {name for step in condition.steps for name in step.events}:
                    orderings[name][ordering.key] = ordering
                    horizons[name] = _longer(horizons.get(name, 0), condition.window)
            if isinstance(condition, Measured | Predicts):
                measure = condition.measure if isinstance(condition, Measured) else condition.prediction.orders
                meter = Meter(fingerprint(measure), measure)
                keys[meter.measure] = meter.key
                for name in meter.measure.events:
                    meters[name][meter.key] = meter
                    horizons[name] = _longer(horizons.get(name, 0), meter.measure.window)
            if isinstance(condition, Collect):
                collector = Collector(fingerprint(condition), condition)
                keys[condition] = collector.key
                for name in (*condition.add, *condition.remove, *condition.clear):
                    collectors[name][collector.key] = collector
            if isinstance(condition, TraitIs) and condition.op == "held_for":
                name = root(condition.trait)
                held[name] = max(held.get(name, 0), condition.value)
    if project.exclude is not None:
        readers[f"in:{EXCLUDED}"] = list(range(len(project.traits) + 1, len(order)))
    for journey in project.journeys.values():
        for name in starting(journey):
            horizons.setdefault(name, 0)  # a repeated report starts nothing, however late: names are kept, no more
    sames = {name: rule for name, rule in project.events.items() if rule.same is not None}
    rules = {name: rule for name, rule in sames.items() if name in horizons}
    undoes: dict[str, list[EventRule]] = defaultdict(list)
    for rule in rules.values():
        for name in rule.undo:
            undoes[name].append(rule)
    asked = {
        name: _asked(
            rule,
            counters.get(name, {}).values(),
            orderings.get(name, {}).values(),
            meters.get(name, {}).values(),
        )
        for name, rule in rules.items()
    }
    same = {name: (rule.same, rule.revenue, rule.undo) for name, rule in rules.items()}
    kept: dict[Name, Form] = {}
    for by_key in counters.values():
        kept |= {("counted", key): Form(_rules_of(counter.did.events, same)) for key, counter in by_key.items()}
    for by_order in orderings.values():
        for key, ordering in by_order.items():
            names = tuple(name for step in ordering.order.steps for name in step.events)
            kept["sequences", key] = Form(_rules_of(names, same))
    for by_meter in meters.values():
        kept |= {("measured", key): Form(_rules_of(one.measure.events, same)) for key, one in by_meter.items()}
    affinity = AFFINITY in readers or any(
        send.choice in ("preferred", "best") or (send.moment is not None and send.moment.minute is None)
        for send in sends(project)
    )
    purchases = frozenset({PURCHASE, *(name for name, rule in project.events.items() if rule.revenue is not None)})
    paths = {name: rule.same for name, rule in sames.items()}
    if affinity:
        kept[ENGAGEMENTS] = Form(tuple((name, paths.get(name)) for name in sorted(purchases)))
    for by_list in collectors.values():
        for key, collector in by_list.items():
            kept["collected", key] = Form(_rules_of((*collector.collect.add, *collector.collect.clear), paths))
    kept |= {("occurrences", name): Form(same[name], asked[name], horizons[name]) for name in rules}
    kept |= {("history", name): Form(far=far) for name, far in held.items()}
    return Plan(
        version=project.version,
        timezone=project.timezone,
        zone_from=project.zone_from,
        phones=tuple(name for name, type in project.identity.types.items() if type.normalize == "phone"),
        identity=project.identity,
        channels=project.channels,
        order=order,
        readers={key: tuple(positions) for key, positions in readers.items()},
        keys=keys,
        counters={name: tuple(by_key.values()) for name, by_key in counters.items()},
        orderings={name: tuple(by_key.values()) for name, by_key in orderings.items()},
        meters={name: tuple(by_key.values()) for name, by_key in meters.items()},
        collectors={name: tuple(by_key.values()) for name, by_key in collectors.items()},
        sames=sames,
        rules=rules,
        undoes={name: tuple(found) for name, found in undoes.items()},
        asked=asked,
        horizons=horizons,
        held=held,
        positions={named(one): position for position, one in enumerate(order)},
        names=frozenset(project.channels),
        affinity=affinity,
        purchases=purchases,
        kept=kept,
    )


#: The plan of a line to which nothing was published yet: events pass through, nobody is in anything.
NOTHING = Plan(
    "",
    "UTC",
    IdentityRules({}, frozenset()),
    {},
    (),
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    {},
    frozenset(),
    False,
    frozenset(),
    {},
)


def conditions_of(one: ComputedTrait | Segment) -> Iterator[Condition | Collect | Best]:
    """What a computed trait or a segment goes by, none of which has parts."""
    if isinstance(one, Segment):
        yield from leaves(one.when)
        return
    match one.measure:
        case Measure() as measure:
            yield Measured(measure)
        case Prediction() as prediction:
            yield Predicts(prediction)
        case Collect() | Best() as condition:
            yield condition


def stored(condition: Condition | Collect | Best, plan: Plan) -> tuple[Name, ...]:
    """What a condition without parts keeps of a slot; nothing when it goes by what is always kept."""
    match condition:
        case Did(events):
            return ("counted", plan.keys[condition]), *_reported(events, plan)
        case InOrder(steps):
            return ("sequences", plan.keys[condition]), *_reported((name for s in steps for name in s.events), plan)
        case Measured(measure) | Predicts(Prediction(_, _, measure, _)):
            return ("measured", plan.keys[measure]), *_reported(measure.events, plan)
        case TraitIs(trait, "held_for", _):
            return (("history", root(trait)),)
        case Prefers() | Best():
            return (ENGAGEMENTS,)
        case Collect():
            return (("collected", plan.keys[condition]),)
        case _:
            return ()


def _reported(events: Iterable[str], plan: Plan) -> Iterator[Name]:
    return (("occurrences", name) for name in events if name in plan.rules)


def named(one: ComputedTrait | Segment) -> str:
    """The name of what is worked out, among all of them."""
    return one.name if isinstance(one, Segment) else f"trait:{one.name}"


def fingerprint(condition: Did | InOrder | Measure | Collect) -> str:
    """Name of what has state, by its meaning: the state lives as long as some version has it."""
    match condition:
        case Did():
            meaning = _meaning(condition)
        case InOrder():
            meaning = _meaning_in_order(condition)
        case Measure(function, events, of, where, window, each):
            meaning = function, sorted(events), of, where.source if where else None, each, _bounds(window)
        case Collect(add, remove, clear, by, keep, at_most, where, each):
            names = sorted(add), sorted(remove), sorted(clear)
            meaning = names, by, keep, at_most, where.source if where else None, each
    return blake2b(repr(meaning).encode(), digest_size=6).hexdigest()


def _meaning(did: Did) -> tuple[object, ...]:
    return (
        sorted(did.events),
        did.where.source if did.where else None,
        did.each,
        _bounds(did.window),
        (did.at_least, did.at_most),
    )


def _meaning_in_order(order: InOrder) -> tuple[object, ...]:
    return [_meaning(step) for step in order.steps], _bounds(order.window), order.same


def _bounds(window: Window) -> tuple[int | None, ...]:
    return window.near, window.far, window.since, window.until


def _rules_of(events: Iterable[str], same: Mapping[str, Hashable]) -> Hashable:
    return tuple(same.get(name) for name in events)


def _counter(did: Did) -> Counter:
    return Counter(fingerprint(did), did, max(did.at_least, 0 if did.at_most is None else did.at_most + 1))


def _asked(
    rule: EventRule, counters: Iterable[Counter], orderings: Iterable[Ordering], meters: Iterable[Meter]
) -> frozenset[Path]:
    """Paths, from `event` on, that conditions and undoes read: all that has to be kept of a report."""
    orders = [ordering.order for ordering in orderings]
    measures = [meter.measure for meter in meters]
    counted: list[Did | Measure] = [
        *(counter.did for counter in counters),
        *(step for order in orders for step in order.steps),
        *measures,
    ]
    texts = [one.each for one in counted if one.each] + [order.same for order in orders if order.same]
    texts += [measure.of for measure in measures if measure.of and root(measure.of) != "item"]
    texts += [*AMOUNTS, *([rule.revenue] if rule.revenue else [])] if rule.undo else []
    found = {("event", *text.removeprefix("event.").split(".")) for text in texts}
    for one in counted:
        if one.where is not None:
            found |= {path for path in one.where.paths if path[0] == "event"}
    # whole properties: a part of one that is not there must not look like one that is empty
    return frozenset(path[:3] for path in found)


def _longer(horizon: int | None, window: Window) -> int | None:
    far = window.far
    return None if horizon is None or far is None else max(horizon, far)


def leaves(condition: Condition) -> Iterator[Condition]:
    """The conditions that a condition consists of."""
    match condition:
        case All(of) | AnyOf(of):
            for part in of:
                yield from leaves(part)
        case Not(of):
            yield from leaves(of)
        case _:
            yield condition


def _reads(condition: Condition | Collect | Best) -> tuple[str, ...]:
    match condition:
        case Did():
            return (f"did:{fingerprint(condition)}",)
        case Measured(measure):
            dated = {op for op, _ in condition.tests} & DATED if measure.function in ("first", "last") else ()
            return (f"measure:{fingerprint(measure)}", *((ZONE,) if dated else ()))
        case InOrder():
            return (f"order:{fingerprint(condition)}",)
        case TraitIs(trait, op, _):
            return (*(f"trait:{name}" for name in sorted({trait, root(trait)})), *((ZONE,) if op in DATED else ()))
        case InSegment(name):
            return (f"in:{name}",)
        case InList(name):
            return (f"list:{name}",)
        case HasConsent():
            return CONSENT, ADDRESS
        case Reachable():
            return (ADDRESS,)
        case Predicts(prediction):
            return (f"measure:{fingerprint(prediction.orders)}",)
        case Prefers():
            return (AFFINITY,)
        case Best(of):
            return (AFFINITY, ZONE) if of == "hour" else (AFFINITY,)
        case Collect():
            return (f"collect:{fingerprint(condition)}",)
        case LocalTime():
            return (ZONE,)
        case Percent():
            return (FIRST,)
        case _:
            raise ValueError(f"{type(condition).__name__} can't stand in a segment")
