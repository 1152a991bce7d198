"""What paths are made of: touches, or events, each as a node.

A touch is a send with its receipts, counted once, when it reached a depth (the time is that of the first receipt that
shows it); a visit on a session channel, once, at its first event; any other event with a channel. A receipt whose send
is not known (another system sent it) stands for a send of its own: one for each send_id it names, else one for itself.

The campaign of a touch is the journey of a send, else what its event names. The source of a message is its channel,
that of another touch what `sources.yaml` says; where that says nothing, `direct` for visits and what happened on a page
or screen, else the channel.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from schemas.receipts import CLICKED, REACH_MS
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import receipts
from sinks.clickhouse.paths.filters import BadQuestion, Filters, Parameters, on_events, on_sends, quoted

SESSION_GAP_MS = 30 * 60_000
START, END, OTHER, NONE, DIRECT = "(start)", "(end)", "(other)", "(none)", "direct"
BY = "channel, campaign, source, event or property:NAME"


@dataclass(frozen=True, slots=True)
class TouchRules:
    """`sessions` are the channels whose visits count; a visit ends after `gap` milliseconds without an event in its
    channel. `depth` is how far a send must have got: 0 sent, 1 delivered, 2 opened, 3 clicked. `source` is SQL that
    names the source of a row of `events`."""

    sessions: frozenset[str] = frozenset()
    gap: int = SESSION_GAP_MS
    depth: int = CLICKED
    source: str = f"'{DIRECT}'"


@dataclass(frozen=True, slots=True)
class Nodes:
    """What the nodes of paths are: `by` channel, campaign or source (touches), event or property:NAME (events).

    `clean` are patterns (RE2) and what stands for a match, applied in order; `exclude` are nodes left out, by their
    clean names.
    """

    by: str = "channel"
    rules: TouchRules = TouchRules()
    clean: tuple[tuple[str, str], ...] = ()
    exclude: frozenset[str] = frozenset()

    def named(self, texts: pa.Array) -> pa.Array:
        """What stands for nodes, null for those left out. Raises BadQuestion."""
        for pattern, alias in self.clean:
            try:
                texts = pc.replace_substring_regex(texts, pattern, alias)
            except pa.ArrowInvalid as error:
                raise BadQuestion(f"--clean {pattern}=>{alias}: {error}") from error
        left_out = pc.is_in(texts, pa.array(["", *self.exclude], texts.type))
        return pc.if_else(left_out, pa.scalar(None, texts.type), texts)


@dataclass(frozen=True, slots=True)
class Source:
    """A subquery with the columns person_id, at (milliseconds), id (to break ties) and others, and its parameters.

    With a `gap` (milliseconds) rows with a `visit`, the name of its channel, are no nodes but for the first of a visit,
    which ends after that silence.
    """

    sql: str
    parameters: Parameters
    gap: int | None = None


def nodes(warehouse: Warehouse, asked: Nodes, filters: Filters, direct: bool = False) -> Source:
    """Everyone's nodes (column node), by names that `asked` still has to clean; `direct`: with the column direct, which
    says whether the source of the touch is. Raises BadQuestion."""
    if asked.by in _NODE:
        return touches(warehouse, asked.by, filters, asked.rules, direct)
    if asked.by == "event":
        return _events(warehouse, "name", filters)
    if asked.by.startswith("property:") and asked.by != "property:":
        return _events(warehouse, property_of(asked.by.removeprefix("property:")), filters, "node != ''")
    raise BadQuestion(f"--by is {BY}, not {asked.by}")


def node_names(warehouse: Warehouse, asked: Nodes) -> list[str]:
    """The clean names of all nodes there ever were, also of those left out. Raises BadQuestion."""
    source = nodes(warehouse, asked, Filters())
    found = warehouse.arrow(f"SELECT DISTINCT toString(node) AS node FROM {source.sql}", source.parameters)
    texts = found.column("node").combine_chunks().cast(pa.string())
    return [name for name in replace(asked, exclude=frozenset()).named(texts).to_pylist() if name is not None]


def property_of(name: str) -> str:
    """SQL for a property of an event as text, empty where it is missing; in `a.b` b is inside a."""
    path = ", ".join(quoted(part) for part in name.split("."))
    raw = f"JSONExtractRaw(properties, {path})"
    return f"multiIf(startsWith({raw}, '\"'), JSONExtractString(properties, {path}), {raw} = 'null', '', {raw})"


def of_event(by: str, rules: TouchRules) -> str:
    """SQL of a node for any row of `events`, never empty. Raises BadQuestion."""
    if by in _NODE:
        node = _NODE[by].event.replace("<source>", rules.source)
    elif by.startswith("property:") and by != "property:":
        node = property_of(by.removeprefix("property:"))
    else:
        raise BadQuestion(f"--by is channel, campaign, source or property:NAME, not {by}")
    return f"if(({node}) = '', '{NONE}', {node})"


# ids order as their text does; UUIDs themselves would compare by their second half first
KEY = "person_id, toUnixTimestamp64Milli(occurred_at) AS at, toUInt128(event_id) AS id"
#: `at` and then `id` as one number, since the engine compares tuples many times slower
RANK = "bitOr(bitShiftLeft(toUInt256(at + 4611686018427387904), 128), toUInt256(id))"

_CAMPAIGN = f"if(campaign = '', '{NONE}', campaign)"
_ON_PAGE = "(type IN ('page', 'screen') OR JSONHas(context, 'page'))"


@dataclass(frozen=True, slots=True)
class _Node:
    """SQL of a node for a visit or another event, for a receipt and for a send `s`."""

    visit: str
    event: str
    receipt: str
    send: str


_NODE = {
    "channel": _Node("channel", "channel", receipts.CHANNEL, "s.channel"),
    "campaign": _Node(_CAMPAIGN, _CAMPAIGN, _CAMPAIGN, "toString(s.journey)"),
    "source": _Node(
        "<source>",
        f"if((<source>) = '{DIRECT}' AND NOT {_ON_PAGE}, toString(channel), <source>)",
        receipts.CHANNEL,
        "toString(s.channel)",
    ),
}
#: nodes of a channel and a campaign at once, with a line break between
PAIR = "channel and campaign"
#: nodes of channel, campaign and source at once, as a tuple
ALL = "channel, campaign and source"
_NODE[PAIR] = _Node(
    *(
        f"concat({one}, '\\n', {other})"
        for one, other in zip(astuple(_NODE["channel"]), astuple(_NODE["campaign"]), strict=True)
    )
)
_NODE[ALL] = _Node(
    *(
        f"({', '.join(f'toString({sql})' for sql in of)})"
        for of in zip(*(astuple(_NODE[name]) for name in ("channel", "campaign", "source")), strict=True)
    )
)


def _events(warehouse: Warehouse, node: str, filters: Filters, where: str = "1") -> Source:
    events = on_events(warehouse, filters)
    return Source(
        f"(SELECT {KEY}, {node} AS node, false AS direct FROM pathline.events WHERE {events.sql} AND {where})",
        events.parameters,
    )


def touches(warehouse: Warehouse, by: str, filters: Filters, rules: TouchRules, direct: bool = False) -> Source:
    """Everyone's touches, each a node of a kind in `_NODE`. Raises BadQuestion."""
    events = on_events(warehouse, filters)
    parameters = events.parameters | {"sessions": sorted(rules.sessions), "depth": rules.depth}
    parts = [_events_on_channels(events.sql, by, rules, direct)]
    if rules.depth == 0:
        sends = on_sends(warehouse, filters)
        parameters |= sends.parameters
        parts += [_sends(sends.sql, by), _receipts_of_unknown(events.sql, by)]
    else:
        parts.append(_receipts(events.sql, by))
    return Source(f"({' UNION ALL '.join(parts)})", parameters, rules.gap)


