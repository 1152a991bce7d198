"""Traits that are dates as SQL: ISO 8601 as Python reads it, in the person's zone where it names none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pathline.members.clocks import local_instants, zones, zones_with
from pathline.members.measuring import Values
from pathline.members.query import NOW, Query
from schemas.localtime import parse
from schemas.traits import UTC
from sinks.clickhouse.paths.filters import quoted

_DAY = 86_400_000
_MS = timedelta(milliseconds=1)
#: year; month and day, or both together; week and day of it, or both together; then a time of day and its offset
_ISO = (
    r"^([0-9]{4})(?:-([0-9]{2})-([0-9]{2})|([0-9]{2})([0-9]{2})|-W([0-9]{2})(?:-([0-9]))?|W([0-9]{2})([0-9])?)"
    r"(?s:.([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?|([0-9]{2})(?:([0-9]{2})(?:[.,]([0-9]+))?)?)?"
    r"(?:(Z)|([+-])([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}))?|([0-9]{2})([0-9]{2})?)?)?)?$"
)
#: blanks at the beginning and the end
_EDGES = "^[\\s\\p{Z}]+|[\\s\\p{Z}]+$"
_YEARLESS = "^(?:--)?([0-9]{2})-([0-9]{2})$"
#: the year of a day without one: a leap year before anybody's birthday
_LEAP = 1604


def dated(query: Query, values: Values, op: str, wanted: Any) -> str:
    """SQL that is true of people whose value is a date that meets an operator at the instant."""
    if op == "anniversary":
        return f"person_id IN {_anniversaries(query, values, wanted)}"
    edges, test = during(query, op, wanted, "m.at", "m.zone")
    return f"person_id IN (SELECT m.person_id FROM {_moments(query, values)} AS m{edges} WHERE {test})"


def ordered(query: Query, values: Values, sign: str, wanted: str) -> str:
    """SQL that is true of people whose value is a date written out, compared with another one; those without an offset
    are in UTC."""
    at = parse(wanted, UTC)
    if at is None:
        return "false"
    return f"person_id IN (SELECT person_id FROM {_moments(query, values, zoned=False)} WHERE at {sign} {at})"


def during(query: Query, op: str, wanted: Any, at: str, zone: str) -> tuple[str, str]:
    """(what to join, SQL for whether an instant meets an operator of dates); `at` is in milliseconds, `zone` the
    person's."""
    if op == "within":
        return "", f"{at} - {wanted} <= {NOW} AND {NOW} < {at} + {wanted}"
    if isinstance(wanted, int):
        return "", f"{at} + {wanted} {'<=' if op == 'before' else '>'} {NOW}"
    written = datetime.fromisoformat(wanted.strip())
    local = (written.replace(tzinfo=written.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // _MS
    if written.tzinfo is not None:
        return "", f"{at} {'<' if op == 'before' else '>'} {local}"
    locals = {"first": str(local)}
    if is_day := len(wanted) <= len("2025-01-01"):
        # a day is all of it
        locals["over"] = str(local + _DAY)
    edges = zones_with(query, f"edges of {wanted}", f"{wanted} in each zone", **locals)
    after = f"{at} >= e.over" if is_day else f"{at} > e.first"
    return f" INNER JOIN {edges} AS e ON {zone} = e.zone", f"{at} < e.first" if op == "before" else after


def _moments(query: Query, values: Values, zoned: bool = True) -> str:
    numbers = "is_number(value), numbered(as_number(value))" if zoned else "is_number(value), NULL"
    return query.part(
        f"moments of {values.part}",
        f"{values.part} as an instant (milliseconds since 1970)",
        f"""
        SELECT person_id, zone, multiIf({numbers}, NOT valid, NULL, offset IS NULL, shown, local - offset) AS at
        FROM ({local_instants(_read(query, values, zoned), shown="local")})
        WHERE at IS NOT NULL
        """,
        ("moments", values.part, zoned),
    )


def _read(query: Query, values: Values, zoned: bool = True) -> str:
    """Dates taken apart: what the clock shows (`local`, in milliseconds), `offset` if one is written, and `valid`."""
    groups = ", ".join(
        f"toInt64OrZero({sql}) AS {name}"
        for name, sql in {
            "year": "g[1]",
            "month": "concat(g[2], g[4])",
            "day": "concat(g[3], g[5])",
            "week": "concat(g[6], g[8])",
            "weekday": "if(g[7] = '' AND g[9] = '', '1', concat(g[7], g[9]))",
            "hour": "g[10]",
            "minute": "concat(g[11], g[14])",
            "second": "concat(g[12], g[15])",
            "fraction": "substring(rightPad(concat(g[13], g[16]), 3, '0'), 1, 3)",
            "ahead_hours": "g[19]",
            "ahead_minutes": "concat(g[20], g[22])",
            "ahead_seconds": "concat(g[21], g[23])",
        }.items()
    )
    joined = f"INNER JOIN {zones(query)} AS z ON v.person_id = z.person_id" if zoned else ""
    weeks = "intDiv(first_monday(year + 1) - first_monday(year), 7)"
    return f"""
        SELECT *,
               if(by_week, first_monday(year) + (week - 1) * 7 + weekday - 1, day_number(year, month, day)) AS day_at,
               day_at * {_DAY} + hour * 3600000 + minute * 60000 + second * 1000 + fraction AS local,
               multiIf(g[17] = 'Z', 0, g[18] = '', NULL, if(g[18] = '-', -1, 1)
                       * (ahead_hours * 3600000 + ahead_minutes * 60000 + ahead_seconds * 1000)) AS offset,
               notEmpty(g) AND year >= 1 AND hour < 24 AND minute < 60 AND second < 60 AND ahead_hours < 24
               AND ahead_minutes < 60 AND ahead_seconds < 60
               AND if(by_week, week BETWEEN 1 AND {weeks} AND weekday BETWEEN 1 AND 7,
                      month BETWEEN 1 AND 12 AND day BETWEEN 1 AND days_in(year, month)) AS valid
        FROM
        (
            SELECT person_id, zone, value, text, g[6] != '' OR g[8] != '' AS by_week, g, {groups}
            FROM
            (
                SELECT v.person_id AS person_id, {"z.zone" if zoned else "'UTC'"} AS zone, v.value AS value,
                       replaceRegexpAll(ifNull(as_text(v.value), ''), {quoted(_EDGES)}, '') AS text,
                       extractGroups(text, {quoted(_ISO)}) AS g
                FROM {_with_zero(values)} AS v {joined}
            )
        )"""


def _with_zero(values: Values) -> str:
    """Everybody's value: who has none of a number has 0."""
    if values.otherwise is None:
        return values.part
    value = f"if(v.value = '', '{values.otherwise}', v.value) AS value"
    joined = f"everybody AS e LEFT JOIN {values.part} AS v ON e.person_id = v.person_id"
    return f"(SELECT e.person_id AS person_id, {value} FROM {joined})"


def _anniversaries(query: Query, values: Values, wanted: tuple[int, int]) -> str:
    """A birthday is the day as it is written, whatever the zone; it begins and ends at midnight where the person is."""
    ahead, past = wanted
    numbered = "fromUnixTimestamp64Milli(held_in(numbered(ifNull(as_number(value), 0))), 'UTC')"
    parts = (
        ("toYear", "year", str(_LEAP)),
        ("toMonth", "month", "toInt64OrZero(short[1])"),
        ("toDayOfMonth", "day", "toInt64OrZero(short[2])"),
    )
    born = ", ".join(
        f"toInt64(multiIf(is_number(value), {part}({numbered}), notEmpty(short), {yearless}, by_week,"
        f" {part}(toDate32(day_at)), {name})) AS born_{name}"
        for part, name, yearless in parts
    )
    years = f"""
        SELECT person_id, zone, arrayJoin([this_year - 1, this_year, this_year + 1]) AS each_year,
               day_number(each_year, born_month,
                          if(born_month = 2 AND born_day = 29 AND NOT is_leap(each_year), 28, born_day)) AS each
        FROM
        (
            SELECT person_id, zone, value, valid, short, {born},
                   toInt64(toYear(fromUnixTimestamp64Milli(clock({NOW}, zone), 'UTC'))) AS this_year
            FROM (SELECT *, extractGroups(text, {quoted(_YEARLESS)}) AS short FROM ({_read(query, values)}))
        )
        WHERE each_year > born_year
          AND (is_number(value) OR valid OR (notEmpty(short) AND born_month BETWEEN 1 AND 12
               AND born_day BETWEEN 1 AND days_in({_LEAP}, born_month)))"""
    spans = local_instants(years, begins=f"(each - {ahead}) * {_DAY}", ends=f"(each + {past + 1}) * {_DAY}")
    return query.part(
        f"around {values.part}",
        f"{values.part}: from {ahead} days before it to {past} days after it, each year after that of the date",
        f"SELECT DISTINCT person_id FROM ({spans}) WHERE begins <= {NOW} AND {NOW} < ends",
        ("anniversary", values.part, wanted),
    )
