"""What parts of an expression give, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: What is known of a value before it runs. any: the text of its JSON; instant and span: microseconds; failed: NULL.
Kind = Literal["any", "truth", "double", "int", "text", "null", "instant", "span", "type", "failed"]

#: what the engine calls each type
TYPES: dict[Kind, str] = {
    "text": "string",
    "double": "double",
    "int": "int",
    "truth": "bool",
    "null": "null_type",
    "instant": "timestamp",
    "span": "duration",
}
NO_TRUTH = "CAST(NULL, 'Nullable(Bool)')"
_READERS: dict[Kind, str] = {"double": "as_number", "text": "as_text", "truth": "as_truth"}


class Inexpressible(ValueError):
    """There is no SQL that means the same; the message says of what."""


@dataclass(frozen=True, slots=True)
class Value:
    """`sql` is NULL where the part fails; `wall` is what the clock shows at an instant, where it was written."""

    kind: Kind
    sql: str
    wall: str = ""


FAILED = Value("failed", "NULL")


def typed(value: Value, kind: Kind) -> str | None:
    """SQL of a value as one of this type, NULL where it is of another; None when it never is of that type."""
    if value.kind == kind or (kind == "double" and value.kind == "int"):
        return value.sql
    return f"{_READERS[kind]}({value.sql})" if value.kind == "any" and kind in _READERS else None


def truth(value: Value) -> str:
    """SQL of a truth value; anything else fails."""
    return typed(value, "truth") or NO_TRUTH


def unless_failed(value: Value, sql: str) -> str:
    """SQL that fails where a value does."""
    return f"if(({value.sql}) IS NULL, NULL, {sql})"


def first_of(kind: Kind, *choices: str | None) -> Value:
    """The first of these that did not fail; None is no choice."""
    found = [one for one in choices if one is not None]
    if not found:
        return FAILED
    return Value(kind, found[0] if len(found) == 1 else f"coalesce({', '.join(found)})")


def json_of(value: Value) -> Value:
    """A value as the text of its JSON. Raises Inexpressible for one that JSON does not have."""
    match value.kind:
        case "any" | "failed":
            return value
        case "null":
            return Value("any", value.sql)
        case "text":
            return Value("any", f"text_json({value.sql})")
        case "truth":
            return Value("any", f"truth_json({value.sql})")
        case "double" | "int":
            return Value("any", f"toString({value.sql})")
    raise Inexpressible(f"a {TYPES.get(value.kind, 'type')} in a list or a choice")


def listed(items: Sequence[Value]) -> Value:
    """A list that is written out."""
    values = [json_of(item) for item in items]
    if any(value.kind == "failed" for value in values):
        return FAILED
    inside = ", ',', ".join(value.sql for value in values)
    return Value("any", f"concat('[', {inside}, ']')" if values else "'[]'")


def member(of: Value, keys: str) -> Value:
    """A member of an object; `keys` are SQL, one for each level."""
    return Value("any", f"nullIf(JSONExtractRaw({of.sql}, {keys}), '')") if of.kind == "any" else FAILED


def indexed(of: Value, key: Value) -> Value:
    """An element of a list by a whole number, a member of an object by a text."""
    if of.kind != "any":
        return FAILED
    if key.kind == "int":
        inside = f"is_list({of.sql}) AND {key.sql} >= 0"
        return Value("any", f"if({inside}, nullIf(JSONExtractRaw({of.sql}, toInt64({key.sql}) + 1), ''), NULL)")
    # numbers of events are doubles, which are no index
    name = typed(key, "text")
    if name is None:
        return FAILED
    inside = f"is_object({of.sql}) AND {name} IS NOT NULL"
    return Value("any", f"if({inside}, nullIf(JSONExtractRaw({of.sql}, ifNull({name}, '')), ''), NULL)")
