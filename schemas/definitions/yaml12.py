"""YAML 1.2 to plain values that remember where they stood.

YAML 1.1 reads `NO` as false and `21:00` as 1260, so only the core schema of 1.2 is applied: true/false, null, integers
and floats; everything else is text, dates included. Keys are always text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from schemas.definitions.problems import Problem

MAX_BYTES = 1_000_000
#: Aliases are written out, so a small file can describe a huge one.
MAX_NODES = 100_000
MAX_DEPTH = 60

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {word: word[0] in "tT" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
#: The longest whole number that is exact as a double.
_MAX_DIGITS = 17


@dataclass(frozen=True, slots=True)
class Mark:
    """Line and column, both from 1. `block` is true of the text after `|` or `>`, which begins a line later."""

    line: int
    column: int
    block: bool = False


class Mapping(dict[str, Any]):
    """A mapping with the marks of itself, its keys and its values."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.keys_at: dict[str, Mark] = {}
        self.values_at: dict[str, Mark] = {}

    def at(self, key: str) -> Mark:
        """Where the value of a key stands; the mapping itself when there is no such key."""
        return self.values_at.get(key, self.mark)


class Sequence(list[Any]):
    """A list with the marks of itself and its items."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.items_at: list[Mark] = []


class Unreadable(Exception):
    """The text is not YAML; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read(file: str, text: str) -> Any:
    """The value in a YAML text: Mapping, Sequence, text, number, bool or None. Raises Unreadable."""
    if len(text) > MAX_BYTES:
        raise Unreadable(Problem(file, 0, 0, f"has {len(text)} characters, {MAX_BYTES} are allowed"))
    try:
        # "safe" only chooses the quicker scanner: values are made here, from the texts of the nodes
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        message = f"not YAML: {error.problem or error.context}"
        raise Unreadable(Problem(file, line, column, message, _hint(error))) from error
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"not YAML: the character U+{ord(text[error.position]):04X} is not allowed"
        raise Unreadable(Problem(file, line, column, message)) from error
    except RecursionError as error:
        raise Unreadable(Problem(file, 1, 1, f"nested more than {MAX_DEPTH} deep")) from error
    except (YAMLError, ValueError, AttributeError, TypeError, KeyError, IndexError, AssertionError) as error:
        # ruamel fails on some malformed directives and characters with errors that are not its own
        message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Unreadable(Problem(file, 1, 1, f"not YAML: {message}")) from error
    return None if node is None else _Builder(file).value(node, 0)


class _Builder:
    def __init__(self, file: str) -> None:
        self._file = file
        self._nodes = 0

    def value(self, node: Node, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise self._unreadable(node, "too large once its aliases are written out, or nested too deeply")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, SequenceNode):
            sequence = Sequence(_mark(node))
            for item in node.value:
                sequence.items_at.append(_mark(item))
                sequence.append(self.value(item, depth + 1))
            return sequence
        mapping = Mapping(_mark(node))
        assert isinstance(node, MappingNode)
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._unreadable(key_node, "a key must be text")
            key = str(key_node.value)
            if key in mapping:
                first = mapping.keys_at[key].line
                raise self._unreadable(key_node, f"{key!r} stands here twice, first in line {first}")
            mapping.keys_at[key] = _mark(key_node)
            # where nothing is written, the parser points at whatever comes next
            empty = isinstance(value_node, ScalarNode) and not value_node.value and value_node.style is None
            mapping.values_at[key] = _mark(key_node if empty else value_node)
            mapping[key] = self.value(value_node, depth + 1)
        return mapping

    def _scalar(self, node: ScalarNode) -> Any:
        text = str(node.value)
        if node.style in ("'", '"', "|", ">") or str(node.tag) in ("!", "tag:yaml.org,2002:str"):
            return text
        if text in _NULLS:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if _INTEGER.fullmatch(text):
            number = int(text, 0) if text[:2] in ("0o", "0x") else int(text) if len(text) <= _MAX_DIGITS else None
            if number is None:
                raise self._unreadable(node, f"{text} is too long for a number; put it in quotes")
            return number
        if _FLOAT.fullmatch(text):
            if not math.isfinite(float(text)):
                raise self._unreadable(node, f"{text} is too large")
            return float(text)
        return text

    def _unreadable(self, node: Node, message: str) -> Unreadable:
        mark = _mark(node)
        return Unreadable(Problem(self._file, mark.line, mark.column, message))


def _mark(node: Node) -> Mark:
    block = isinstance(node, ScalarNode) and node.style in ("|", ">")
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1, block)


def _hint(error: MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "\\t" in problem:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in problem:
        return 'put text that contains ": " in quotes'
    if "another document" in problem:
        return "one definition a file, without --- between"
    if "alias" in problem or "anchor" in problem:
        return "text that begins with * or & needs quotes"
    return ""
