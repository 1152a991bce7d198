"""The values that traits have, told or worked out over events, and since when, as SQL."""

from __future__ import annotations

from pathline.members.collecting import collected
from pathline.members.engaging import best_channels, best_hours
from pathline.members.measuring import Values, measured
from pathline.members.predicting import predicted
from pathline.members.query import Query
from pathline.members.told import inside_of, said, told
from schemas.definitions.model import Best, Collect, Measure, Prediction, root


def values_of(query: Query, trait: str) -> Values:
    """The values of a trait; a dotted name reaches into objects."""
    computed = query.project.traits
    if trait in computed:
        return _computed(query, trait)
    top = root(trait)
    if top in computed:
        values = _computed(query, top)
        found = f"SELECT person_id, {inside_of('value', trait)} AS value FROM {values.part} WHERE value IS NOT NULL"
        return Values(_part(query, trait, found))
    if top == trait:
        return Values(told(query, trait))
    # a trait of this very name comes before what lies within another
    found = f"""
        SELECT person_id, argMin(value, rank) AS value
        FROM
        (
            SELECT person_id, 1 AS rank, value FROM {told(query, trait)}
            UNION ALL
            SELECT person_id, 2 AS rank, {inside_of("value", trait)} AS value FROM {told(query, top)}
        )
        GROUP BY person_id
    """
    return Values(_part(query, trait, found))


def held_since(query: Query, trait: str) -> str:
    """The part that says since when (`since`) a trait has had its value."""
    top = root(trait)
    value = "newest" if top == trait else f"ifNull({inside_of('newest', trait)}, 'null')"
    found = f"""
        SELECT h.person_id AS person_id,
               arrayFirstIndex(v -> NOT ifNull(same_value(v.2, t.value), false), h.story) AS other,
               h.story[if(other = 0, length(h.story), other - 1)].1 AS since
        FROM
        (
            SELECT person_id, arrayReverseSort(v -> v.1, groupArray((at, told))) AS story
            FROM
            (
                SELECT person_id, at, argMax({value}, newest) AS told
                FROM
                (
                    SELECT person_id, slot, occurred_at AS at, argMax(said, (version, offset)) AS newest
                    FROM ({said(top)})
                    GROUP BY person_id, slot, at
                )
                GROUP BY person_id, at
            )
            GROUP BY person_id
        ) AS h
        INNER JOIN {values_of(query, trait).part} AS t ON h.person_id = t.person_id
        WHERE other != 1
    """
    return query.part(f"held {trait}", f"since when {trait} has the value it has", found, ("held", trait))


def _computed(query: Query, trait: str) -> Values:
    match query.project.traits[trait].measure:
        case Measure() as measure:
            return measured(query, measure)
        case Collect() as collect:
            return collected(query, collect, trait)
        case Prediction() as prediction:
            return predicted(query, prediction, rounded=True)
        case Best("hour"):
            return Values(best_hours(query))
        case Best():
            return Values(best_channels(query))


def _part(query: Query, trait: str, found: str) -> str:
    sql = f"SELECT person_id, value FROM ({found}) WHERE value IS NOT NULL"
    return query.part(f"trait {trait}", f"trait {trait}", sql, ("trait", trait))
