"""`did` and `did_in_order` as SQL."""

from __future__ import annotations

from pathline.members.happenings import at_path, happened, holds, lines_of, standing, together
from pathline.members.query import Query, inside
from schemas.definitions.model import Did, InOrder
from sinks.clickhouse.paths.filters import quoted


def did(query: Query, one: Did, comment: str) -> str:
    """SQL that is true of people for whom a count lies within its bounds."""
    if not one.events:
        return "false"
    rows = happened(query, one.events)
    lines, place = "", "0"
    if one.each is not None:
        lines, place = lines_of(one.each), "number"
    counted = "uniqExact(event_id, place)"
    bounds = f"{counted} >= {one.at_least}"
    if one.at_most is not None:
        bounds += f" AND {counted} <= {one.at_most}"
    # without any events it may hold too: then those are told for whom it does not
    without = one.at_least == 0
    found = query.part(
        f"did {one.events[0]}",
        f"{comment}{'; these are the others' if without else ''}",
        f"""
        SELECT person_id
        FROM (SELECT person_id, event_id, {place} AS place FROM {rows.of} {lines}
              WHERE {together(standing(rows), inside(one.window), holds(one.where))})
        GROUP BY person_id
        HAVING {f"NOT ({bounds})" if without else bounds}
        """,
        ("did", one),
    )
    return f"person_id {'NOT IN' if without else 'IN'} {found}"


def in_order(query: Query, order: InOrder, comment: str) -> str:
    """SQL that is true of people who took all steps one after the other.

    Instants are gone through one by one, with as many steps as can have been taken so far: more are never worse. The
    events of one instant may be taken in any order, each for one step, so all sets of steps they can be are looked at.
    """
    names = tuple(dict.fromkeys(name for step in order.steps for name in step.events))
    rows = happened(query, names)
    # what a sequence asks to be undone is undone in it by that step
    undos = {undo for name in names if name in query.project.events for undo in query.project.events[name].undo}
    kept = rows.where if undos & set(names) else standing(rows)
    steps = ", ".join(
        f"name IN ({', '.join(map(quoted, step.events))}) AND ifNull({holds(step.where)}, false)"
        for step in order.steps
    )
    same = "''" if order.same is None else f"name_in({at_path(order.same)})"
    count = len(order.steps)
    moments = query.part(
        f"steps of {order.steps[0].events[0]}",
        "events that can be a step: for each the numbers of the steps",
        f"""
        SELECT person_id, same, arraySort(m -> m.1, groupUniqArray((occurred_at, toString(event_id), steps))) AS moments
        FROM
        (
            SELECT person_id, event_id, occurred_at, {same} AS same,
                   arrayFilter((n, fits) -> fits, range({count}), [{steps}]) AS steps
            FROM {rows.of}
            WHERE {together(kept, inside(order.window))}
        )
        WHERE notEmpty(steps) AND same IS NOT NULL
        GROUP BY person_id, same
        """,
        ("moments", order),
    )
    found = query.part(
        f"did_in_order {order.steps[0].events[0]}",
        f"{comment}\n(taken, those of the steps after them that events of one instant can be, the instant)",
        f"""
        SELECT DISTINCT person_id
        FROM
        (
            SELECT person_id,
                   arrayFold((state, moment) -> (
                       if(moment.1 = state.3, state.1, taken_after(state.1, state.2)),
                       together(if(moment.1 = state.3, state.2, [toUInt64(0)]), moment.3),
                       moment.1), moments, (toUInt64(0), [toUInt64(0)], toDateTime64(0, 3, 'UTC'))) AS state
            FROM {moments}
        )
        WHERE taken_after(state.1, state.2) >= {count}
        """,
        ("in_order", order),
    )
    return f"person_id IN {found}"
