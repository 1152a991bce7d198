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
from sinks.clickhouse.paths.cohorts import RANK
from sinks.clickhouse.paths.costs import UNSENT, Prices, spent
from sinks.clickhouse.paths.filters import Filters, on_events, on_sends
from sinks.clickhouse.paths.touches import NONE, PAIR, Nodes, Source, TouchRules, keyed, nodes

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
    """Amounts in the project's currency. `roas` is revenue by cost, None without costs."""

    channel: str
    campaign: str
    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0
    cost: float = 0.0
    revenue: float = 0.0

    @property
    def margin(self) -> float:
        return self.revenue - self.cost

    @property
    def roas(self) -> float | None:
        return self.revenue / self.cost if self.cost > 0 else None


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
    converted = orders.conversions(warehouse, question.orders, filters)
    for key, (count, revenue) in _converted(warehouse, question, converted, filters).items():
        row = of(*key)
        row.converted += count
        row.revenue += revenue
    cost = spent(warehouse, question.prices, filters)
    for key, amount in cost.amounts.items():
        of(*key).cost += amount
    rows = sorted(found.values(), key=lambda row: (row.channel == NONE, -row.revenue, row.channel, row.campaign))
    return Channels(rows, cost.unknown, orders.unknown(warehouse, converted))


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


def _converted(
    warehouse: Warehouse, question: Question, converted: Source, filters: Filters
) -> dict[Key, tuple[int, float]]:
    touched = nodes(
        warehouse, Nodes(PAIR if question.campaigns else "channel", question.rules), _before(filters, question)
    )
    rows = warehouse.rows(
        _LAST.format(touches=touched.sql, orders=converted.sql),
        touched.parameters | converted.parameters | {"lookback": question.lookback, "none": NONE},
    )
    found = {}
    for row in rows:
        channel, _, campaign = row["node"].partition("\n")
        found[channel, campaign] = (row["conversions"], row["revenue"])
    return found


def _before(filters: Filters, question: Question) -> Filters:
    """The touches that conversions of the time asked about can go to."""
    since = None if filters.since is None else filters.since - question.lookback
    return Filters(since, filters.until, filters.segment, filters.where)


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

# an order is before the touch that it is itself
_LAST = """
SELECT if(node != '' AND at - touched < {{lookback:Int64}}, node, {{none:String}}) AS node, count() AS conversions,
       sum(ifNull(revenue, 0)) AS revenue
FROM
(
    SELECT at, is_order, revenue, last_value(touch_at) IGNORE NULLS OVER path AS touched,
           ifNull(last_value(touch) IGNORE NULLS OVER path, '') AS node
    FROM
    (
        SELECT person_id, at, id, false AS is_order, at AS touch_at, node AS touch, NULL AS revenue FROM {touches}
        WHERE person_id IN (SELECT person_id FROM {orders})
        UNION ALL
        SELECT person_id, at, id, true, NULL, NULL, revenue FROM {orders}
    )
    WINDOW path AS (PARTITION BY person_id ORDER BY at, id, is_order DESC ROWS UNBOUNDED PRECEDING)
)
WHERE is_order
GROUP BY node
"""
