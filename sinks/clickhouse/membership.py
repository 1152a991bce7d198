"""Who was in a segment when, and how many, by what the line published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.definitions.expressions import iso
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.weekly import Span


@dataclass(frozen=True, slots=True)
class Size:
    """How many `people` were in a segment at the end of a period (`at`, milliseconds since 1970 UTC), and how often
    someone `entered` and `left` within it."""

    at: int
    people: int
    entered: int
    left: int


def members(warehouse: Warehouse, segment: str, at: int, most: int | None = None) -> list[dict[str, Any]]:
    """`person_id, identifiers, since, cause, reason` of those who were in a segment at an instant (milliseconds since
    1970 UTC), as the persons and identifiers of today; those who came first come first."""
    limit = "" if most is None else " LIMIT {most:UInt64}"
    rows = warehouse.rows(
        f"""
SELECT m.person_id AS person_id, i.identifiers AS identifiers, toUnixTimestamp64Milli(m.entered_at) AS since,
       m.entered_cause AS cause, m.entered_reason AS reason
FROM
(
    SELECT * FROM pathline.membership_intervals
    WHERE segment = {{segment:String}} AND entered_at <= fromUnixTimestamp64Milli({{at:Int64}})
        AND (left_at IS NULL OR left_at > fromUnixTimestamp64Milli({{at:Int64}}))
    ORDER BY entered_at, person_id{limit}
) AS m
LEFT JOIN
(
    SELECT person_id, arraySort(groupArray(identifier)) AS identifiers FROM pathline.identifiers GROUP BY person_id
) AS i ON m.person_id = i.person_id
ORDER BY since, person_id
SETTINGS join_use_nulls = 0
""",
        {"segment": segment, "at": at, "most": most or 0},
    )
    return [row | {"person_id": str(row["person_id"]), "since": iso(row["since"])} for row in rows]


def sizes(warehouse: Warehouse, span: Span, period: int, segment: str = "") -> dict[str, list[Size]]:
    """The size of each segment (or of one) at the end of each period of so many milliseconds of a span, the last one
    being cut off by its end. Segments that nobody was in before the end are left out."""
    rows = warehouse.rows(
        """
SELECT toString(segment) AS segment,
       greatest(-1, intDiv(toUnixTimestamp64Milli(at) - {since:Int64} + {period:Int64}, {period:Int64}) - 1) AS number,
       countIf(change = 'entered') AS entered, countIf(change = 'left') AS left
FROM pathline.memberships
WHERE at < fromUnixTimestamp64Milli({until:Int64}) AND NOT startsWith(segment, '~')
    AND ({segment:String} = '' OR segment = {segment:String})
GROUP BY segment, number ORDER BY segment
""",
        span.parameters | {"period": period, "segment": segment},
    )
    changes: dict[str, dict[int, tuple[int, int]]] = {}
    for row in rows:
        changes.setdefault(row["segment"], {})[row["number"]] = row["entered"], row["left"]
    ends = [*range(span.since + period, span.until, period), span.until]
    return {name: list(_summed(of, ends)) for name, of in changes.items()}


def _summed(changes: dict[int, tuple[int, int]], ends: Sequence[int]) -> list[Size]:
    entered, left = changes.get(-1, (0, 0))
    people, found = entered - left, list[Size]()
    for number, at in enumerate(ends):
        entered, left = changes.get(number, (0, 0))
        people += entered - left
        found.append(Size(at, people, entered, left))
    return found
