"""Each kind of condition as SQL that is true of the people (`person_id`) for whom it holds."""

from __future__ import annotations

from typing import Any

from pathline.journeys.conditions import condition as spoken
from pathline.members.clocks import time_of_day, zones
from pathline.members.comparing import compared
from pathline.members.counting import did, in_order
from pathline.members.dates import dated, during, ordered
from pathline.members.engaging import preferred
from pathline.members.measuring import Values, measured
from pathline.members.predicting import predicted
from pathline.members.query import NOW, Query, inside
from pathline.members.reaching import consented, listed, lottery, reachable
from pathline.members.working import held_since, values_of
from schemas import traits
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    HasConsent,
    InList,
    InOrder,
    InSegment,
    LocalTime,
    Measured,
    Not,
    Percent,
    Predicts,
    Prefers,
    Reachable,
    TraitIs,
)
from schemas.traits import DATED
from sinks.clickhouse.cel.values import Inexpressible


def member(query: Query, segment: str) -> str:
    """SQL that is true of the members of a segment. Raises Inexpressible."""
    if segment == EXCLUDED:
        assert query.project.exclude is not None
        return holds(query, query.project.exclude)
    found = holds(query, query.project.segments[segment].when)
    return found if query.project.exclude is None else f"{found} AND NOT {_in_segment(query, EXCLUDED)}"


def holds(query: Query, one: Condition) -> str:
    """SQL that is true of people for whom a condition holds. Raises Inexpressible."""
    match one:
        case All(of):
            return f"({' AND '.join(holds(query, part) for part in of)})" if of else "true"
        case AnyOf(of):
            return f"({' OR '.join(holds(query, part) for part in of)})" if of else "false"
        case Not(of):
            return f"NOT {holds(query, of)}"
        case Did():
            return did(query, one, spoken(one, {}))
        case InOrder():
            return in_order(query, one, spoken(one, {}))
        case Measured():
            return _measured(query, one)
        case InSegment(name):
            return _in_segment(query, name)
        case TraitIs(trait, "held_for", length):
            since = held_since(query, trait)
            return (
                f"person_id IN (SELECT person_id FROM {since} WHERE toUnixTimestamp64Milli(since) + {length} <= {NOW})"
            )
        case TraitIs(trait, op, wanted):
            return _compared(query, values_of(query, trait), op, wanted)
        case InList(name):
            return listed(query, name)
        case HasConsent(channel, purpose):
            return consented(query, channel, purpose)
        case Reachable(channel):
            return reachable(query, channel)
        case Prefers(channel):
            return preferred(query, channel)
        case Predicts(prediction, tests):
            values = predicted(query, prediction)
            return f"({' AND '.join(_tested(query, values, op, wanted, False) for op, wanted in tests)})"
        case LocalTime():
            return time_of_day(query, one, spoken(one, {}))
        case Percent():
            return lottery(query, one)
    raise Inexpressible(f"{type(one).__name__} can't be said in SQL")


def _in_segment(query: Query, name: str) -> str:
    """The same for a segment that others refer to."""
    key = ("segment", name)
    part = query.known(key)
    if part is None:
        comment = "exclude of project.yaml: these are in no segment" if name == EXCLUDED else f"segment {name}"
        part = query.part(name, comment, f"SELECT person_id FROM everybody WHERE {member(query, name)}", key)
    return f"person_id IN {part}"


def _compared(query: Query, values: Values, op: str, wanted: Any) -> str:
    return dated(query, values, op, wanted) if op in DATED else _tested(query, values, op, wanted, True)


def _measured(query: Query, one: Measured) -> str:
    """Of nothing nothing holds, but that a sum or a number of values is 0."""
    values = measured(query, one.measure)
    valued = [(op, wanted) for op, wanted in one.tests if op not in DATED]
    found = [_tested(query, values, op, wanted, values.otherwise is not None) for op, wanted in valued]
    if one.measure.function in ("first", "last"):
        found.append(_end(query, one, values))
    return f"({' AND '.join(found)})" if found else "true"


def _tested(query: Query, values: Values, op: str, wanted: Any, without: bool) -> str:
    """SQL for a test of values; `without` says whether it may hold of people who are not in the part."""
    if op in ("at_least", "at_most") and isinstance(wanted, str):
        return ordered(query, values, ">=" if op == "at_least" else "<=", wanted)
    test = compared(op, "value", wanted)
    if without and traits.compare(op, values.otherwise, wanted):
        return f"person_id NOT IN (SELECT person_id FROM {values.part} WHERE NOT ifNull({test}, false))"
    return f"person_id IN (SELECT person_id FROM {values.part} WHERE {test})"


def _end(query: Query, one: Measured, values: Values) -> str:
    """The date of the first or last is as asked now."""
    joins, tests = dict[str, None](), [inside(one.when, "f.at")]
    for op, wanted in one.tests:
        if op in DATED:
            edges, test = during(query, op, wanted, "toUnixTimestamp64Milli(f.at)", "z.zone")
            tests.append(test)
            if edges:
                joins |= {f" INNER JOIN {zones(query)} AS z ON f.person_id = z.person_id": None, edges: None}
    source = f"{values.part} AS f{''.join(joins)}"
    return f"person_id IN (SELECT f.person_id FROM {source} WHERE {' AND '.join(tests)})"
