"""Measures as SQL: what they amount to for each person, as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from pathline.members.happenings import at_path, happened, holds, lines_of, standing, together
from pathline.members.query import Query, inside
from processors.segments.plan import AMOUNTS
from schemas.definitions.model import Measure
from sinks.clickhouse.paths.filters import quoted

#: of nothing these are 0, all others are nothing
_ZERO = frozenset({"count", "sum", "distinct"})
#: values that can be used
_NUMBER = "is_number(reading)"
_NAMED = "(is_number(reading) OR is_truth(reading) OR (is_text(reading) AND reading != '\"\"'))"


@dataclass(frozen=True, slots=True)
class Values:
    """A part of a query with a `value` (JSON) for people who have one; all others have `otherwise`. For first and last
    also when it was (`at`), and `value` is NULL where nothing stood there."""

    part: str
    otherwise: int | None = None


def measured(query: Query, measure: Measure) -> Values:
    """What a measure amounts to at the instant."""
    read = readings(query, measure)
    name = f"{measure.function} of {measure.of or measure.events[0]}"
    found = query.part(name, name.replace("_", " "), _amount(measure, read), ("measure", measure))
    return Values(found, 0 if measure.function in _ZERO else None)


def readings(query: Query, measure: Measure) -> str:
    """SQL for what is read of each event or line: `occurred_at` and `reading`, JSON, 'null' where there is nothing."""
    rows = happened(query, measure.events)
    lines, number = "", "0"
    if measure.each is not None:
        lines, number = lines_of(measure.each), "number"
    value = "'null'" if measure.of is None else f"ifNull({at_path(measure.of)}, 'null')"
    lowering = _lowering(query, measure)
    if lowering:
        taken = "arrayMap(u -> ifNull(u.3, 0), arrayFilter(u -> u.1 <= instant AND u.3 IS NOT NULL, undone))"
        value = f"if(name IN ({', '.join(map(quoted, lowering))}), lowered({value}, {taken}), {value})"
    if measure.of is None or measure.function in ("first", "last", "orders"):
        usable = "true"
    else:
        usable = _NUMBER if measure.function in ("sum", "average", "min", "max") else _NAMED
    return f"""
        SELECT person_id, occurred_at, reading
        FROM
        (
            SELECT person_id, event_id, occurred_at, {number} AS place, {value} AS reading
            FROM {rows.of} {lines}
            WHERE {together(standing(rows), inside(measure.window), holds(measure.where))}
            LIMIT 1 BY person_id, event_id, place
        )
        WHERE {usable}"""


def _lowering(query: Query, measure: Measure) -> list[str]:
    """Events of which what is taken back lowers what is read."""
    if measure.each is not None or measure.of is None:
        return []
    rules = [query.project.events[name] for name in measure.events if name in query.project.events]
    path = measure.of.removeprefix("event.")
    return [
        rule.name
        for rule in rules
        if rule.same is not None and path in {one.removeprefix("event.") for one in (*AMOUNTS, rule.revenue) if one}
    ]


def _amount(measure: Measure, read: str) -> str:
    match measure.function:
        case "count":
            value = "toString(count())"
        case "sum" | "average":
            value = f"{measure.function}_of(groupArray(reading))"
        case "min" | "max":
            value = f"toString({measure.function}(as_number(reading)))"
        case "distinct":
            value = "toString(uniqExact(reading))"
        case "most_frequent":
            return f"""
                SELECT person_id, argMax(reading, (times, newest, ordered(reading))) AS value
                FROM (SELECT person_id, reading, count() AS times, max(occurred_at) AS newest FROM ({read})
                      GROUP BY person_id, reading)
                GROUP BY person_id
            """
        case "first" | "last":
            pick = "argMin" if measure.function == "first" else "argMax"
            value = "nullIf(end.2, 'null')" if measure.of is not None else "text_json(short_time(end.1))"
            return f"""
                SELECT person_id, {pick}((occurred_at, reading), (occurred_at, ordered(reading))) AS end, end.1 AS at,
                       {value} AS value
                FROM ({read})
                GROUP BY person_id
            """
        case _:
            return _rhythm(measure, read)
    return f"SELECT person_id, {value} AS value FROM ({read}) GROUP BY person_id"


def _rhythm(measure: Measure, read: str) -> str:
    """The average time between events, or the date at which the next one would come; apart by value where asked."""
    if measure.function == "interval":
        value = "toString((times[-1] - times[1]) / (length(times) - 1) / 86400000)"
    else:
        next_one = "times[-1] + intDivOrZero(times[-1] - times[1], length(times) - 1)"
        value = f"text_json(short_time(fromUnixTimestamp64Milli({next_one}, 'UTC')))"
    each = f"""
        SELECT person_id, reading AS by, arraySort(groupUniqArray(toUnixTimestamp64Milli(occurred_at))) AS times,
               {value} AS value
        FROM ({read})
        GROUP BY person_id, by
        HAVING length(times) > 1"""
    if measure.of is None:
        return f"SELECT person_id, value FROM ({each})"
    pairs = "groupArray((ifNull(name_in(by), by), value))"
    return f"SELECT person_id, object_of({pairs}) AS value FROM ({each}) GROUP BY person_id"
