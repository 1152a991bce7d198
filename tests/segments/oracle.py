"""The slow, obvious evaluator: all raw events of a person, looked at anew at every instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise, product
from typing import Any

from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    InList,
    InOrder,
    InSegment,
    Measure,
    Measured,
    Not,
    Percent,
    TraitIs,
    Window,
)

DATES = ("within", "before", "after")


@dataclass(frozen=True)
class Happened:
    """An event as it was received; `order` and `amount` name an occurrence that others may report too."""

    slot: str
    name: str
    at: int
    received_at: int
    number: int
    order: str | None = None
    amount: int | None = None
    city: str | None = None
    lines: tuple[int, ...] = ()
    expires: int | None = None


def members(
    segments: Mapping[str, Condition], events: Sequence[Happened], now: int, traits: Mapping[str, Measure] | None = None
) -> set[str]:
    """The segments a person with exactly these events is in; what a list says of somebody is nothing it did."""
    if all(event.name in ("Listed", "Unlisted") for event in events):
        return set()
    found: set[str] = set()
    for name, condition in segments.items():
        condition = _computed(condition, traits or {})
        if holds(condition, events, now, found):
            found.add(name)
    return found


def holds(condition: Condition, events: Sequence[Happened], now: int, found: set[str]) -> bool:
    match condition:
        case All(of):
            return all(holds(part, events, now, found) for part in of)
        case AnyOf(of):
            return any(holds(part, events, now, found) for part in of)
        case Not(of):
            return not holds(of, events, now, found)
        case InSegment(name):
            return name in found
        case TraitIs(_, "equals", wanted):
            told = [e for e in events if e.city is not None]
            return bool(told) and max(told, key=lambda e: e.at).city == wanted
        case TraitIs(_, "held_for", length):
            return _held(events, now, length)
        case TraitIs("expires", op, length):
            return _dated(events, now, op, length)
        case InList():
            return any(_listed([e for e in events if e.slot == slot]) for slot in {e.slot for e in events})
        case Percent(low, high, of):
            first = min((e.at, e.slot) for e in events if e.name not in ("Listed", "Unlisted"))[1]
            drawn = sha256(f"{of}\0{first.partition('#')[0]}".encode()).digest()
            return low <= int.from_bytes(drawn[:8]) / 2**64 * 100 < high
        case Did():
            return _counted(condition, events, now)
        case Measured(measure, tests, when):
            return _meets(measure, tests, when, events, now)
        case InOrder():
            return _in_order(condition, events, now)
    raise AssertionError(condition)


def _listed(events: Sequence[Happened]) -> bool:
    said = [e for e in events if e.name in ("Listed", "Unlisted")]
    return bool(said) and max(said, key=lambda e: (e.at, e.name == "Unlisted")).name == "Listed"


def _dated(events: Sequence[Happened], now: int, op: str, length: int) -> bool:
    told = [e for e in events if e.expires is not None]
    at = max(told, key=lambda e: e.at).expires if told else None
    if at is None:
        return False
    return {"within": at - length <= now < at + length, "before": now - at >= length, "after": now - at < length}[op]


def _held(events: Sequence[Happened], now: int, length: int) -> bool:
    told = sorted((e for e in events if e.city is not None), key=lambda e: e.at)
    since: Any = None
    for event in reversed(told):
        if event.city != told[-1].city:
            break
        since = event.at
    return since is not None and now - since >= length


def _counted(did: Did, events: Sequence[Happened], now: int) -> bool:
    times = [
        at
        for at, first, worth in _standing(did, events, now)
        for _ in range(1 if did.each is None else sum(price > 20 for price in first.lines))
        if did.each is not None or did.where is None or (worth is not None and worth > 20)
    ]
    inside = [at for at in times if _inside(did.window, at, now)]
    return did.at_least <= len(inside) and (did.at_most is None or len(inside) <= did.at_most)


def _in_order(order: InOrder, events: Sequence[Happened], now: int) -> bool:
    """Try every way to take the steps."""
    steps = [
        [(at, one) for at, one, _ in _standing(step, events, now) if _inside(order.window, at, now)]
        for step in order.steps
    ]
    return any(
        len({one.number for _, one in way}) == len(way)
        and all(a[0] <= b[0] for a, b in pairwise(way))
        and (order.same is None or (way[0][1].order is not None and len({one.order for _, one in way}) == 1))
        for way in product(*steps)
    )


def _standing(did: Did, events: Sequence[Happened], now: int) -> list[tuple[int, Happened, int | None]]:
    """(when, first report, worth) of what was not taken back."""
    joined = [e for e in events if e.name == "Order" and e.order is not None and "Order" in did.events]
    found: list[tuple[int, Happened, int | None]] = [
        (e.at, e, None) for e in events if e.name in did.events and e not in joined
    ]
    for order in {e.order for e in joined}:
        reports = sorted((e for e in joined if e.order == order), key=lambda e: (e.at, e.number))
        worth = next((e.amount for e in reports if e.amount is not None), None)
        lines = next((e.lines for e in reports if e.lines), ())
        undone = [e for e in events if e.order == order and e.name == "Refund" and e.at <= now]
        taken = sum(e.amount or 0 for e in undone)
        if undone and (worth is None or any(e.amount is None for e in undone) or taken >= worth):
            continue
        found.append((reports[0].at, replace(reports[0], lines=lines), worth))
    return found


def _inside(window: Window, at: int, now: int) -> bool:
    return (
        window.near <= now - at
        and (window.far is None or now - at < window.far)
        and (window.since is None or window.since <= at)
        and (window.until is None or at < window.until)
    )


def amount(measure: Measure, events: Sequence[Happened], now: int) -> Any | None:
    """What a measure without dates amounts to."""
    values = [value for _, value in _measured(measure, events, now)]
    match measure.function:
        case "count":
            return len(values)
        case "sum":
            return sum(values)
        case "average":
            return sum(values) / len(values) if values else None
        case "min":
            return min(values, default=None)
        case "max":
            return max(values, default=None)
        case "distinct":
            return len(set(values))
        case "most_frequent":
            often = Counter(values)
            newest = {value: at for at, value in _measured(measure, events, now)}
            return max(often, key=lambda value: (often[value], newest[value], value), default=None)
        case "first" | "last":
            told = _end(measure, events, now)
            return told and told[1]
        case "interval":
            times = sorted({at for at, _ in _measured(measure, events, now)})
            return (times[-1] - times[0]) / (len(times) - 1) / 86_400_000 if len(times) > 1 else None
    raise AssertionError(measure)


def _meets(measure: Measure, tests: Any, when: Window, events: Sequence[Happened], now: int) -> bool:
    compared = [(op, wanted) for op, wanted in tests if op not in DATES]
    if measure.function not in ("first", "last"):
        value = amount(measure, events, now)
        return value is not None and all(_compare(op, value, wanted) for op, wanted in compared)
    told = _end(measure, events, now)
    if told is None or not _inside(when, told[0], now):
        return False
    dated = all(_dated_end(test, told[0], now) for test in tests)
    return dated and all(_compare(op, told[1], wanted) for op, wanted in compared)


def _end(measure: Measure, events: Sequence[Happened], now: int) -> tuple[int, Any] | None:
    told = _measured(measure, events, now)
    return (told[0] if measure.function == "first" else told[-1]) if told else None


def _measured(measure: Measure, events: Sequence[Happened], now: int) -> list[tuple[int, Any]]:
    """(when, value) in order of time and, at one instant, of value."""
    found: list[tuple[int, Any]] = []
    for at, first, worth in _standing(Did(measure.events), events, now):
        if not _inside(measure.window, at, now):
            continue
        values: Sequence[Any] = first.lines
        if measure.of is None:
            values = [0]
        elif measure.of == "properties.order_id":
            values = [first.order]
        elif measure.each is None:
            undone = [e for e in events if e.name == "Refund" and e.order == first.order and e.at <= now]
            joined = first.name == "Order" and worth is not None
            values = [worth - sum(e.amount or 0 for e in undone) if joined and worth is not None else first.amount]
        found += [(at, value) for value in values if value is not None or measure.function in ("first", "last")]
    return sorted(found, key=lambda one: (one[0], one[1] is not None, one[1]))


def _dated_end(test: tuple[str, Any], at: int, now: int) -> bool:
    op, length = test
    return op not in DATES or (now - at >= length if op == "before" else now - at < length)


def _compare(op: str, value: Any, wanted: Any) -> bool:
    if value is None or isinstance(value, str) != isinstance(wanted, str):
        return op == "not_equals"
    match op:
        case "equals":
            return bool(value == wanted)
        case "not_equals":
            return bool(value != wanted)
        case "at_least":
            return bool(value >= wanted)
        case "at_most":
            return bool(value <= wanted)
    raise AssertionError(op)


def _computed(condition: Condition, traits: Mapping[str, Measure]) -> Condition:
    """The condition with computed traits replaced by what they are."""
    match condition:
        case All(of):
            return All(tuple(_computed(part, traits) for part in of))
        case AnyOf(of):
            return AnyOf(tuple(_computed(part, traits) for part in of))
        case Not(of):
            return Not(_computed(of, traits))
        case TraitIs(name, op, wanted) if name in traits:
            return Measured(traits[name], ((op, wanted),))
    return condition
