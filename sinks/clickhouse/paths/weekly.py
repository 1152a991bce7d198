"""What a week's report asks besides the analyses: who was active, segments, journeys, who waits, what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.reasons import (
    ENTERED,
    EXITED,
    FINISHED,
    GOAL,
    LATE,
    MERGED,
    NO_CONSENT,
    SENT,
    SUPPRESSED,
    TEMPLATE_ERROR,
    UNREACHABLE,
)
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.receipts import IS_RECEIPT

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
#: 1970-01-05 00:00 UTC
_MONDAY = 4 * DAY_MS


@dataclass(frozen=True, slots=True)
class Span:
    """`since <= time < until`, milliseconds since 1970 UTC."""

    since: int
    until: int

    @property
    def before(self) -> Span:
        """The span of the same length before this one."""
        return Span(2 * self.since - self.until, self.since)

    @property
    def parameters(self) -> dict[str, Any]:
        return {"since": self.since, "until": self.until}


@dataclass(frozen=True, slots=True)
class People:
    """`active` had an event in the span, the first of all for `new` of them."""

    active: int
    new: int


def newest_week(warehouse: Warehouse, now: int) -> Span:
    """The newest week from Monday to Sunday (UTC) that is over by the line's clock, and whose last day the events
    reach; the one before `now` without events."""
    [row] = warehouse.rows("SELECT count() AS events, toUnixTimestamp64Milli(max(occurred_at)) AS newest FROM"
                           " pathline.events_raw WHERE occurred_at <= fromUnixTimestamp64Milli({now:Int64})",
                           {"now": now})  # fmt: skip
    reached = min(now, row["newest"] + DAY_MS) if row["events"] else now
    until = reached - (reached - _MONDAY) % WEEK_MS
    return Span(until - WEEK_MS, until)


def people(warehouse: Warehouse, span: Span) -> People:
    """Who was there."""
    [row] = warehouse.rows(
        "SELECT count() AS active, countIf(first >= {since:Int64}) AS new FROM (SELECT person_id,"
        " toUnixTimestamp64Milli(min(occurred_at)) AS first, toUnixTimestamp64Milli(max(occurred_at)) AS last"
        " FROM pathline.events WHERE occurred_at < fromUnixTimestamp64Milli({until:Int64}) GROUP BY person_id)"
        " WHERE last >= {since:Int64}",
        span.parameters,
    )
    return People(row["active"], row["new"])


def usual_steps(warehouse: Warehouse, span: Span, left_out: list[str], most: int = 2) -> list[str]:
    """The events that most people had in the span, those of most people first, without receipts."""
    rows = warehouse.rows(
        f"SELECT toString(name) AS name FROM pathline.events WHERE {_DURING.format(at='occurred_at')}"
        " AND name != '' AND NOT has({left_out:Array(String)}, name) AND NOT "
        + IS_RECEIPT
        + " GROUP BY name ORDER BY uniqExact(person_id) DESC, name LIMIT {most:UInt32}",
        span.parameters | {"left_out": left_out, "most": most},
    )
    return [row["name"] for row in rows]


def segments(warehouse: Warehouse, span: Span) -> list[dict[str, Any]]:
    """`segment, people` at the end of the span, `before` at its beginning, `entered` and `left` within."""
    return warehouse.rows(
        """
SELECT segment, countIf(there = 'entered') AS people, countIf(earlier = 'entered') AS before,
       sum(came) AS entered, sum(went) AS left
FROM
(
    SELECT segment, person_id, argMax(change, (offset, ordinal)) AS there,
           argMaxIf(change, (offset, ordinal), at < fromUnixTimestamp64Milli({since:Int64})) AS earlier,
           countIf(change = 'entered' AND at >= fromUnixTimestamp64Milli({since:Int64})) AS came,
           countIf(change = 'left' AND at >= fromUnixTimestamp64Milli({since:Int64})) AS went
    FROM pathline.memberships
    WHERE at < fromUnixTimestamp64Milli({until:Int64}) AND NOT startsWith(segment, '~')
    GROUP BY segment, person_id
)
GROUP BY segment ORDER BY people DESC, segment
""",
        span.parameters,
    )


def journeys(warehouse: Warehouse, span: Span) -> list[dict[str, Any]]:
    """`journey, entered, sent, goals, waiting`: what was decided in the span, and who was inside at its end."""
    return warehouse.rows(
        f"""
