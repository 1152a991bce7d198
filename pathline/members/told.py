"""Traits that were told, as SQL."""

from __future__ import annotations

from pathline.members.query import Query
from sinks.clickhouse.paths.filters import quoted


def told(query: Query, trait: str) -> str:
    """The part with the newest `value` told of a trait; those who took it back have none."""
    found = f"""
        SELECT person_id, argMax(newest, (at, newest)) AS value
        FROM
        (
            SELECT person_id, slot, argMax(said, (occurred_at, version, offset)) AS newest, max(occurred_at) AS at
            FROM ({said(trait)})
            GROUP BY person_id, slot
        )
        GROUP BY person_id
        HAVING argMax(newest, (at, newest)) != 'null'
    """
    comment = "of several at one instant the one that came last, over slots the greater one"
    return query.part(f"trait {trait}", f"trait {trait}: the newest; {comment}", found, ("told", trait))


def inside_of(value: str, trait: str) -> str:
    """SQL for what a dotted name finds in the value of the trait it begins with."""
    for name in trait.split(".")[1:]:
        value = f"part({value}, {quoted(name)}, {int(name) + 1 if name.isdecimal() else 0})"
    return f"nullIf({value}, 'null')"


def said(trait: str) -> str:
    """All that was ever said of a trait; the traits of a group are not the person's own."""
    value = f"JSONExtractRaw(traits, {quoted(trait)})"
    return f"SELECT *, {value} AS said FROM known WHERE type != 'group' AND said != ''"
