"""What all analyses share: which events count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.definitions.expressions import Expression, iso
from sinks.clickhouse.engine import Warehouse

Parameters = dict[str, Any]
#: fields of `event` in an expression and the columns they are made of
_EVENT = {
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
#: the same for a send: an event of type `send` without a name, whose properties say what sent it
_SENDER = ("journey", "step", "template", "category", "purpose")
_ABOUT_SEND = ", ".join(f"'{name}', toString({name})" for name in _SENDER)
_SEND = {
    "type": "'send'",
    "name": "''",
    "channel": "channel",
    "send_id": "send_id",
    "occurred_at": "toUnixTimestamp64Milli(at)",
    "received_at": "toUnixTimestamp64Milli(at)",
    "timestamp": "toUnixTimestamp64Milli(at)",
    "properties": f"toJSONString(map({_ABOUT_SEND}))",
    "traits": "'{}'",
    "context": "'{}'",
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
    """The filters as a condition on the rows of `pathline.events`. Raises BadQuestion."""
    condition = _on(filters, "occurred_at")
    if filters.where is None:
        return condition
    return _holding(warehouse, filters.where, "events", _EVENT, condition)


def on_sends(warehouse: Warehouse, filters: Filters) -> Condition:
    """The filters as a condition on the rows of `pathline.sends_placed`. Raises BadQuestion."""
    condition = _on(filters, "at")
    if filters.where is None:
        return condition
    return _holding(warehouse, filters.where, "sends_placed", _SEND, condition)


def segments(warehouse: Warehouse) -> list[str]:
    """The segments that somebody was ever in."""
    rows = warehouse.rows(
        "SELECT DISTINCT toString(segment) AS name FROM pathline.memberships WHERE NOT startsWith(segment, '~')"
        " ORDER BY name"
    )
    return [row["name"] for row in rows]


def event_names(warehouse: Warehouse) -> list[str]:
    """The names of all events that ever happened."""
    rows = warehouse.rows("SELECT DISTINCT toString(name) AS name FROM pathline.events WHERE name != ''")
    return [row["name"] for row in rows]


def apart(condition: Condition, name: str) -> Condition:
    """The same with other names of parameters, so that it can stand beside a condition of another time."""
    sql = condition.sql
    for parameter in condition.parameters:
        sql = sql.replace(f"{{{parameter}:", f"{{{name}_{parameter}:")
    return Condition(sql, {f"{name}_{parameter}": value for parameter, value in condition.parameters.items()})


def quoted(text: str) -> str:
    """A literal in SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


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


def _holding(
    warehouse: Warehouse, expression: Expression, table: str, columns: Mapping[str, str], condition: Condition
) -> Condition:
    """Rows for which an expression holds besides.

    It is evaluated here, by the same functions as in the line: what CEL means by types, missing values and errors is
    not what SQL means by them. Rows that agree in all it reads are evaluated once, and told apart by a hash of that.
    """
    if other := expression.roots - {"event"}:
        raise BadQuestion(f"--where is about event, not about {', '.join(sorted(other))}: {expression.source}")
    read = _read(expression, columns)
    values = ", ".join(f"{sql} AS v{number}" for number, sql in enumerate(read.values()))
    # a hash of NULL is NULL
    hashed = ("ifNull(send_id, '')" if sql == "send_id" else sql for sql in read.values())
    digest = f"hex(sipHash128({', '.join(['0', *hashed])}))"
    found = warehouse.arrow(
        f"SELECT {digest} AS digest{f', {values}' if values else ''} FROM pathline.{table} WHERE {condition.sql}"
        " GROUP BY ALL",
        condition.parameters,
    )
    passing: list[str] = []
    failing: list[str] = []
    for batch in found.to_batches(max_chunksize=50_000):
        for row in batch.to_pylist():
            told, *parts = row.values()
            event = _document(dict(zip(read, parts, strict=True)))
            (passing if expression.holds({"event": event}) else failing).append(told)
    few, negated = (failing, "NOT ") if len(failing) < len(passing) else (passing, "")
    return Condition(
        f"{condition.sql} AND {digest} {negated}IN {{few_{table}:Array(String)}}",
        condition.parameters | {f"few_{table}": few},
    )


def _read(expression: Expression, columns: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """What the expression reads of `event`, as SQL by path."""
    paths = {path[1:] for path in expression.paths}
    if () in paths:
        paths = {(name,) for name in columns}
    read = {}
    for path in sorted(paths):
        name, *inside = path
        if name in _JSON and inside:
            read[path] = f"JSONExtractRaw({columns[name]}, {', '.join(map(quoted, inside))})"
        elif name in columns:
            read[path] = columns[name]
    return read


def _document(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The parts of `event` that were read."""
    event: dict[str, Any] = {}
    for (name, *inside), value in values.items():
        if name not in _JSON:
            event[name] = iso(value) if name == "timestamp" else value
            continue
        into = event
        for part in (name, *inside)[:-1]:
            into = into.setdefault(part, {})
        if value:
            into[(name, *inside)[-1]] = orjson.loads(value)
    return event
