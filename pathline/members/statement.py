"""The statement that answers who is in a segment."""

from __future__ import annotations

from pathline.members.conditions import member
from pathline.members.query import Query
from schemas.definitions.expressions import iso
from schemas.definitions.model import Project


def statement(project: Project, segment: str, at: int, identifiers: bool = False, arrived: bool = False) -> str:
    """SQL for the members of a segment at an instant (milliseconds since 1970 UTC), with `identifiers` also how they
    are known; `arrived` counts only what had arrived by then. Raises Inexpressible, KeyError for an unknown segment."""
    query = Query(project, at, arrived)
    found = member(query, project.segments[segment].name)
    heading = (
        f"The members of segment {segment} of {project.name} (definitions {project.version[:12]}) at {iso(at)},\n"
        "worked out over the events. Persons are those of today. Another instant may stand in the first line."
    )
    if not identifiers:
        return query.text(f"SELECT person_id FROM everybody WHERE {found} ORDER BY person_id", heading)
    select = f"""
    SELECT person_id, arraySort(groupUniqArrayArray(identifiers)) AS identifiers
    FROM known
    WHERE {found}
    GROUP BY person_id
    ORDER BY person_id
    """
    return query.text(select, heading)
