"""Everything the warehouse has about one person, row by row: for whoever has a right to a copy."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from schemas.definitions.expressions import iso
from schemas.reasons import GOAL
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.touches import Nodes, TouchRules, nodes, once

Row = dict[str, Any]
_JSON = ("properties", "traits", "context", "profile")
_OWN = "person_at IN {ids:Array(UUID)} AND person_id = {id:UUID}"


def rows_of(warehouse: Warehouse, person: UUID, ids: list[UUID], rules: TouchRules) -> dict[str, list[Row]]:
    """Events, memberships, decisions, sends with their receipts, touches and conversions of a person, and who read its
    profile; `ids` are all ids it had. Times are UTC in ISO 8601."""
    parameters = {"id": person, "ids": ids}

    def rows(sql: str, **more: Any) -> list[Row]:
        return [_plain(row) for row in warehouse.rows(sql, parameters | more)]

    events = rows(f"SELECT * FROM pathline.events WHERE {_OWN} ORDER BY occurred_at, toUInt128(event_id)")
    sends = rows("SELECT * FROM pathline.sends_placed WHERE person_id = {id:UUID} ORDER BY at, send_id")
    states = rows(
        "SELECT * FROM pathline.ledger WHERE send_id IN {sends:Array(String)} ORDER BY at, offset",
        sends=[send["send_id"] for send in sends],
    )
    for send in sends:
        send["states"] = [state for state in states if state["send_id"] == send["send_id"]]
        send["receipts"] = [event for event in events if event["send_id"] == send["send_id"]]
    decisions = rows("SELECT * FROM pathline.decisions WHERE person_id IN {ids:Array(UUID)} ORDER BY at, offset")
    source = once(nodes(warehouse, Nodes(rules=rules), Filters()))
    touches = warehouse.rows(
        f"SELECT at, node AS channel FROM {source.sql} WHERE person_id = {{id:UUID}} ORDER BY at, id",
        source.parameters | {"id": person},
    )
    return {
        "events": events,
        "memberships": _intervals(
            rows(
                "SELECT at, segment, change, cause, reason FROM pathline.memberships"
                " WHERE person_id IN {ids:Array(UUID)} ORDER BY at, offset, ordinal"
            )
        ),
        "decisions": decisions,
        "sends": sends,
        "touches": [{"at": iso(int(row["at"])), "channel": row["channel"]} for row in touches],
        "conversions": [event for event in events if event["revenue"] is not None],
        "accesses": rows(
            "SELECT at, key_name, actor, asked_by, outcome, fields FROM pathline.accesses"
            " WHERE person_id = {id:UUID} ORDER BY at, access_id"
        ),
        "goals": [decision for decision in decisions if decision["reason"] == GOAL],
    }


def _intervals(changes: list[Row]) -> list[Row]:
    """Entered and left as intervals; one that is not over has no `left`."""
    found: list[Row] = []
    inside: dict[str, Row] = {}
    for change in changes:
        segment = change["segment"]
        if change["change"] == "entered":
            inside[segment] = {"segment": segment, "entered": change["at"], "why": change["reason"], "left": None}
            found.append(inside[segment])
        elif segment in inside:
            inside.pop(segment)["left"] = change["at"]
    return found


def _plain(row: Row) -> Row:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(round(value.timestamp() * 1000))
    if isinstance(value, UUID):
        return str(value)
    return orjson.loads(value) if name in _JSON and value else value
