"""What became of promo codes, by promo and journey: given, redeemed and by how much, expired, and asked for in vain.

A code is redeemed by the first event that shows it after it was given, whoever sent it. Codes compare as people type
them, in whatever case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas.definitions.model import Promo
from schemas.reasons import NO_CODE
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.orders import place_of, text_at


@dataclass(frozen=True, slots=True)
class Figures:
    """Codes of a promo that a journey gave. Of the `issued` so many were `redeemed`, with orders worth `revenue`, and
    so many `expired` unused; the others are `open`. `missed` is how many more it would have given."""

    promo: str
    journey: str
    issued: int = 0
    redeemed: int = 0
    expired: int = 0
    missed: int = 0
    revenue: float = 0.0

    @property
    def open(self) -> int:
        return self.issued - self.redeemed - self.expired

    @property
    def rate(self) -> float | None:
        """Share of the codes that were redeemed, None without any."""
        return self.redeemed / self.issued if self.issued else None


def figures(warehouse: Warehouse, promos: Iterable[Promo], now: int) -> list[Figures]:
    """By promo and journey, as of an instant (milliseconds UTC)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for promo in promos:
        column, inside = place_of(promo.code)
        asked = {"promo": promo.name, "redeemed": list(promo.redeemed), "now": now, "none": NO_CODE}
        given = _GIVEN.format(one=text_at(promo.code), many=f"JSONExtract({column}, {inside}, 'Array(String)')")
        for row in [*warehouse.rows(given, asked), *warehouse.rows(_MISSED, asked)]:
            found.setdefault((promo.name, row["journey"]), {}).update(row)
    return [Figures(promo, **row) for (promo, _), row in sorted(found.items())]


_GIVEN = """
SELECT
    g.journey AS journey, toInt64(count()) AS issued, toInt64(countIf(u.code != '')) AS redeemed,
    toInt64(countIf(u.code = '' AND parseDateTime64BestEffortOrNull(g.until, 3, 'UTC')
        <= fromUnixTimestamp64Milli({{now:Int64}}))) AS expired,
    toFloat64(sum(u.revenue)) AS revenue
FROM
(
    SELECT
        lowerUTF8(JSONExtractString(properties, 'code')) AS code,
        any(JSONExtractString(properties, 'journey')) AS journey,
        any(JSONExtractString(properties, 'expires_at')) AS until
    FROM pathline.events
    WHERE name = 'Promo Code Issued' AND source = 'journey'
        AND JSONExtractString(properties, 'promo') = {{promo:String}}
    GROUP BY code
) AS g
LEFT JOIN
(
    SELECT code, argMin(worth, occurred_at) AS revenue
    FROM
    (
        SELECT
            lowerUTF8(trimBoth(arrayJoin(if(empty(listed), [one], listed)))) AS code, occurred_at,
            ifNull(toFloat64(revenue), 0) AS worth
        FROM
        (
            SELECT occurred_at, revenue, {one} AS one, {many} AS listed
            FROM pathline.events WHERE has({{redeemed:Array(String)}}, name)
        )
    )
    WHERE code != ''
    GROUP BY code
) AS u ON u.code = g.code
GROUP BY journey
"""
_MISSED = """
SELECT journey, toInt64(count()) AS missed
FROM pathline.decisions
WHERE reason = {none:String} AND startsWith(detail, concat({promo:String}, ': '))
GROUP BY journey
"""
