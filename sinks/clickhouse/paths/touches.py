"""Touches: what counts as one step of a path.

A touch is a send with its receipts, counted once, when it reached a depth (the time is that of the first receipt that
shows it); a visit on a session channel, once, at its first event; any other event with a channel. A receipt whose send
is not known (another system sent it) stands for a send of its own: one for each send_id it names, else one for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.receipts import CLICKED, REACH_MS
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import receipts
from sinks.clickhouse.paths.filters import Filters, Parameters, on_events, on_sends

SESSION_GAP_MS = 30 * 60_000


@dataclass(frozen=True, slots=True)
class TouchRules:
    """`sessions` are the channels whose visits count; a visit ends after `gap` milliseconds without an event in its
    channel. `depth` is how far a send must have got: 0 sent, 1 delivered, 2 opened, 3 clicked."""

    sessions: frozenset[str] = frozenset()
    gap: int = SESSION_GAP_MS
    depth: int = CLICKED


@dataclass(frozen=True, slots=True)
class Source:
    """A subquery with the columns person_id, at (milliseconds), id (to break ties) and node, and its parameters."""

    sql: str
    parameters: Parameters


def by_channel(warehouse: Warehouse, filters: Filters, rules: TouchRules) -> Source:
    """Touches, each as the channel it was in."""
    events = on_events(warehouse, filters)
    parameters = events.parameters | {"sessions": sorted(rules.sessions), "gap": rules.gap, "depth": rules.depth}
    parts = [_OTHERS.format(events=events.sql), _VISITS.format(events=events.sql)]
    if rules.depth == 0:
        sends = on_sends(warehouse, filters)
        parameters |= sends.parameters
        parts += [_SENDS.format(sends=sends.sql), _RECEIPTS_OF_UNKNOWN.format(events=events.sql)]
    else:
        parts.append(_RECEIPTS.format(events=events.sql))
    return Source(f"({' UNION ALL '.join(parts)})", parameters)


def by_event(warehouse: Warehouse, filters: Filters) -> Source:
    """Every event, each as its name."""
    events = on_events(warehouse, filters)
    return Source(f"(SELECT {_KEY}, toString(name) AS node FROM pathline.events WHERE {events.sql})", events.parameters)


# ids order as their text does; UUIDs themselves would compare by their second half first
_KEY = "person_id, toUnixTimestamp64Milli(occurred_at) AS at, toUInt128(event_id) AS id"

_OTHERS = f"""
SELECT {_KEY}, toString(channel) AS node
FROM pathline.events
WHERE {{events}} AND channel != '' AND NOT has({{{{sessions:Array(String)}}}}, channel) AND NOT {receipts.IS_RECEIPT}
"""

_VISITS = f"""
SELECT person_id, start.1 AS at, start.2 AS id, node
FROM
(
    SELECT
        person_id, node, arraySort(groupArray((at, id))) AS hits,
        arrayFilter((hit, i) -> i = 1 OR hit.1 - hits[i - 1].1 >= {{{{gap:Int64}}}},
                    hits, arrayEnumerate(hits)) AS starts
    FROM
    (
        SELECT {_KEY}, toString(channel) AS node
        FROM pathline.events
        WHERE {{events}} AND has({{{{sessions:Array(String)}}}}, channel) AND NOT {receipts.IS_RECEIPT}
    )
    GROUP BY person_id, node
)
ARRAY JOIN starts AS start
"""

_READ_RECEIPTS = f"""
SELECT
    {_KEY}, ifNull(send_id, '') AS send_id, {receipts.CHANNEL} AS channel,
    {receipts.DEPTH} AS depth, {receipts.ADDRESSES} AS addresses
FROM (SELECT * EXCEPT (send_id, channel), send_id, toString(channel) AS channel FROM pathline.events WHERE {{events}})
WHERE {receipts.IS_RECEIPT}
"""

_SENT = """
SELECT send_id, person_id, toUnixTimestamp64Milli(at) AS at, toString(channel) AS channel, address
FROM pathline.sends
"""

# a receipt that names no send is about the person's newest one in its channel, unless that went to another address
_KEYED = f"""
SELECT
    r.person_id AS person_id, r.at AS at, r.id AS id, r.depth AS depth,
    multiIf(r.send_id != '', r.send_id,
            n.send != '' AND (empty(r.addresses) OR has(r.addresses, n.address)), n.send, '') AS send,
    if(send != '', send, concat('event ', toString(r.id))) AS key, r.channel AS channel
FROM ({_READ_RECEIPTS}) AS r
LEFT JOIN
(
    SELECT
        r.id AS id, argMax((s.send_id, s.address), (s.at, s.send_id)) AS newest,
        newest.1 AS send, newest.2 AS address
    FROM ({_READ_RECEIPTS}) AS r
    INNER JOIN ({_SENT}) AS s ON r.person_id = s.person_id
    WHERE r.send_id = '' AND {receipts.SAME_CHANNEL} AND s.at <= r.at AND r.at < s.at + {REACH_MS}
    GROUP BY r.id
) AS n ON r.id = n.id
"""

_RECEIPTS = f"""
SELECT
    first.1 AS person_id, first.2 AS at, first.3 AS id, if(s.channel != '', s.channel, first.4) AS node
FROM
(
    SELECT key, argMin((person_id, at, id, channel), (at, id)) AS first
    FROM ({_KEYED})
    WHERE depth >= {{{{depth:UInt8}}}}
    GROUP BY key
) AS k
LEFT JOIN ({_SENT}) AS s ON k.key = s.send_id
WHERE node != ''
"""

_SENDS = """
SELECT
    person_id, toUnixTimestamp64Milli(at) AS at, toUInt128(toUUIDOrZero(send_id)) AS id, toString(channel) AS node
FROM pathline.sends
WHERE {sends} AND send_id NOT IN
(
    SELECT send_id FROM pathline.ledger GROUP BY send_id
    HAVING argMax(state, offset) IN ('withheld', 'refused', 'failed')
)
"""

_RECEIPTS_OF_UNKNOWN = f"""
SELECT first.1 AS person_id, first.2 AS at, first.3 AS id, first.4 AS node
FROM
(
    SELECT key, argMin((person_id, at, id, channel), (at, id)) AS first
    FROM ({_KEYED})
    WHERE send NOT IN (SELECT send_id FROM pathline.sends)
    GROUP BY key
)
WHERE node != ''
"""
