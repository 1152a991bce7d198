"""What each channel, or each campaign in it, did, cost and brought.

A message counts as sent unless dispatch withheld it or it was refused, and further as far as its receipts show; what
another system sent is known by its receipts alone. A conversion and its revenue go to the last touch before it, at most
`lookback` earlier; those without one stand apart as `(none)`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from schemas.receipts import CLICKED, DELIVERED, OPENED
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import orders
from sinks.clickhouse.paths.attribution import Question as Reach
from sinks.clickhouse.paths.attribution import owed
from sinks.clickhouse.paths.costs import UNSENT, Prices, spent
from sinks.clickhouse.paths.filters import Filters, on_events, on_sends
from sinks.clickhouse.paths.touches import NONE, PAIR, RANK, Nodes, TouchRules, keyed

#: (channel, campaign); the campaign is empty when not asked for
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """`lookback` is milliseconds; `campaigns`: a row for each campaign of a channel."""

    orders: orders.Asked
    prices: Prices
    rules: TouchRules
    lookback: int
    campaigns: bool = False


@dataclass(slots=True)
class Channel:
    """Amounts in the project's currency. `cost` is None where nobody told any; `roas` is revenue by cost, then None."""

    channel: str
    campaign: str
    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0
    cost: float | None = None
    revenue: float = 0.0

    @property
    def margin(self) -> float:
        return self.revenue - (self.cost or 0.0)

    @property
    def roas(self) -> float | None:
        return self.revenue / self.cost if self.cost and self.cost > 0 else None


@dataclass(frozen=True, slots=True)
class Channels:
    """`unknown` are amounts by currency that no rate tells the worth of: `costs` and `revenue` go without them."""

    rows: list[Channel]
    unknown_costs: Counter[str]
    unknown_revenue: Counter[str]


def channels(warehouse: Warehouse, question: Question, filters: Filters) -> Channels:
    """A row for each channel that sent, cost or converted, the highest revenue first. Raises BadQuestion."""
    found: dict[Key, Channel] = {}

    def of(channel: str, campaign: str) -> Channel:
        key = (channel, (campaign or NONE) if question.campaigns else "")
        return found.setdefault(key, Channel(*key))

    for key, reached in _messages(warehouse, filters).items():
        row = of(*key)
        row.sent += reached.total()
        row.delivered += sum(count for depth, count in reached.items() if depth >= DELIVERED)
        row.opened += sum(count for depth, count in reached.items() if depth >= OPENED)
        row.clicked += sum(count for depth, count in reached.items() if depth >= CLICKED)
    for key, (count, revenue) in _converted(warehouse, question, filters).items():
        row = of(*key)
        row.converted += count
        row.revenue += revenue
    cost = spent(warehouse, question.prices, filters)
    for key, amount in cost.amounts.items():
        row = of(*key)
        row.cost = (row.cost or 0.0) + amount
    rows = sorted(found.values(), key=lambda row: (row.channel == NONE, -row.revenue, row.channel, row.campaign))
    return Channels(rows, cost.unknown, orders.unknown(warehouse, question.orders, filters))


def _messages(warehouse: Warehouse, filters: Filters) -> dict[Key, Counter[int]]:
    """How many messages got how far at most."""
    events, sends = on_events(warehouse, filters), on_sends(warehouse, filters)
    rows = warehouse.rows(
        _MESSAGES.format(receipts=keyed(events.sql, "campaign"), sends=sends.sql), events.parameters | sends.parameters
    )
    found: dict[Key, Counter[int]] = defaultdict(Counter)
    for row in rows:
        found[row["channel"], row["campaign"]][row["depth"]] += row["messages"]
    return found


def _converted(warehouse: Warehouse, question: Question, filters: Filters) -> dict[Key, tuple[int, float]]:
    """Conversions and revenue by what had the last touch before."""
    nodes = Nodes(PAIR if question.campaigns else "channel", question.rules)
    found = owed(warehouse, ("last",), nodes, question.orders, Reach(question.lookback), filters)
    numbers, revenue = found["last"]
    return {
        (channel, campaign): (round(number), revenue[node])
        for node, number in numbers.items()
        if number
        for channel, _, campaign in [node.partition("\n")]
    }


_MESSAGES = f"""
SELECT channel, campaign, depth, count() AS messages
FROM
(
    SELECT if(s.channel != '', s.channel, r.channel) AS channel,
           if(s.channel != '', s.campaign, r.campaign) AS campaign, max(r.depth) AS depth
    FROM
    (
        SELECT key, max(depth) AS depth, argMin(channel, rank) AS channel, argMin(node, rank) AS campaign
        FROM (SELECT key, depth, channel, node, {RANK} AS rank FROM ({{receipts}})) GROUP BY key
    ) AS r
    FULL JOIN
    (
        SELECT send_id, toString(channel) AS channel, toString(journey) AS campaign
        FROM pathline.sends_placed
        WHERE {{sends}} AND send_id NOT IN
            (SELECT send_id FROM pathline.ledger GROUP BY send_id HAVING argMax(state, offset) IN {UNSENT})
    ) AS s ON r.key = s.send_id
    WHERE s.channel != '' OR (r.key NOT IN (SELECT send_id FROM pathline.sends_raw) AND r.channel != '')
    GROUP BY if(s.send_id != '', s.send_id, r.key), channel, campaign
)
GROUP BY channel, campaign, depth
"""
