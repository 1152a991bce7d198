"""Lists that follow from events (`collect`) as SQL: the JSON of what is in them."""

from __future__ import annotations

from collections.abc import Sequence

from pathline.members.happenings import at_path, holds, lines_of, named
from pathline.members.measuring import Values
from pathline.members.query import Query, moment
from processors.segments.collecting import PIECES, REMEMBERED
from schemas.definitions.model import Collect
from schemas.records import EARLIEST
from sinks.clickhouse.paths.filters import quoted


def collected(query: Query, collect: Collect, name: str) -> Values:
    """The list a computed trait is; people whose list is empty have none."""
    pieces = query.part(
        f"pieces of {name}",
        f"what was put into {name} and taken out of it: how many, and what is kept of it",
        _pieces(query, collect),
        ("pieces", collect),
    )
    cleared = query.part(
        f"clearings of {name}",
        f"when {name} was cleared",
        _cleared(query, collect),
        ("clearings", collect),
    )
    content = "content"
    if "quantity" in collect.keep:
        content = "object_of(arrayConcat(JSONExtractKeysAndValuesRaw(content), [('quantity', toString(amount))]))"
    found = query.part(
        name,
        f"{name}: the {collect.at_most} elements added last, at one instant removing follows adding, clearing both",
        f"""
        SELECT person_id, joined(arraySlice(arraySort(e -> (e.1, e.2), groupArray((added, element, {content}))),
                                            -{collect.at_most}).3) AS value
        FROM
        (
            SELECT person_id, element, state.1 AS amount, state.2 AS added, state.3 AS content
            FROM
            (
                SELECT person_id, element, newest,
                       arrayFold((state, p) -> (
                           if(p.3 IS NULL, 0., greatest(0., state.1 + ifNull(p.3, 0))),
                           if(p.4 = '', state.2, p.1), if(p.4 = '', state.3, p.4)),
                           arrayFilter(p -> p.1 <= instant, pieces), (0., toDateTime64(0, 3, 'UTC'), '')) AS state
                FROM
                (
                    SELECT p.person_id AS person_id, p.element AS element, max(p.at) AS newest,
                           arraySlice(arraySort(q -> (q.1, q.2, q.5), groupArray((p.at, p.rank, p.amount, p.content,
                                                                                  p.called))), -{PIECES}) AS pieces
                    FROM {pieces} AS p INNER JOIN {cleared} AS c ON p.person_id = c.person_id
                    WHERE p.at > c.at
                    GROUP BY person_id, element
                )
                ORDER BY newest DESC, element DESC
                LIMIT {REMEMBERED * collect.at_most} BY person_id
            )
            WHERE amount > 0 AND content != ''
        )
        GROUP BY person_id
        """,
        ("collected", collect),
    )
    return Values(found)


def _pieces(query: Query, collect: Collect) -> str:
    parent, _, last = collect.by.rpartition(".")
    quantity = f"as_number({at_path(_beside(parent, 'quantity'))})"
    kept = [
        (last, at_path(collect.by)),
        *((key, at_path(_beside(parent, key))) for key in collect.keep if key != "quantity"),
    ]
    pairs = ", ".join(f"({quoted(key)}, ifNull({value}, 'null'))" for key, value in kept)
    lines, number = "", "0"
    if collect.each is not None:
        lines, number = lines_of(collect.each), "number"
    adds = f"name IN ({', '.join(map(quoted, collect.add))})"
    return f"""
        SELECT person_id, element, called, at, amount, content,
               multiIf(amount IS NULL, 2, amount < 0, 1, 0) AS rank
        FROM
        (
            SELECT person_id, name_in({at_path(collect.by)}) AS element, occurred_at AS at,
                   ({called(query, (*collect.add, *collect.remove))}, {number}) AS called, {quantity} AS stated,
                   if({adds}, if(stated > 0, stated, 1.), if(stated > 0, -stated, NULL)) AS amount,
                   if({adds}, object_of(arrayFilter(p -> p.2 != 'null', [{pairs}])), '') AS content
            FROM known {lines}
            WHERE {named((*collect.add, *collect.remove))} AND (NOT {adds} OR {holds(collect.where)})
        )
        WHERE element IS NOT NULL
        ORDER BY at, rank, content = ''
        LIMIT 1 BY person_id, element, called
    """


def _cleared(query: Query, collect: Collect) -> str:
    never = f"SELECT person_id, '' AS called, {moment(EARLIEST)} AS first FROM everybody"
    return f"""
        SELECT person_id, max(first) AS at
        FROM
        (
            {never}
            UNION ALL
            SELECT person_id, {called(query, collect.clear)} AS called, min(occurred_at) AS first
            FROM known WHERE {named(collect.clear) if collect.clear else "false"} AND occurred_at <= instant
            GROUP BY person_id, called
        )
        GROUP BY person_id
    """


def called(query: Query, names: Sequence[str]) -> str:
    """SQL for what an event tells of: an occurrence that others may report too, else itself."""
    rules = [query.project.events[name] for name in names if name in query.project.events]
    found = "toString(event_id)"
    for rule in rules:
        if rule.same is not None:
            named = f"concat(name, ' ', name_in({at_path(rule.same)}))"
            found = f"if(name = {quoted(rule.name)}, coalesce({named}, {found}), {found})"
    return found


def _beside(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name