SELECT journey, countIf({_DURING.format(at="at")} AND reason = '{ENTERED}') AS entered,
       countIf({_DURING.format(at="at")} AND reason = '{SENT}') AS sent,
       countIf({_DURING.format(at="at")} AND reason = '{GOAL}') AS goals,
       uniqExactIf(instance_id, reason = '{ENTERED}' AND instance_id != '')
           - uniqExactIf(instance_id, reason IN {_ENDS} AND instance_id != '') AS waiting
FROM pathline.decisions WHERE at < fromUnixTimestamp64Milli({{until:Int64}}) AND journey != ''
GROUP BY journey ORDER BY journey
""",
        span.parameters,
    )


def waiting(warehouse: Warehouse, span: Span) -> list[dict[str, Any]]:
    """`journey, step, last, people, median_seconds`: who was inside a journey at the end of the span, by the last that
    was decided for it, and for how long."""
    return warehouse.rows(
        f"""
SELECT journey, newest.1 AS step, newest.2 AS last, uniqExact(person) AS people,
       quantileExactInclusive(0.5)(({{until:Int64}} - entered_at) / 1000) AS median_seconds
FROM
(
    SELECT journey, instance_id, argMax(person_id, (at, offset)) AS person,
           argMax((toString(step), toString(reason)), (at, offset)) AS newest,
           toUnixTimestamp64Milli(minIf(at, reason = '{ENTERED}')) AS entered_at
    FROM pathline.decisions
    WHERE at < fromUnixTimestamp64Milli({{until:Int64}}) AND instance_id != ''
    GROUP BY journey, instance_id
    HAVING countIf(reason = '{ENTERED}') > 0 AND countIf(reason IN {_ENDS}) = 0
)
GROUP BY journey, step, last ORDER BY people DESC, journey, step, last
""",
        span.parameters,
    )


def failures(warehouse: Warehouse, span: Span) -> list[dict[str, Any]]:
    """`what, where, why, count, people`: messages that failed at a provider or came back, and what journeys could not
    send."""
    return warehouse.rows(
        f"""
SELECT * FROM
(
    SELECT concat('message ', last.1) AS what, last.2 AS where, last.3 AS why, count() AS count,
           uniqExact(person) AS people
    FROM
    (
        SELECT argMax((toString(state), toString(channel), detail), offset) AS last, any(person_id) AS person,
               max(at) AS changed
        FROM pathline.ledger WHERE at < fromUnixTimestamp64Milli({{until:Int64}}) GROUP BY send_id
    )
    WHERE last.1 IN ('refused', 'failed', 'unknown') AND {_DURING.format(at="changed")}
    GROUP BY what, where, why
    UNION ALL
    SELECT 'came back', toString(channel), toString(name), count(), uniqExact(person_id) FROM pathline.events
    WHERE {_DURING.format(at="occurred_at")}
        AND (endsWith(name, ' Bounced') OR endsWith(name, ' Marked as Spam') OR endsWith(name, ' Failed'))
    GROUP BY channel, name
    UNION ALL
    SELECT 'not sent', toString(journey), toString(reason), count(), uniqExact(person_id) FROM pathline.decisions
    WHERE {_DURING.format(at="at")} AND reason IN {_UNSENT}
    GROUP BY journey, reason
)
ORDER BY count DESC, what, where, why
""",
        span.parameters,
    )


_DURING = "{at} >= fromUnixTimestamp64Milli({{since:Int64}}) AND {at} < fromUnixTimestamp64Milli({{until:Int64}})"
_ENDS = (EXITED, FINISHED, MERGED)
_UNSENT = (NO_CONSENT, SUPPRESSED, UNREACHABLE, LATE, TEMPLATE_ERROR)
