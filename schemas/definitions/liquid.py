"""Liquid as Pathline uses it: what is not there may be tested and given a default, but never shown.

A missing first name must not become "Hello ," so an undefined variable in an output is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, wraps
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import liquid
import orjson
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError

#: A template that loops or grows beyond this is broken.
MAX_ITERATIONS = 10_000
MAX_CHARACTERS = 1_000_000


class TemplateError(Exception):
    """A template can't be rendered; the message says which variable or tag is to blame."""


class _Environment(liquid.Environment):  # type: ignore[misc]
    loop_iteration_limit = MAX_ITERATIONS
    output_stream_limit = MAX_CHARACTERS

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name, known in self.filters.items():
            if name != "default":
                self.filters[name] = _strict(name, known)


def _strict(name: str, known: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that makes nothing of what is not there: the library's own make 0 of it in sums and "" of it in dates,
    so that a missing price would be shown as none. What a filter does not find may be given a default as well."""

    @wraps(known)
    def strict(*given: Any, **named: Any) -> Any:
        for value in (*given, *named.values()):
            if isinstance(value, liquid.Undefined):
                str(value)  # it raises
        made = known(*given, **named)
        return liquid.FalsyStrictUndefined(f"... | {name}", token=None) if made is None else made

    return strict


_OUTPUT = re.compile(r"\{\{.*?\}\}", re.S)
#: No tag and no output, and no carriage return either: the library makes a line feed of it.
_LITERAL = re.compile(r"[^{\r]*").fullmatch
_TAG = re.compile(r"\{%.*?%\}", re.S)
_PLAIN = _Environment(undefined=liquid.FalsyStrictUndefined)
_HTML = _Environment(undefined=liquid.FalsyStrictUndefined, autoescape=True)


@lru_cache(maxsize=1_024)
def parsed(source: str, html: bool = False) -> Any:
    """The template of a source; with `html` what it inserts is escaped. Raises TemplateError."""
    try:
        return (_HTML if html else _PLAIN).from_string(source)
    except (LiquidError, RecursionError) as error:
        raise TemplateError(first_line(error)) from error


def rendered(source: str, names: Mapping[str, Any], html: bool = False) -> str:
    """The text of a template with these names (from `values`). Raises TemplateError."""
    if _LITERAL(source) and len(source) <= MAX_CHARACTERS:
        return source  # most fields of a template are words alone: the library takes twenty times as long over them
    try:
        return str(parsed(source, html).render(**names))
    except TemplateError:
        raise
    except (LiquidError, RecursionError, ArithmeticError, TypeError, ValueError) as error:
        raise TemplateError(first_line(error)) from error


def evaluated(source: str, names: Mapping[str, Any]) -> Any:
    """The value of a source that is one output and no more, None if it is a text or not of JSON, or the source is no
    such. Raises TemplateError."""
    template = parsed(source)
    if [type(node) for node in template.nodes] != [OutputNode]:
        return None
    try:
        value = template.nodes[0].expression.evaluate(liquid.RenderContext(template, globals=names))
    except (LiquidError, RecursionError, ArithmeticError, TypeError, ValueError) as error:
        raise TemplateError(first_line(error)) from error
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, liquid.Undefined) or not isinstance(value, bool | int | float | list | Mapping):
        return None
    try:
        return orjson.loads(orjson.dumps(value))
    except TypeError:  # an instant within it, or a number of more than 64 bits
        return None


def plain(source: str) -> str:
    """A source as it looks when each output has given one letter and all else nothing."""
    return _TAG.sub("", _OUTPUT.sub("x", source))


def values(names: Mapping[str, Any], timezone: str = "") -> dict[str, Any]:
    """Names as templates see them: null is undefined, `now` (milliseconds) a date in the time zone, by default the one
    in the person's trait `timezone`, else UTC."""
    result = {name: _without_null(value) for name, value in names.items() if value is not None}
    if isinstance(result.get("now"), int | float):
        zone = timezone or result.get("person", {}).get("traits", {}).get("timezone")
        # without its zone: the library's date filter remembers results by value, and equal instants may be in two zones
        result["now"] = datetime.fromtimestamp(result["now"] / 1000, _zone(zone)).replace(tzinfo=None)
    return result


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name if isinstance(name, str) else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def first_line(error: Exception) -> str:
    """What an error of the Liquid library says, without its drawing of the place."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _without_null(value: Any) -> Any:
    kind = value.__class__
    if kind is str or kind is float or kind is int:
        return value  # nearly all are, and asking whether they are mappings takes longest
    if kind is dict or isinstance(value, Mapping):
        return {str(key): _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_null(item) for item in value]
    return value
