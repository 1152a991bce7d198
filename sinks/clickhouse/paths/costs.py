"""What channels and campaigns cost: cost files, messages sent, fixed fees by month; all in the project's currency.

A fee belongs to its channel day by day: each day costs the fee divided by the days of its month. A file's line and a
fee's day count when their midnight (UTC) is within the time asked about; without bounds fees run from the first day the
warehouse has events of to the last one. Neither knows people: a segment or an expression narrows messages only.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import Filters, Parameters, on_sends
from sinks.clickhouse.paths.touches import NONE

if TYPE_CHECKING:
    from schemas.definitions.model import Project

DAY_MS = 86_400_000
#: states of the ledger in which nothing was sent
UNSENT = "('withheld', 'refused', 'failed')"


@dataclass(frozen=True, slots=True)
class Prices:
    """`message` and `fee` by channel: of one message, and of a month. `currency` is what all amounts are told in."""

    currency: str = "USD"
    message: Mapping[str, float] = field(default_factory=dict)
    fee: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Spent:
    """Amounts by (channel, campaign); a fee has no campaign. `unknown` are amounts by currency without a rate."""

    amounts: dict[tuple[str, str], float]
    unknown: Counter[str]

    def by(self, node: str) -> dict[str, float]:
        """Amounts by channel (also asked as source: a file may name sources) or by campaign."""
        total: dict[str, float] = defaultdict(float)
        for (channel, campaign), amount in self.amounts.items():
            total[(campaign or NONE) if node == "campaign" else channel] += amount
        return dict(total)


def prices_of(project: Project | None) -> Prices:
    """What a project says of prices."""
    if project is None:
        return Prices()
    channels = project.channels.values()
    return Prices(
        project.currency,
        {channel.name: channel.cost for channel in channels if channel.cost},
        {channel.name: channel.monthly_fee for channel in channels if channel.monthly_fee},
    )


def spent(warehouse: Warehouse, prices: Prices, filters: Filters) -> Spent:
    """Everything that was spent. Raises BadQuestion."""
    found = Spent(defaultdict(float), Counter())
    for row in warehouse.rows(_FILES.format(rates=RATES), _bounds(filters) | {"base": prices.currency}):
        if row["known"]:
            found.amounts[row["channel"], row["campaign"]] += row["amount"]
        else:
            found.unknown[row["currency"]] += row["amount"]
    sends = on_sends(warehouse, filters)
    for row in warehouse.rows(_MESSAGES.format(sends=sends.sql), sends.parameters):
        if price := prices.message.get(row["channel"]):
            found.amounts[row["channel"], row["campaign"]] += price * row["messages"]
    months = _months(warehouse, filters) if prices.fee else 0
    if months:
        for channel, fee in prices.fee.items():
            found.amounts[channel, ""] += fee * months
    return found


#: joins the rate of `x.currency` on `x.day` as `rates.rate`, 0 where there is none; before the first the first counts
RATES = """
ASOF LEFT JOIN
(
    SELECT currency, day, rate FROM pathline.rates
    UNION ALL
    SELECT currency, toDate32('1900-01-01') AS first, argMin(rate, day) FROM pathline.rates GROUP BY currency
) AS rates ON x.currency = rates.currency AND x.day >= rates.day
"""

_FILES = """
SELECT channel, campaign, if(known, '', x.currency) AS currency,
       arraySum(arraySort(groupArray(x.amount * if(rates.rate > 0, rates.rate, 1)))) AS amount,
       x.currency IN ('', {{base:String}}) OR rates.rate > 0 AS known
FROM (SELECT * FROM pathline.costs WHERE day >= toDate32({{first:String}}) AND day <= toDate32({{last:String}})) AS x
{rates}
GROUP BY channel, campaign, currency, known
ORDER BY channel, campaign, currency
"""

_MESSAGES = f"""
SELECT toString(channel) AS channel, toString(journey) AS campaign, count() AS messages
FROM pathline.sends_placed
WHERE {{sends}} AND send_id NOT IN
    (SELECT send_id FROM pathline.ledger GROUP BY send_id HAVING argMax(state, offset) IN {UNSENT})
GROUP BY channel, campaign
"""


def _bounds(filters: Filters) -> Parameters:
    """The first and the last day asked about."""
    return {
        "first": "1900-01-01" if filters.since is None else str(_day(filters.since + DAY_MS - 1)),
        "last": "2299-12-31" if filters.until is None else str(_day(filters.until - 1)),
    }


def _months(warehouse: Warehouse, filters: Filters) -> float:
    """How many months the time asked about has, days as parts of theirs."""
    [there] = warehouse.rows(
        "SELECT count() AS events, toString(toDate32(min(occurred_at))) AS first,"
        " toString(toDate32(max(occurred_at))) AS last FROM pathline.events_raw"
    )
    if not there["events"] and (filters.since is None or filters.until is None):
        return 0.0
    bounds = _bounds(filters)
    day = date.fromisoformat(bounds["first"] if filters.since is not None else there["first"])
    last = date.fromisoformat(bounds["last"] if filters.until is not None else there["last"])
    months = 0.0
    while day <= last:
        days = monthrange(day.year, day.month)[1]
        until = min(last, date(day.year, day.month, days))
        months += ((until - day).days + 1) / days
        day = until + timedelta(days=1)
    return months


def _day(at: int) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).date()