def once(source: Source, where: str = "1") -> Source:
    """The same in SQL alone: rows for which `where` holds, of each visit the first."""
    sql = f"""
(
    SELECT * FROM
    (
        SELECT *, lagInFrame(toNullable(at)) OVER path AS before FROM {source.sql} WHERE {where}
        WINDOW path AS (PARTITION BY person_id, visit ORDER BY at, id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    )
    WHERE visit = '' OR before IS NULL OR at - before >= {{gap:Int64}}
)
"""
    return replace(source, sql=sql, parameters=source.parameters | {"gap": source.gap}, gap=None)


def _events_on_channels(events: str, by: str, rules: TouchRules, direct: bool) -> str:
    """Visits and other events with a channel, without receipts."""
    is_visit = "has({sessions:Array(String)}, channel)"

    def of(by: str) -> str:
        visit, event = (sql.replace("<source>", rules.source) for sql in (_NODE[by].visit, _NODE[by].event))
        return visit if visit == event else f"if({is_visit}, {visit}, {event})"

    direct_is = f"({of('source')}) = '{DIRECT}'" if direct else "false"
    return f"""
SELECT {KEY}, {_few(by, of(by))} AS node, {direct_is} AS direct, toLowCardinality(if({is_visit}, channel, '')) AS visit
FROM pathline.events
WHERE {events} AND channel != '' AND NOT {receipts.IS_RECEIPT}
"""


