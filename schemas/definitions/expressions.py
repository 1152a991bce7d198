"""Conditions on properties: CEL expressions that are checked once and evaluated often.

All numbers reach CEL as doubles, and integer literals in arithmetic and comparisons are compiled as doubles, so that
`event.properties.price * 2` holds for 12 and for 12.5 alike. An index, an operand of `%` and arithmetic with `size()`
or `int()` stay integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
import structlog

from schemas.codec import BadRecord
from schemas.definitions import cel_engine
from schemas.definitions.cel_render import render
from schemas.definitions.cel_syntax import (
    Binary,
    Call,
    Choose,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    Select,
    Unary,
    parse,
)
from schemas.records import Event

#: Functions of the engine; macros bind the name in their first argument.
MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
FUNCTIONS = MACROS | {
    *("has", "size", "contains", "startsWith", "endsWith", "matches"),
    *("int", "uint", "double", "string", "bytes", "timestamp", "duration", "type", "dyn"),
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
}
#: Type names that stand alone, as in `type(x) == string`.
_TYPES = frozenset({"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_failures: Counter[str] = Counter()
_log = structlog.get_logger(__name__)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled condition; two of the same source are equal. `roots` are the top-level names it uses."""

    source: str
    roots: frozenset[str] = field(compare=False, repr=False)
    paths: frozenset[Path] = field(compare=False, repr=False)
    tree: Node = field(compare=False, repr=False)
    program: Any = field(compare=False, repr=False)

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Whether the expression is true of these names (plain JSON values; `now` in milliseconds becomes a timestamp).

        An expression that fails is False as a whole. A missing property is an ordinary failure; any other is counted
        in `failures()`.
        """
        try:
            result = self.program.execute(narrowed(names, self.paths))
        except (KeyError, IndexError):
            return False
        except Exception as error:
            _count(self.source, error)
            return False
        if not isinstance(result, bool):
            _count(self.source, TypeError(f"gives {type(result).__name__}, not true or false"))
            return False
        return result


def compile(source: str) -> Expression:
    """The expression of a CEL source. Raises ValueError with a readable message."""
    if not isinstance(source, str) or not source.strip():
        raise ValueError("an expression is expected, for example event.properties.price > 10")
    return _compile(source.strip())


@lru_cache(maxsize=4_096)
def _compile(source: str) -> Expression:
    tree = parse(source)
    _check_calls(tree)
    if isinstance(tree, ListOf | MapOf | Literal) and not (isinstance(tree, Literal) and tree.kind == "bool"):
        raise ValueError(f"{source!r} is a value, not a condition that is true or false")
    if (isinstance(tree, Binary) and tree.operator in "+-*/%") or (isinstance(tree, Unary) and tree.operator == "-"):
        raise ValueError(f"{source!r} gives a value, not true or false; compare it, for example with > 0")
    try:
        program = cel_engine.program(render(tree))
    except ValueError as error:
        lines = str(error).split("ERROR: ")
        message = lines[1].splitlines()[0].split(": ", 1)[-1] if len(lines) > 1 else lines[0]
        raise ValueError(f"{message} (in {source!r})") from error
    paths = _shortest(frozenset(_paths(tree, frozenset())))
    return Expression(source, frozenset(path[0] for path in paths), paths, tree, program)


def failures() -> Mapping[str, int]:
    """How often each source failed in this process for another reason than a missing property."""
    return dict(_failures)


def document(event: Event) -> dict[str, Any]:
    """The value of `event` and `entry` in CEL and Liquid. Raises BadRecord when a part of the event is not JSON."""
    return {
        "type": event.type,
        "name": event.name,
        "channel": event.channel,
        "source": event.source,
        "message_id": event.message_id,
        "event_id": event.event_id,
        "send_id": event.send_id,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "timestamp": iso(event.occurred_at),
        "properties": _json(event, event.properties),
        "traits": _json(event, event.traits),
        "context": _json(event, event.context),
    }


def lookup(document: Mapping[str, Any], path: str) -> Any | None:
    """The value at a dotted path such as `properties.cart_id` (a leading `event.` or `entry.` is allowed), else None.

    A number as a part indexes a list.
    """
    parts = path.split(".")
    if len(parts) > 1 and parts[0] in ("event", "entry"):
        parts = parts[1:]
    value: Any = document
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def iso(milliseconds: int) -> str:
    """UTC in ISO 8601 with milliseconds, for example `2024-05-01T12:00:00.000Z`."""
    at = _EPOCH + timedelta(milliseconds=milliseconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(event: Event, data: bytes) -> Any:
    # numbers beyond 64 bits become floats: what was read can be written again
    try:
        return orjson.loads(data) if data else {}
    except orjson.JSONDecodeError as error:
        raise BadRecord(f"event {event.event_id} holds text that is not JSON: {error}") from error


def _count(source: str, error: Exception) -> None:
    _failures[source] += 1
    if _failures[source] == 1:
        _log.warning("expression failed", expression=source, error=str(error).split(". ")[0])


def _check_calls(node: Node) -> None:
    for child in _walk(node):
        if isinstance(child, Call) and child.function not in FUNCTIONS:
            raise ValueError(f"unknown function {child.function}(); there are {', '.join(sorted(FUNCTIONS))}")
        if isinstance(child, Call) and child.function in MACROS and not _is_macro(child):
            raise ValueError(f"{child.function}() takes a name and a condition: list.{child.function}(x, x > 1)")


def _is_macro(call: Call) -> bool:
    return call.target is not None and len(call.arguments) >= 2 and isinstance(call.arguments[0], Name)


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case Select(of, _) | Unary(_, of):
            return (of,)
        case Index(of, key):
            return of, key
        case Call(_, target, arguments):
            return arguments if target is None else (target, *arguments)
        case ListOf(items):
            return items
        case MapOf(entries):
            return tuple(part for entry in entries for part in entry)
        case Binary(_, left, right):
            return left, right
        case Choose(condition, then, otherwise):
            return condition, then, otherwise
        case _:
            return ()


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node):
        yield from _walk(child)


def _paths(node: Node, bound: frozenset[str]) -> Iterator[Path]:
    """Paths from free names that the expression reads: as long as they are plain selections."""
    chain: list[str] = []
    inner = node
    while isinstance(inner, Select):
        chain.append(inner.field)
        inner = inner.of
    if isinstance(inner, Name):
        if inner.name not in bound and (chain or inner.name not in _TYPES):
            yield (inner.name, *reversed(chain))
        return
    if isinstance(node, Call) and node.function in MACROS and node.target is not None:
        yield from _paths(node.target, bound)
        inside = bound | {node.arguments[0].name} if isinstance(node.arguments[0], Name) else bound
        for argument in node.arguments[1:]:
            yield from _paths(argument, inside)
        return
    for child in _children(inner if chain else node):
        yield from _paths(child, bound)


def _shortest(paths: frozenset[Path]) -> frozenset[Path]:
    """Without those that lie within another: `event.properties` covers `event.properties.price`."""
    return frozenset(p for p in paths if not any(p[:n] in paths for n in range(1, len(p))))


def narrowed(names: Mapping[str, Any], paths: frozenset[Path]) -> dict[str, Any]:
    """Only what the expression reads, numbers as doubles: the engine copies all it is given, and a large event would
    cost far more than its evaluation. A name that has no value (yet) is empty: reading from it is a missing property.
    """
    result: dict[str, Any] = {}
    for path in paths:
        value: Any = names.get(path[0])
        if len(path) == 1:
            result[path[0]] = _value(path[0], value)
            continue
        into = result.setdefault(path[0], {})
        for part in path[1:-1]:
            value = value.get(part) if isinstance(value, Mapping) else None
            into = into.setdefault(part, {})
        if isinstance(value, Mapping) and path[-1] in value:
            into[path[-1]] = _doubles(value[path[-1]])
    return result


def _value(name: str, value: Any) -> Any:
    if name == "now" and isinstance(value, int | float):
        return _EPOCH + timedelta(milliseconds=value)
    return {} if value is None else _doubles(value)


def _doubles(value: Any) -> Any:
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _doubles(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_doubles(item) for item in value]
    return value
