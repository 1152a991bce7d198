"""From the tree of an expression to SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from schemas.definitions.expressions import MACROS, Expression, Path
from sinks.clickhouse.cel.calls import called
from sinks.clickhouse.cel.operators import binary, chosen, equal, negative
from sinks.clickhouse.cel.patterns import re2
from sinks.clickhouse.cel.values import (
    FAILED,
    Inexpressible,
    Value,
    indexed,
    json_of,
    listed,
    member,
    truth,
    typed,
    unless_failed,
)
from sinks.clickhouse.paths.filters import quoted

Scope = Mapping[str, Value]

#: parts of `event` that are JSON
JSON = frozenset({"properties", "traits", "context"})
#: parts of `event` by name
FIELDS: Mapping[str, Value] = {
    **{name: Value("text", f"toString({name})") for name in ("type", "name", "channel", "source", "event_id")},
    **{name: Value("any", name) for name in sorted(JSON)},
    "message_id": Value("text", "message_id"),
    "send_id": Value("any", "if(send_id IS NULL, 'null', text_json(send_id))"),
    "occurred_at": Value("double", "toFloat64(toUnixTimestamp64Milli(occurred_at))"),
    "received_at": Value("double", "toFloat64(toUnixTimestamp64Milli(received_at))"),
    "timestamp": Value("text", "written_at(occurred_at)"),
}
_TYPE_NAMES = frozenset({"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type"})


def condition(expression: Expression, line: str = "item") -> str:
    """SQL that is true of the rows (with the columns of `pathline.events`) for which an expression over `event` holds;
    the column `line` has the JSON of `item`. Its functions are those of `declared`. Raises Inexpressible."""
    # what is executed: the tree in which numbers have the types that the engine gives them
    tree = parse(render(expression.tree))
    return _Compiler(expression.paths).truth(tree, {"item": Value("any", line)})


class _Compiler:
    def __init__(self, paths: frozenset[Path]) -> None:
        self._paths = paths
        self._names = 0

    def truth(self, node: Node, scope: Scope) -> str:
        return truth(self._value(node, scope))

    def _value(self, node: Node, scope: Scope) -> Value:
        match node:
            case Literal(kind, text):
                return _literal(kind, text)
            case Name(name) if name in scope:
                return scope[name]
            case Name(name) if name in _TYPE_NAMES:
                return Value("type", quoted(name))
            case Name(name):
                raise Inexpressible(f"{name} as a whole")
            case Select(of, field):
                return self._select(node, of, field, scope)
            case Index(of, key):
                return indexed(self._value(of, scope), self._value(key, scope))
            case Call():
                return self._call(node, scope)
            case ListOf(items):
                return listed([self._value(item, scope) for item in items])
            case MapOf():
                raise Inexpressible("a map that is written out")
            case Unary("!", of):
                return Value("truth", f"(NOT {self.truth(of, scope)})")
            case Unary(_, of):
                return negative(self._value(of, scope))
            case Binary("in", left, ListOf(items)):
                found = self._value(left, scope)
                parts = [equal(found, self._value(item, scope)) for item in items]
                return Value("truth", f"({' OR '.join(parts)})" if parts else unless_failed(found, "false"))
            case Binary(operator, left, right):
                return binary(operator, self._value(left, scope), self._value(right, scope))
            case Choose(test, then, otherwise):
                return chosen(self.truth(test, scope), self._value(then, scope), self._value(otherwise, scope))

    def _select(self, node: Select, of: Node, field: str, scope: Scope) -> Value:
        path = _path(node)
        if path is None or path[0] in scope:
            return member(self._value(of, scope), quoted(field))
        if path[0] != "event":
            raise Inexpressible(f"{path[0]} is not known here")
        if path[1] not in FIELDS or (len(path) > 2 and path[1] not in JSON):
            return FAILED
        return FIELDS[path[1]] if len(path) == 2 else member(FIELDS[path[1]], ", ".join(map(quoted, path[2:])))

    def _call(self, node: Call, scope: Scope) -> Value:
        if node.function in MACROS and node.target is not None:
            return self._macro(node.function, node.target, node.arguments, scope)
        if node.function == "has":
            return self._has(node.arguments, scope)
        if node.function == "matches":
            return self._matches(node, scope)
        given = node.arguments if node.target is None else (node.target, *node.arguments)
        values = [self._value(one, scope) for one in given]
        if not values or any(value.kind == "failed" for value in values):
            return FAILED
        return called(node.function, node.target is not None, values)

    def _has(self, arguments: tuple[Node, ...], scope: Scope) -> Value:
        node = arguments[0] if len(arguments) == 1 else None
        if not isinstance(node, Select):
            raise Inexpressible("has() of what is no property")
        path = _path(node)
        if path is not None and path[0] == "event" and len(path) == 2:
            return Value("truth", "true" if path[1] in FIELDS else "false")
        if path is not None and path in self._paths:
            # the engine is given only what is read, so what lies on the way counts as an object
            found = self._value(node, scope)
            return Value("truth", "false" if found.kind == "failed" else f"({found.sql} IS NOT NULL)")
        of = json_of(self._value(node.of, scope)).sql
        return Value("truth", f"if(is_object({of}), JSONHas({of}, {quoted(node.field)}), NULL)")

    def _matches(self, node: Call, scope: Scope) -> Value:
        if node.target is None or len(node.arguments) != 1:
            return FAILED
        pattern = node.arguments[0]
        if not isinstance(pattern, Literal) or pattern.kind != "string":
            raise Inexpressible("matches() with a pattern that is not written out")
        text, written = typed(self._value(node.target, scope), "text"), re2(_read(pattern.text))
        return FAILED if text is None or written is None else Value("truth", f"match({text}, {quoted(written)})")

    def _macro(self, name: str, target: Node, arguments: tuple[Node, ...], scope: Scope) -> Value:
        variable, *bodies = arguments
        if len(bodies) > (2 if name == "map" else 1):
            raise Inexpressible(f"{name}() with {len(arguments)} arguments")
        source = json_of(self._value(target, scope))
        if source.kind == "failed":
            return FAILED
        of = source.sql if len(bodies) == 1 else self._filtered(source.sql, variable, bodies[0], scope)
        if name == "filter":
            return Value("any", self._filtered(of, variable, bodies[0], scope))
        if name == "map":
            made = self._each(
                of, variable, scope, lambda inside: json_of(self._value(bodies[-1], inside)).sql, "String"
            )
            return Value("any", _guarded(of, f"if(has({made}, NULL), NULL, joined({made}))"))
        tests = self._each(of, variable, scope, lambda inside: self.truth(bodies[0], inside), "Bool")
        found = {
            "exists": f"some_of({tests})",
            "all": f"all_of({tests})",
            "exists_one": f"if(has({tests}, NULL), NULL, countEqual({tests}, true) = 1)",
        }
        return Value("truth", _guarded(of, found[name]))

    def _filtered(self, of: str, variable: Node, body: Node, scope: Scope) -> str:
        tests = self._each(of, variable, scope, lambda inside: self.truth(body, inside), "Bool")
        kept = f"joined(arrayFilter((e, t) -> ifNull(t, false), entries({of}), {tests}))"
        return _guarded(of, f"if(has({tests}, NULL), NULL, {kept})")

    def _each(self, of: str, variable: Node, scope: Scope, body: Callable[[Scope], str], kind: str) -> str:
        """An array of what a body gives for each element of a list or key of an object."""
        assert isinstance(variable, Name)
        self._names += 1
        bound = f"{variable.name}_{self._names}"
        made = body({**scope, variable.name: Value("any", bound)})
        return f"arrayMap({bound} -> CAST({made}, 'Nullable({kind})'), entries({of}))"


def _literal(kind: str, text: str) -> Value:
    match kind:
        case "null":
            return Value("null", "'null'")
        case "bool":
            return Value("truth", text)
        case "string":
            return Value("text", quoted(_read(text)))
        case "double":
            return Value("double", text)
        case "int" | "uint":
            return Value("int", str(int(text.rstrip("uU"), 0)))
    raise Inexpressible("bytes")


def _read(literal: str) -> str:
    """The text that a literal stands for."""
    return str(cel_engine.program(literal).execute({}))


def _path(node: Node) -> Path | None:
    """The path of plain selections, None when it does not begin with a name."""
    fields: list[str] = []
    while isinstance(node, Select):
        fields.append(node.field)
        node = node.of
    return (node.name, *reversed(fields)) if isinstance(node, Name) else None


def _guarded(of: str, sql: str) -> str:
    """SQL about a list or an object, failing for anything else."""
    return f"if(is_list({of}) OR is_object({of}), {sql}, NULL)"
