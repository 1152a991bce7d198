"""A CEL tree back to source, with integer literals as doubles wherever a property may stand on the other side."""

from __future__ import annotations

from typing import Literal as OneOf

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
)

#: integer: an int for certain; literal: whole numbers only, so either; other: a double, or not known before it runs
Kind = OneOf["integer", "literal", "other"]

_INTEGER_RESULTS = frozenset(
    {"size", "int", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)
_INTEGER_ARGUMENTS = frozenset({"int", "uint", "string", "timestamp"})


def render(node: Node, integer: bool = False) -> str:
    """Source of a tree. With `integer` literals stay whole numbers: for places where the engine takes no doubles."""
    match node:
        case Literal("int", text):
            return text if integer else repr(float(int(text, 0) if text.startswith("0x") else int(text)))
        case Literal(_, text) | Name(text):
            return text
        case Select(of, field):
            return f"{_operand(of)}.{field}"
        case Index(of, key):
            return f"{_operand(of)}[{render(key, kind(key) != 'other')}]"
        case Call(function, target, arguments):
            whole = function in _INTEGER_ARGUMENTS
            written = ", ".join(render(argument, whole) for argument in arguments)
            return f"{function}({written})" if target is None else f"{_operand(target)}.{function}({written})"
        case ListOf(items):
            return f"[{', '.join(render(item) for item in items)}]"
        case MapOf(entries):
            return "{" + ", ".join(f"{render(key, True)}: {render(value)}" for key, value in entries) + "}"
        case Unary(operator, of):
            return f"({operator}{render(of, integer)})"
        case Binary("%", left, right):
            return f"({_whole(left)} % {_whole(right)})"
        case Binary("+" | "-" | "*" | "/" as operator, left, right):
            if kind(node) == "integer" or (integer and kind(node) == "literal"):
                return f"({render(left, True)} {operator} {render(right, True)})"
            return f"({_double(left)} {operator} {_double(right)})"
        case Binary(operator, left, right):
            return f"({render(left)} {operator} {render(right)})"
        case Choose(condition, then, otherwise):
            return f"({render(condition)} ? {render(then, integer)} : {render(otherwise, integer)})"


def kind(node: Node) -> Kind:
    """What is known before it runs about the numbers a tree gives."""
    match node:
        case Literal("int", _):
            return "literal"
        case Unary("-", of):
            return kind(of)
        case Call(function, _, _) if function in _INTEGER_RESULTS:
            return "integer"
        case Binary("%", _, _):
            return "integer"
        case Binary("+" | "-" | "*" | "/", left, right) | Choose(_, left, right):
            kinds = {kind(left), kind(right)}
            if "other" in kinds:
                return "other"
            return "integer" if "integer" in kinds else "literal"
        case _:
            return "other"


def _operand(node: Node) -> str:
    written = render(node)
    return f"({written})" if isinstance(node, Literal) else written


def _whole(node: Node) -> str:
    return f"int({render(node)})" if kind(node) == "other" else render(node, True)


def _double(node: Node) -> str:
    return f"double({render(node)})" if kind(node) == "integer" else render(node)
