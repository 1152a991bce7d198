"""Operators as the engine knows them: values of different types are not equal, and that is all to be done with them."""

from __future__ import annotations

from sinks.clickhouse.cel.values import (
    FAILED,
    NO_TRUTH,
    Kind,
    Value,
    first_of,
    json_of,
    truth,
    typed,
    unless_failed,
)

_NUMBERS = ("double", "int")
_ORDERED: tuple[Kind, ...] = ("double", "text", "truth", "instant", "span")


def binary(operator: str, left: Value, right: Value) -> Value:
    """All operators with two sides."""
    match operator:
        case "&&":
            return Value("truth", f"({truth(left)} AND {truth(right)})")
        case "||":
            return Value("truth", f"({truth(left)} OR {truth(right)})")
        case "==":
            return Value("truth", equal(left, right))
        case "!=":
            return Value("truth", f"(NOT {equal(left, right)})")
        case "in":
            return Value("truth", _among(left, right))
        case "<" | "<=" | ">" | ">=":
            sides = ((typed(left, kind), typed(right, kind)) for kind in _ORDERED)
            found = first_of("truth", *(f"({a} {operator} {b})" for a, b in sides if None not in (a, b)))
            return Value("truth", NO_TRUTH) if found == FAILED else found
    return _computed(operator, left, right)


def negative(of: Value) -> Value:
    """`-` before a value; of a truth value the engine gives the opposite."""
    match of.kind:
        case "any":
            opposite, number = f"truth_json(NOT as_truth({of.sql}))", f"toString(-as_number({of.sql}))"
            return Value("any", f"if(is_truth({of.sql}), {opposite}, {number})")
        case "double" | "int" | "span":
            return Value(of.kind, f"(-{of.sql})")
        case "truth":
            return Value("truth", f"(NOT {of.sql})")
    return FAILED


def chosen(test: str, then: Value, otherwise: Value) -> Value:
    """`test ? then : otherwise`."""
    if then.kind != otherwise.kind or then.kind == "instant":
        then, otherwise = json_of(then), json_of(otherwise)
    kind = otherwise.kind if then.kind == "failed" else then.kind
    return Value(kind, f"multiIf(({test}) IS NULL, NULL, {test}, {then.sql}, {otherwise.sql})")


def equal(left: Value, right: Value) -> str:
    """Whether two values are equal, as SQL."""
    if "failed" in (left.kind, right.kind):
        return NO_TRUTH
    if right.kind == "any" and left.kind != "any":
        left, right = right, left
    if left.kind == "any":
        match right.kind:
            case "any":
                return f"same_value({left.sql}, {right.sql})"
            case "null":
                return f"({left.sql} = 'null')"
            case "text":
                return f"same_text({left.sql}, {right.sql})"
            case "truth":
                return f"same_truth({left.sql}, {right.sql})"
            case "double" | "int":
                return f"same_number({left.sql}, {right.sql})"
    if left.kind == right.kind or (left.kind in _NUMBERS and right.kind in _NUMBERS):
        return f"({left.sql} = {right.sql})"
    return unless_failed(left, unless_failed(right, "false"))


def _among(left: Value, right: Value) -> str:
    """Whether a value is in a list, or a key of an object."""
    if left.kind == "failed" or right.kind != "any":
        return NO_TRUTH
    in_list = f"arrayExists(e -> ifNull({equal(left, Value('any', 'e'))}, false), elements({right.sql}))"
    key, in_object = typed(left, "text"), "NULL"
    if key is not None:
        in_object = f"if({key} IS NULL, NULL, JSONHas({right.sql}, ifNull({key}, '')))"
    boolean = typed(left, "truth")
    if boolean is not None:
        in_object = f"if({boolean} IS NULL, {in_object}, false)"
    by_type = f"is_list({right.sql}), {in_list}, is_object({right.sql}), {in_object}"
    return f"multiIf(({left.sql}) IS NULL, NULL, {by_type}, NULL)"


def _computed(operator: str, left: Value, right: Value) -> Value:
    kinds = (left.kind, right.kind)
    if kinds == ("int", "int"):
        wholes = {"/": "intDiv({a}, nullIf({b}, 0))", "%": "modulo({a}, nullIf({b}, 0))"}
        return Value("int", wholes.get(operator, f"({{a}} {operator} {{b}})").format(a=left.sql, b=right.sql))
    if "instant" in kinds or "span" in kinds:
        return _timed(operator, left, right)
    numbers = typed(left, "double"), typed(right, "double")
    number = None
    if None not in numbers and "int" not in kinds and operator != "%":
        number = f"({numbers[0]} {operator} {numbers[1]})"
    if operator != "+":
        return first_of("double", number)
    texts = typed(left, "text"), typed(right, "text")
    text = None if None in texts else f"concat({texts[0]}, {texts[1]})"
    if kinds != ("any", "any"):
        return first_of("double", number) if text is None else first_of("text", text)
    lists = f"joined(arrayConcat(elements({left.sql}), elements({right.sql})))"
    both = f"is_list({left.sql}) AND is_list({right.sql})"
    return first_of("any", f"toString({number})", f"text_json({text})", f"if({both}, {lists}, NULL)")


def _timed(operator: str, left: Value, right: Value) -> Value:
    sql = f"({left.sql} {operator} {right.sql})"
    match left.kind, operator, right.kind:
        case "instant", "+" | "-", "span":
            return Value("instant", sql, f"({left.wall} {operator} {right.sql})")
        case "span", "+", "instant":
            return Value("instant", sql, f"({left.sql} + {right.wall})")
        case ("instant", "-", "instant") | ("span", "+" | "-", "span"):
            return Value("span", sql)
    return FAILED
