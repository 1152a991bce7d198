"""What all analyses share: which events count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from schemas.definitions.expressions import Expression, iso
from sinks.clickhouse.engine import Warehouse

Parameters = dict[str, Any]
#: fields of `event` in an expression and the columns they are made of
_COLUMNS = {
    "type": "type",
    "name": "name",
    "channel": "channel",
    "source": "source",
    "message_id": "message_id",
    "event_id": "toString(event_id)",
    "send_id": "send_id",
    "occurred_at": "toUnixTimestamp64Milli(occurred_at)",
    "received_at": "toUnixTimestamp64Milli(received_at)",
    "timestamp": "toUnixTimestamp64Milli(occurred_at)",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
}
_JSON = frozenset({"properties", "traits", "context"})


class BadQuestion(ValueError):
    """The question can't be answered as it was put; the message says why."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Events with `since <= occurred_at < until` (milliseconds since 1970 UTC) of the people who are in a segment now,
    for which an expression over `event` holds. Without any of them all history counts."""

    since: int | None = None
    until: int | None = None
    segment: str = ""
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a WHERE clause with its parameters."""

    sql: str
    parameters: Parameters


def on_events(warehouse: Warehouse, filters: Filters) -> Condition:
    """The filters as a condition on the rows of `pathline.events`. Raises BadQuestion.

    An expression is evaluated here, by the same functions as in the line, and its answer is sent as event ids: what
    CEL means by types, missing values and errors is not what SQL means by them.
    """
    condition = _on(filters, "occurred_at")
    if filters.where is None:
        return condition
    rows = _documents(warehouse, filters.where, condition)
    ids = [event_id for event_id, event in rows if filters.where.holds({"event": event})]
    return Condition(
        f"{condition.sql} AND event_id IN {{passing:Array(UUID)}}", condition.parameters | {"passing": ids}
    )


def on_sends(warehouse: Warehouse, filters: Filters) -> Condition:
    """The filters as a condition on the rows of `pathline.sends`.

    For an expression a send is an event of type `send` without a name, whose properties say what sent it.
    """
    condition = _on(filters, "at")
    if filters.where is None:
        return condition
    rows = warehouse.rows(
        "SELECT send_id, toUnixTimestamp64Milli(at) AS sent_at, channel, journey, step, template, category, purpose"
        f" FROM pathline.sends WHERE {condition.sql}",
        condition.parameters,
    )
    ids = [row["send_id"] for row in rows if filters.where.holds({"event": _send_document(row)})]
    return Condition(
        f"{condition.sql} AND send_id IN {{passing_sends:Array(String)}}", condition.parameters | {"passing_sends": ids}
    )


def _on(filters: Filters, at: str) -> Condition:
    parts, parameters = ["1"], Parameters()
    if filters.since is not None:
        parts.append(f"{at} >= fromUnixTimestamp64Milli({{since:Int64}})")
        parameters["since"] = filters.since
    if filters.until is not None:
        parts.append(f"{at} < fromUnixTimestamp64Milli({{until:Int64}})")
        parameters["until"] = filters.until
    if filters.segment:
        parts.append("person_id IN (SELECT person_id FROM pathline.members WHERE segment = {segment:String})")
        parameters["segment"] = filters.segment
    return Condition(" AND ".join(parts), parameters)


def _documents(
    warehouse: Warehouse, expression: Expression, condition: Condition
) -> Iterator[tuple[UUID, dict[str, Any]]]:
    """(event id, the parts of `event` that the expression reads)."""
    if other := expression.roots - {"event"}:
        raise BadQuestion(f"--where is about event, not about {', '.join(sorted(other))}: {expression.source}")
    names = {path[1] for path in expression.paths if len(path) > 1}
    if any(len(path) == 1 for path in expression.paths):
        names = set(_COLUMNS)
    columns = {name: _COLUMNS[name] for name in sorted(names) if name in _COLUMNS}
    selected = "".join(f", {sql} AS {name}_" for name, sql in columns.items())
    table = warehouse.arrow(
        f"SELECT toString(event_id) AS id{selected} FROM pathline.events WHERE {condition.sql}", condition.parameters
    )
    for batch in table.to_batches(max_chunksize=50_000):
        for row in batch.to_pylist():
            event = {name: _value(name, row[f"{name}_"]) for name in columns}
            yield UUID(row["id"]), event


def _value(name: str, value: Any) -> Any:
    if name in _JSON:
        return orjson.loads(value) if value else {}
    return iso(value) if name == "timestamp" else value


def _send_document(row: dict[str, Any]) -> dict[str, Any]:
    about = {name: row[name] for name in ("journey", "step", "template", "category", "purpose")}
    at = row["sent_at"]
    return {
        "type": "send",
        "name": "",
        "channel": row["channel"],
        "send_id": row["send_id"],
        "occurred_at": at,
        "received_at": at,
        "timestamp": iso(at),
        "properties": about,
        "traits": {},
        "context": {},
    }
