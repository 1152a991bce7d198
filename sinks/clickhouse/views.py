"""The views whose meaning the project decides: touches, sessions, conversions and sends with their receipts.

They are made of the SQL that `pathline paths` asks with, without its filters, so both mean the same. They are made anew
when a warehouse is opened for writing and when a project is published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog

from schemas.definitions import Invalid, parse
from schemas.definitions.defaults import SOURCES
from schemas.definitions.model import Project
from schemas.receipts import CLICKED, DELIVERED, OPENED
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import orders
from sinks.clickhouse.paths.costs import UNSENT
from sinks.clickhouse.paths.filters import Filters, quoted
from sinks.clickhouse.paths.receipts import IS_RECEIPT, LAST_WORD
from sinks.clickhouse.paths.sources import source_of
from sinks.clickhouse.paths.touches import ALL, Source, TouchRules, keyed, once, touches
from sinks.clickhouse.tables import arrow

log = structlog.get_logger("sink")


def define(warehouse: Warehouse) -> None:
    """Make the views as the project that was published last says; without one by the defaults."""
    project = published(warehouse)
    for name, sql in definitions(warehouse, project).items():
        warehouse.command(f"CREATE OR REPLACE VIEW pathline.{name} AS {sql}")


def adopt(warehouse: Warehouse, project: Project, at: int) -> None:
    """Make the views as this project says, from `at` on (milliseconds since 1970 UTC): for history, of which no line
    knows the project."""
    files = list(project.files.items())
    row = (at, project.version, "", files, f"load {project.version}", 0, 0)
    warehouse.insert("definitions", arrow("definitions", [row]), f"load-definitions-{project.version}-{at}")
    define(warehouse)


def rules_of(project: Project | None) -> TouchRules:
    """What is a touch by a project, with the usual silence between visits and the usual depth."""
    if project is None:
        return TouchRules(source=source_of(SOURCES))
    sessions = frozenset(channel.name for channel in project.channels.values() if channel.kind == "session")
    return TouchRules(sessions, source=source_of(project.sources))


def definitions(warehouse: Warehouse, project: Project | None) -> dict[str, str]:
    """SQL of each view by name."""
    rules = rules_of(project)
    touched = touches(warehouse, ALL, Filters(), rules)
    converted = orders.conversions(warehouse, orders.asked_of(project), Filters())
    return {
        "sends": _SENDS,
        "touches": _TOUCHES.format(touches=_literal(once(touched))),
        "sessions": _SESSIONS.format(visits=_literal(once(touched, "visit != ''"))),
        "conversions": _CONVERSIONS.format(conversions=_literal(converted)),
    }


def published(warehouse: Warehouse) -> Project | None:
    """The project that was published last, None when none was."""
    rows = warehouse.rows("SELECT version, files FROM pathline.definitions ORDER BY published_at DESC, offset DESC")
    for row in rows:
        try:
            return parse(row["files"])
        except Invalid as error:
            # an older warehouse meets a newer project: what was in force stays
            log.error("a published project can't be used here", version=row["version"], error=str(error))
    return None


def _literal(source: Source) -> str:
    """A subquery with its parameters written out: a view has none."""
    return re.sub(r"\{(\w+):([^{}]+)\}", lambda match: _value(source.parameters, *match.groups()), source.sql)


def _value(parameters: Mapping[str, Any], name: str, kind: str) -> str:
    value = parameters[name]
    text = f"[{', '.join(map(quoted, value))}]" if isinstance(value, list) else quoted(str(value))
    return f"CAST({text}, {quoted(kind)})"


_EVENT_ID = "toUUID(UUIDNumToString(reverse(reinterpretAsFixedString(id))))"
_AT = "fromUnixTimestamp64Milli(at, 'UTC')"

_TOUCHES = f"""
SELECT person_id, {_AT} AS at, node.1 AS channel, node.2 AS campaign, node.3 AS source, {_EVENT_ID} AS event_id
FROM {{touches}}
"""

_SESSIONS = f"""
SELECT
    v.person_id AS person_id, v.channel AS channel, v.campaign AS campaign, v.source AS source,
    min(e.occurred_at) AS started_at, max(e.occurred_at) AS ended_at, count() AS events,
    argMin(e.page_url, (e.occurred_at, toUInt128(e.event_id))) AS landing_page, v.event_id AS event_id
FROM (SELECT * FROM pathline.events WHERE NOT {IS_RECEIPT}) AS e
ASOF INNER JOIN
(
    SELECT person_id, {_AT} AS at, node.1 AS channel, node.2 AS campaign, node.3 AS source, {_EVENT_ID} AS event_id
    FROM {{visits}}
) AS v ON e.person_id = v.person_id AND e.channel = v.channel AND e.occurred_at >= v.at
GROUP BY person_id, channel, campaign, source, event_id
"""

_CONVERSIONS = f"""
SELECT person_id, {_AT} AS at, node AS name, revenue, amount, unknown AS currency_without_rate, {_EVENT_ID} AS event_id
FROM {{conversions}}
"""


def _first(what: str) -> str:
    return f"minIf(toNullable(at), {what})"


_SENDS = f"""
SELECT
    s.send_id AS send_id, s.* EXCEPT (send_id), d.state AS dispatch, if(d.state IN {UNSENT}, NULL, s.at) AS sent_at,
    {
    ", ".join(
        f"fromUnixTimestamp64Milli(r.{what}, 'UTC') AS {what}_at"
        for what in ("delivered", "opened", "clicked", "replied", "bounced", "unsubscribed", "complained")
    )
},
    multiIf(sent_at IS NULL, d.state, replied_at IS NOT NULL, 'replied', clicked_at IS NOT NULL, 'clicked',
            opened_at IS NOT NULL, 'opened', bounced_at IS NOT NULL, 'bounced', delivered_at IS NOT NULL, 'delivered',
            'sent') AS state
FROM pathline.sends_placed AS s
LEFT JOIN
(
    SELECT
        send, {_first(f"depth >= {DELIVERED}")} AS delivered, {_first(f"depth >= {OPENED}")} AS opened,
        {_first(f"depth >= {CLICKED}")} AS clicked, {_first(f"node = 'Replied' AND depth >= {CLICKED}")} AS replied,
        {_first("node IN ('Bounced', 'Rejected', 'Failed', 'Dropped')")} AS bounced,
        {_first("node = 'Unsubscribed'")} AS unsubscribed, {_first("node = 'Spam'")} AS complained
    FROM ({keyed("1", LAST_WORD)})
    WHERE send != ''
    GROUP BY send
) AS r ON s.send_id = r.send
LEFT JOIN
(
    SELECT send_id, toString(argMax(state, offset)) AS state FROM pathline.ledger GROUP BY send_id
) AS d ON s.send_id = d.send_id
SETTINGS join_use_nulls = 0
"""
