"""What happened, as rows: events one by one, and what several events report as one (`events.yaml`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathline.members.query import Query
from processors.segments.plan import AMOUNTS
from schemas.definitions.expressions import Expression
from schemas.definitions.model import EventRule
from schemas.receipts import DELIVERED, reached
from sinks.clickhouse.cel.compiler import FIELDS, JSON, condition
from sinks.clickhouse.cel.values import Inexpressible, json_of
from sinks.clickhouse.paths.filters import quoted

#: the columns of what happened; `gone` is when it was taken back
COLUMNS = (
    *("person_id", "event_id", "type", "name", "channel", "source", "message_id", "send_id"),
    *("occurred_at", "received_at", "properties", "traits", "context"),
)
#: of a report, in the order of their times
_REPORTED = ("type", "channel", "source", "message_id", "send_id", "received_at", "properties", "traits", "context")
#: amounts closer than this are equal: they are sums of decimal fractions
_PENNY = "0.000001"


@dataclass(frozen=True, slots=True)
class Happened:
    """Rows with `COLUMNS`, `gone` and `undone` (those `of` names that satisfy `where`); each event once or more."""

    of: str
    where: str
    joined: bool


def happened(query: Query, names: Sequence[str]) -> Happened:
    """Events of these names as they count, orders that several report once."""
    ruled = [query.project.events[name] for name in names if _same(query, name)]
    if not ruled:
        return Happened("known", named(names), False)
    if len(ruled) == len(names) == 1:
        return Happened(_occurrences(query, ruled[0]), "true", True)
    plain = [name for name in names if not _same(query, name)]
    parts = [f"SELECT * FROM {_occurrences(query, rule)}" for rule in ruled]
    if plain:
        nothing = "NULL AS gone, [] AS undone"
        parts.append(f"SELECT {', '.join(COLUMNS)}, {nothing} FROM known WHERE {named(plain)}")
    union = "\nUNION ALL\n".join(parts)
    return Happened(query.part("happened", f"{' or '.join(names)}", union, ("happened", tuple(names))), "true", True)


def standing(rows: Happened) -> str:
    """SQL for what was not taken back at the instant."""
    return together(rows.where, "(gone IS NULL OR gone > instant)") if rows.joined else rows.where


def together(*conditions: str) -> str:
    """SQL for all of several conditions, without those that always hold."""
    return " AND ".join(one for one in conditions if one != "true") or "true"


def holds(expression: Expression | None) -> str:
    """SQL for rows for which a condition over `event` and `item` holds."""
    if expression is None:
        return "true"
    try:
        return condition(expression)
    except Inexpressible as error:
        raise Inexpressible(f"where: {expression.source} can't be said in SQL: {error}") from None


def at_path(path: str) -> str:
    """SQL for the JSON of what stands at a path of an event or its line (`item`), NULL where there is nothing."""
    parts = path.split(".")
    if len(parts) > 1 and parts[0] in ("event", "entry"):
        parts = parts[1:]
    root, *inside = parts
    if root == "item":
        value = "item"
    elif root in JSON:
        # a chain of names is read at once, what has a number in it step by step
        if inside and not any(part.isdecimal() for part in inside):
            keys = ", ".join(map(quoted, inside))
            return f"nullIf(nullIf(JSONExtractRaw({root}, {keys}), ''), 'null')"
        value = root
    elif root in FIELDS:
        value = json_of(FIELDS[root]).sql
    else:
        return "CAST(NULL, 'Nullable(String)')"
    for part in inside:
        value = f"part({value}, {quoted(part)}, {int(part) + 1 if part.isdecimal() else 0})"
    return f"nullIf({value}, 'null')"


def lines_of(path: str) -> str:
    """SQL that makes a row of each line of an event: `item` is the line, `number` its place."""
    lines = f"elements({at_path(path)})"
    return f"ARRAY JOIN {lines} AS item, arrayEnumerate({lines}) AS number"


def amount_of(rule: EventRule) -> str:
    """SQL for the amount an event of a rule names, NULL for none."""
    paths = dict.fromkeys(path for path in (rule.revenue, *AMOUNTS) if path)
    return f"abs(first_number([{', '.join(at_path(path) for path in paths)}]))"


def named(names: Sequence[str]) -> str:
    """SQL for events of these names, without receipts that a machine caused."""
    listed = ", ".join(map(quoted, names))
    machines = [name for name in names if reached(name) > DELIVERED]
    if not machines:
        return f"name IN ({listed})"
    # nobody opened or clicked what a machine did
    return f"name IN ({listed}) AND NOT (name IN ({', '.join(map(quoted, machines))}) AND by_machine(properties))"


def _same(query: Query, name: str) -> bool:
    rule = query.project.events.get(name)
    return rule is not None and rule.same is not None


def _occurrences(query: Query, rule: EventRule) -> str:
    assert rule.same is not None
    key = ("occurrences", rule.name)
    undone = f", {' or '.join(rule.undo)} takes it back" if rule.undo else ""
    comment = f"{rule.name}: events with the same {rule.same} are one, at the time of the first{undone} (events.yaml)"
    names = ", ".join(map(quoted, (rule.name, *rule.undo)))
    undo = f"name IN ({', '.join(map(quoted, rule.undo))})" if rule.undo else "false"
    reported = ", ".join(_REPORTED)
    is_it = f"name = {quoted(rule.name)}"
    reports = query.part(
        f"{rule.name}_reports",
        f"what is said of each {rule.name}",
        f"""
        SELECT person_id, same,
               arraySort(r -> (r.1, r.2), groupUniqArrayIf((occurred_at, toString(event_id), {reported}),
                                                           {is_it})) AS reports,
               arraySort(u -> (u.1, u.2), groupUniqArrayIf((occurred_at, toString(event_id), amount), {undo})) AS undone
        FROM (SELECT *, name_in({at_path(rule.same)}) AS same, {amount_of(rule)} AS amount
              FROM known WHERE name IN ({names}))
        WHERE same IS NOT NULL
        GROUP BY person_id, same
        HAVING notEmpty(reports)
        """,
        ("reports", rule.name),
    )
    first = ", ".join(
        f"reports[1].{number} AS {name}" for number, name in enumerate(_REPORTED, 3) if name != "properties"
    )
    properties = 3 + _REPORTED.index("properties")
    columns = ", ".join(COLUMNS)
    return query.part(
        rule.name,
        comment,
        f"""
        SELECT {columns}, if(last = 0, NULL, undone[last].1) AS gone, undone
        FROM
        (
            SELECT *, {amount_of(rule)} AS worth,
                   arrayFirstIndex((u, taken) -> worth IS NULL OR u.3 IS NULL OR taken >= worth - {_PENNY}, undone,
                                   arrayCumSum(arrayMap(u -> ifNull(u.3, 0), undone))) AS last
            FROM
            (
                SELECT person_id, toUUID(reports[1].2) AS event_id, {quoted(rule.name)} AS name,
                       reports[1].1 AS occurred_at, {first}, undone,
                       if(length(reports) = 1, reports[1].{properties},
                          merged(arrayMap(r -> r.{properties}, reports))) AS properties
                FROM {reports}
            )
        )
        UNION ALL
        SELECT {columns}, NULL AS gone, [] AS undone
        FROM known WHERE {named([rule.name])} AND name_in({at_path(rule.same)}) IS NULL
        """,
        key,
    )
