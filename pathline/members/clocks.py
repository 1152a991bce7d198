"""Dates and times of day where people are, as SQL; instants are milliseconds since 1970 UTC."""

from __future__ import annotations

from pathline.members.query import NOW, Query
from pathline.members.told import told
from schemas.definitions.model import LocalTime
from sinks.clickhouse.paths.filters import quoted

_DAY = 86_400_000
_MINUTE = 60_000


def zones(query: Query) -> str:
    """The part that says the `zone` of everybody: the trait `timezone`, else the newest a context told, else what the
    line found by location or phone number, else the project's."""
    known = "(SELECT time_zone FROM system.time_zones)"
    contexts = query.part(
        "told_zones",
        "the newest time zone that a context told",
        f"""
        SELECT person_id, argMax(newest, (at, newest)) AS zone
        FROM
        (
            SELECT person_id, slot, argMax(said, (occurred_at, version, offset)) AS newest, max(occurred_at) AS at
            FROM (SELECT *, JSONExtractString(context, 'timezone') AS said FROM known
                  WHERE position(context, '"timezone"') > 0)
            WHERE said IN {known}
            GROUP BY person_id, slot
        )
        GROUP BY person_id
        """,
        "contexts",
    )
    trait = told(query, "timezone")
    guessed, profiles, comment = "", "", "everybody's time zone: the trait, else the newest context, else"
    if query.project.zone_from:
        # no database of places and numbering plans here
        profiles = "LEFT JOIN pathline.people AS p ON e.person_id = p.person_id"
        guessed = "JSONExtractString(p.profile, 'timezone') != '', JSONExtractString(p.profile, 'timezone'),"
        comment = f"{comment} what the line found by {' or '.join(query.project.zone_from)}, else"
    return query.part(
        "zones",
        f"{comment} {query.project.timezone}",
        f"""
        SELECT e.person_id AS person_id,
               multiIf(as_text(t.value) IN {known}, as_text(t.value), c.zone != '', c.zone, {guessed}
                       {quoted(query.project.timezone)}) AS zone
        FROM everybody AS e
        LEFT JOIN {trait} AS t ON e.person_id = t.person_id
        LEFT JOIN {contexts} AS c ON e.person_id = c.person_id
        {profiles}
        """,
        "zones",
    )


def local_instants(source: str, **locals: str) -> str:
    """A source with further columns: by name the instants at which the clock of `zone` shows a local time (SQL,
    milliseconds). The clock is asked for the days before and after first, so that each is worked out once."""
    shown = ", ".join(f"toInt64({sql}) AS {name}_local" for name, sql in locals.items())
    ahead = ", ".join(
        f"ahead({name}_local - {_DAY}, zone) AS {name}_before, ahead({name}_local + {_DAY}, zone) AS {name}_after"
        for name in locals
    )
    found = ", ".join(f"local_instant({name}_local, zone, {name}_before, {name}_after) AS {name}" for name in locals)
    return f"SELECT *, {found} FROM (SELECT *, {ahead} FROM (SELECT *, {shown} FROM ({source})))"


def zones_with(query: Query, name: str, comment: str, **locals: str) -> str:
    """The part with each zone there is and the instants at which its clock shows local times."""
    sql = local_instants(f"SELECT DISTINCT zone FROM {zones(query)}", **locals)
    return query.part(name, comment, sql, ("zones", *locals.items()))


def time_of_day(query: Query, one: LocalTime, comment: str) -> str:
    """SQL that is true of people whose clock shows such a time: it is worked out once for each zone."""
    length = 1 if one.end <= one.first else 0
    allowed = f"AND positiveModulo(day + 3, 7) IN ({', '.join(map(str, sorted(one.days)))})" if one.days else ""
    days = f"""
        SELECT zone, arrayJoin([today - 1, today, today + 1]) AS day
        FROM (SELECT DISTINCT zone, local_day({NOW}, zone) AS today FROM {zones(query)})"""
    spans = local_instants(
        days,
        begins=f"day * {_DAY} + {one.first * _MINUTE}",
        ends=f"day * {_DAY} + {length * _DAY + one.end * _MINUTE}",
    )
    found = query.part(
        "at_that_time",
        f"{comment}: zones where it is; a span belongs to the day on which it begins",
        f"SELECT zone FROM ({spans}) WHERE begins <= {NOW} AND {NOW} < ends {allowed}",
        ("time", one),
    )
    return f"person_id IN (SELECT person_id FROM {zones(query)} WHERE zone IN {found})"
