"""The syntax of CEL as a tree, so that expressions can be checked before they run.

The engine (package `common-expression-language`) evaluates but shows no tree; names, constant folding of number types
and a later translation to SQL need one. Grammar: https://github.com/google/cel-spec/blob/master/doc/langdef.md without
message construction and backquoted fields, which the engine does not have either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

#: Deeper expressions are refused: the engine is recursive too, and nobody can read them.
MAX_DEPTH = 60
MAX_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class Literal:
    """`kind` is int, uint, double, string, bytes, bool or null; `text` as written."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    of: Node
    field: str


@dataclass(frozen=True, slots=True)
class Index:
    of: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`, or `target.function(arguments)`; macros are calls too."""

    function: str
    target: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    of: Node


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Choose:
    condition: Node
    then: Node
    otherwise: Node


Node = Literal | Name | Select | Index | Call | ListOf | MapOf | Unary | Binary | Choose

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>[bB]?[rR]?(?:\"\"\"(?s:\\.|.)*?\"\"\"|'''(?s:\\.|.)*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<uint>(?:0x[0-9a-fA-F]+|\d+)[uU])
      | (?P<int>0x[0-9a-fA-F]+|\d+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<operator>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("<", "<=", ">", ">=", "==", "!=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)


def parse(source: str) -> Node:
    """The tree of an expression. Raises ValueError with the place of the first mistake."""
    if len(source) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(source)} characters, {MAX_LENGTH} are allowed")
    parser = _Parser(source)
    node = parser.expression()
    parser.end()
    return node


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        self._depth = 0
        position = 0
        while position < len(source):
            match = _TOKEN.match(source, position)
            if match is None:
                hint = "; write == to compare" if source[position] == "=" else ""
                self._fail(f"unexpected {source[position]!r}{hint}", position)
            if match.lastgroup != "space":
                self._tokens.append((str(match.lastgroup), match.group(), position))
            position = match.end()
        self._tokens.append(("end", "", len(source)))

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail("nested too deeply", self._tokens[self._at][2])
        condition = self._binary(0)
        if self._take("?"):
            then = self._binary(0)
            self._expect(":")
            condition = Choose(condition, then, self.expression())
        self._depth -= 1
        return condition

    def end(self) -> None:
        kind, text, position = self._tokens[self._at]
        if kind != "end":
            self._fail(f"unexpected {text!r}", position)

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while (operator := self._peek()) in _LEVELS[level]:
            self._at += 1
            left = Binary(operator, left, self._binary(level + 1))
        return left

    def _unary(self) -> Node:
        operators = []
        while self._peek() in ("!", "-"):
            operators.append(self._peek())
            self._at += 1
        if len(operators) > MAX_DEPTH:
            self._fail("nested too deeply", self._tokens[self._at][2])
        node = self._member()
        for operator in reversed(operators):
            node = Unary(operator, node)
        return node

    def _member(self) -> Node:
        node = self._primary()
        for _ in range(MAX_DEPTH):
            if self._take("."):
                field = self._name()
                node = Call(field, node, self._arguments(")")) if self._take("(") else Select(node, field)
            elif self._take("["):
                node = Index(node, self.expression())
                self._expect("]")
            else:
                return node
        self._fail("nested too deeply", self._tokens[self._at][2])

    def _primary(self) -> Node:
        kind, text, position = self._tokens[self._at]
        self._at += 1
        if kind == "string":
            return Literal("bytes" if text[0] in "bB" else "string", text)
        if kind in ("double", "uint", "int"):
            return Literal(kind, text)
        if kind == "name" and text in ("true", "false", "null"):
            return Literal("null" if text == "null" else "bool", text)
        if kind == "name" and text != "in":
            return Call(text, None, self._arguments(")")) if self._take("(") else Name(text)
        if text == "(":
            node = self.expression()
            self._expect(")")
            return node
        if text == "[":
            return ListOf(self._arguments("]"))
        if text == "{":
            return self._map()
        self._fail("the expression ends too early" if kind == "end" else f"unexpected {text!r}", position)

    def _arguments(self, closing: str) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while not self._take(closing):
            if nodes:
                self._expect(",")
                if closing == "]" and self._take(closing):
                    break
            nodes.append(self.expression())
        return tuple(nodes)

    def _map(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self._take("}"):
            if entries:
                self._expect(",")
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression()))
        return MapOf(tuple(entries))

    def _name(self) -> str:
        kind, text, position = self._tokens[self._at]
        if kind != "name":
            self._fail(f"a property name is expected after '.', not {text!r}" if text else "ends after '.'", position)
        self._at += 1
        return text

    def _peek(self) -> str:
        kind, text, _ = self._tokens[self._at]
        return text if kind in ("operator", "name") else ""

    def _take(self, text: str) -> bool:
        if self._tokens[self._at][0] == "operator" and self._tokens[self._at][1] == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            _, found, position = self._tokens[self._at]
            self._fail(f"{text!r} is expected" + (f", not {found!r}" if found else " before the end"), position)

    def _fail(self, message: str, position: int) -> NoReturn:
        raise ValueError(f"{message} (at character {position + 1} of {self._source.strip()[:200]!r})")