def _few(by: str, node: str) -> str:
    """A node as one of few texts, which travel as numbers then."""
    return node if by == ALL else f"toLowCardinality({node})"


_SENT = """
SELECT send_id, person_id, toUnixTimestamp64Milli(at) AS at, toString(channel) AS channel, address, journey
FROM pathline.sends_placed
"""


def keyed(events: str, node: str) -> str:
    """Receipts with the send they are about; one that names none is about the person's newest in its channel, unless
    that went to another address."""
    read = f"""
SELECT
    {KEY}, ifNull(send_id, '') AS send_id, {receipts.CHANNEL} AS channel, {node} AS node,
    {receipts.DEPTH} AS depth, {receipts.ADDRESSES} AS addresses
FROM (SELECT * EXCEPT (send_id, channel), send_id, toString(channel) AS channel FROM pathline.events WHERE {events})
WHERE {receipts.IS_RECEIPT}
"""
    return f"""
SELECT
    r.person_id AS person_id, r.at AS at, r.id AS id, r.depth AS depth,
    multiIf(r.send_id != '', r.send_id,
            n.send != '' AND (empty(r.addresses) OR has(r.addresses, lowerUTF8(n.address))), n.send, '') AS send,
    if(send != '', send, concat('event ', toString(r.id))) AS key, r.channel AS channel, r.node AS node
FROM ({read}) AS r
LEFT JOIN
(
    SELECT
        r.id AS id, argMax((s.send_id, s.address), (s.at, s.send_id)) AS newest,
        newest.1 AS send, newest.2 AS address
    FROM ({read}) AS r
    INNER JOIN ({_SENT}) AS s ON r.person_id = s.person_id
    WHERE r.send_id = '' AND {receipts.SAME_CHANNEL} AND s.at <= r.at AND r.at < s.at + {REACH_MS}
    GROUP BY r.id
) AS n ON r.id = n.id
"""


def _receipts(events: str, by: str) -> str:
    node = f"if(s.channel != '', {_NODE[by].send}, first.5)"
    return f"""
SELECT
    first.1 AS person_id, first.2 AS at, first.3 AS id, {_few(by, node)} AS node, false AS direct,
    toLowCardinality('') AS visit
FROM
(
    SELECT key, argMin((person_id, at, id, channel, node), {RANK}) AS first
    FROM ({keyed(events, _NODE[by].receipt)})
    WHERE depth >= {{depth:UInt8}}
    GROUP BY key
) AS k
LEFT JOIN ({_SENT}) AS s ON k.key = s.send_id
WHERE s.channel != '' OR first.4 != ''
"""


def _sends(sends: str, by: str) -> str:
    return f"""
SELECT
    person_id, toUnixTimestamp64Milli(s.at) AS at, toUInt128(toUUIDOrZero(send_id)) AS id,
    {_few(by, _NODE[by].send)} AS node, false AS direct, toLowCardinality('') AS visit
FROM (SELECT * FROM pathline.sends_placed WHERE {sends}) AS s
WHERE send_id NOT IN
(
    SELECT send_id FROM pathline.ledger GROUP BY send_id
    HAVING argMax(state, offset) IN ('withheld', 'refused', 'failed')
)
"""


def _receipts_of_unknown(events: str, by: str) -> str:
    return f"""
SELECT first.1 AS person_id, first.2 AS at, first.3 AS id, {_few(by, "first.5")} AS node, false AS direct,
       toLowCardinality('') AS visit
FROM
(
    SELECT key, argMin((person_id, at, id, channel, node), {RANK}) AS first
    FROM ({keyed(events, _NODE[by].receipt)})
    WHERE send NOT IN (SELECT send_id FROM pathline.sends_placed)
    GROUP BY key
)
WHERE first.4 != ''
"""
