"""A YAML value against the grammar: the part, or problems in words an author understands."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.definitions.grammar.base import Findings
from schemas.definitions.problems import nearest
from schemas.definitions.yaml12 import Mapping, Mark, Sequence

P = TypeVar("P", bound=BaseModel)

_EXPECTED = {
    "string_type": "text is expected",
    "int_type": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "bool_type": "true or false is expected",
    "list_type": "a list is expected",
    "dict_type": "a mapping (key: value) is expected",
    "model_type": "a mapping (key: value) is expected",
    "model_attributes_type": "a mapping (key: value) is expected",
    "string_too_short": "must not be empty",
}
#: What pydantic adds to the place of an error when a value may have one of several types.
_TYPES = frozenset({"str", "int", "float", "bool"})


def checked(part: type[P], value: Any, findings: Findings) -> P | None:
    """The part in a YAML value; None when it can't be read, with the reasons in the findings."""
    try:
        return part.model_validate(value, context=findings)
    except ValidationError as error:
        seen: set[Mark] = set()
        for details in error.errors(include_url=False):
            _report(details, value, findings, seen)
    return None


def _report(details: ErrorDetails, value: Any, findings: Findings, seen: set[Mark]) -> None:
    place = details["loc"]
    mark, found = _walk(value, place)
    if place and place[-1] in _TYPES:
        if mark not in seen:
            seen.add(mark)
            findings.add(mark, "text, a number or true/false is expected")
        return
    if _follows(details, found, findings):
        return
    message, hint = _words(details, found)
    findings.add(mark, message, hint)


def _follows(details: ErrorDetails, found: Any, findings: Findings) -> bool:
    """Whether an error only follows from a misspelt key that was told already."""
    meant = findings.misspelt.get(found.mark, set()) - {""} if isinstance(found, Mapping) else set()
    if details["type"] == "missing":
        return details["loc"][-1] in meant
    return details["type"] == "value_error" and bool(meant)


def _walk(value: Any, place: SequenceOf[int | str]) -> tuple[Mark, Any]:
    """Mark and value of the place of an error; parts of it that name alternatives of the grammar are passed over."""
    mark = value.mark if isinstance(value, Mapping | Sequence) else Mark(1, 1)
    for part in place:
        if isinstance(value, Mapping) and part in value:
            mark, value = value.values_at[str(part)], value[str(part)]
        elif isinstance(value, Sequence) and isinstance(part, int) and part < len(value):
            mark, value = value.items_at[part], value[part]
    return mark, value


def _words(details: ErrorDetails, found: Any) -> tuple[str, str]:
    kind, context = details["type"], details.get("ctx", {})
    key = str(details["loc"][-1]) if details["loc"] else ""
    if kind == "choice":
        return _choice(context, found)
    if kind == "missing":
        return f"{key!r} is missing here", ""
    if kind in _EXPECTED:
        quoted = kind == "string_type" and isinstance(found, int | float)
        return _EXPECTED[kind] + _instead(found), "put it in quotes" if quoted else ""
    if kind == "literal_error":
        allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{found!r} is not allowed here", nearest(str(found), allowed)
    if kind == "too_short":
        return f"at least {context.get('min_length')} expected, there are {context.get('actual_length')}", ""
    if kind == "too_long":
        return f"at most {context.get('max_length')} expected, there are {context.get('actual_length')}", ""
    if kind == "string_pattern_mismatch":
        return f"{found!r} does not look like what is expected here ({context.get('pattern')})", ""
    if kind == "value_error":
        return str(context.get("error", details["msg"])), ""
    return details["msg"].removeprefix("Input ").replace("should be", "must be"), ""


def _choice(context: dict[str, Any], found: Any) -> tuple[str, str]:
    names, later = str(context["names"]).split(), str(context["later"]).split()
    if not isinstance(found, dict):
        return str(context["what"]) + _instead(found), f"allowed: {', '.join(names)}" if names else ""
    for key in found:
        if key in later:
            return f"not supported yet: {key}", ""
    if not names:
        return str(context["what"]), ""
    if not found:
        return str(context["what"]), f"allowed: {', '.join(names)}"
    first = next(iter(found))
    return f"{context['what']}, not {first!r}", nearest(first, names)


def _instead(found: Any) -> str:
    if found is None:
        return ", there is nothing"
    if isinstance(found, dict):
        return ", not a mapping"
    return ", not a list" if isinstance(found, list) else f", not {found!r}"
